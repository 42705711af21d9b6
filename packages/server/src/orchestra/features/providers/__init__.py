"""Model providers: their encrypted keys, their models, and `/v1` through which all call them.

It knows of `identity` and `audit` only. Tasks and chat hold no key and call no provider themselves.
"""

from orchestra.features.providers.service.facade import Providers

__all__ = ["Providers"]
