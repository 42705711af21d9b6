"""One module for each word after `orchestra`; only the one that is asked for gets imported."""
