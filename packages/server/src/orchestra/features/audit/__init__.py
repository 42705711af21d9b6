"""Who changed what: rows that are written in the change's own transaction and chained by hash.

It knows no other feature; whoever changes something calls `record`, as the last step of its
transaction, since records wait for one another until their commits.
"""

from orchestra.features.audit.service import record, verify

__all__ = ["record", "verify"]
