"""What policies allow, without a vault.

>>> from libvault import policy
>>> decision = policy.evaluate(['path "secret/data/app/*" { capabilities = ["read"] }'], "read", "secret/data/app/db")
>>> bool(decision), decision.rule, decision.line
(True, 'secret/data/app/*', 1)
>>> bool(policy.evaluate([], "read", "secret/data/app/db"))
False
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ._native import Decision
from ._native import evaluate as _evaluate
from .errors import InvalidRequest

__all__ = ["Decision", "evaluate"]


def evaluate(
    texts: Iterable[str],
    operation: str,
    path: str,
    data: Mapping[str, Any] | None = None,
    *,
    wrap_ttl: str | int | None = None,
    dialect: str = "vault",
) -> Decision:
    """Decide a request by these policies (HCL or JSON texts) alone.

    ``operation`` is the capability asked for: create, read, update, patch, delete or list. ``dialect`` is "vault" or
    "openbao". The decision is truthy when the request is allowed, and says why.

    Raises InvalidRequest when a policy does not parse or the path is malformed, and for ``data`` and ``wrap_ttl``: this
    version has no rules that look at them.
    """
    if data is not None or wrap_ttl is not None:
        why = "data and wrap_ttl are not supported in this version: no rule looks at them"
        raise InvalidRequest([why], 100, "InvalidRequest")
    if isinstance(texts, str):
        raise TypeError("texts must be policies, one str each: put the one policy into a list")
    return _evaluate(list(texts), operation, path, dialect)
