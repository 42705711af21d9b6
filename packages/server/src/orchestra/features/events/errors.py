"""What can go wrong with feeds."""

from orchestra.foundation.errors import RateLimited


class TooManyFeeds(RateLimited):
    """You have as many open feeds as one caller may have; close some pages or programs."""

    code = "too_many_feeds"
