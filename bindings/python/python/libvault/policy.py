"""What policies allow, without a vault.

>>> from libvault import policy
>>> decision = policy.evaluate(['path "secret/data/app/*" { capabilities = ["read"] }'], "read", "secret/data/app/db")
>>> bool(decision), decision.rule, decision.line
(True, 'secret/data/app/*', 1)
>>> bool(policy.evaluate([], "read", "secret/data/app/db"))
False
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._native import Decision
from ._native import evaluate as _evaluate
from ._native import run_policy_tests as _run_policy_tests

__all__ = ["Decision", "TestReport", "evaluate", "run_tests"]


@dataclass(frozen=True)
class TestReport:
    """What came of the tests of policies; truthy when none failed."""

    # No class of tests, whatever pytest makes of its name.
    __test__ = False

    passed: int
    failed: int
    text: str
    """A line for each case that failed, and one with the figures."""

    def __bool__(self) -> bool:
        return self.failed == 0

    def __str__(self) -> str:
        return self.text


def evaluate(
    texts: Iterable[str],
    operation: str,
    path: str,
    data: Mapping[str, Any] | None = None,
    *,
    wrap_ttl: str | int | None = None,
    dialect: str = "vault",
    absolute_deny: bool = False,
    caller: Mapping[str, Any] | None = None,
) -> Decision:
    """Decide a request by these policies (HCL or JSON texts) alone.

    ``operation`` is the capability asked for: create, read, update, patch, delete or list. ``data`` are the request's parameters, and
    ``wrap_ttl`` (seconds, or text such as "1h") the time for which its reply is to be wrapped. ``dialect`` is "vault" or "openbao". With
    ``absolute_deny`` the deny of any rule that matches wins. ``caller`` is what is known of the caller, for templates:
    ``{"entity": {"id", "name", "metadata", "aliases"}, "groups": [{"id", "name", "metadata"}]}``. The decision is truthy when the request is
    allowed, and says why.

    Raises InvalidRequest when a policy does not parse or the path is malformed.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be policies, one str each: put the one policy into a list")
    return _evaluate(list(texts), operation, path, data, wrap_ttl, dialect, absolute_deny, caller)


def run_tests(path: str | os.PathLike[str]) -> TestReport:
    """Run the tests of policies in a file; ``python -m libvault policy-test FILE`` does the same.

    Raises InvalidRequest when the file is no test file, or a policy does not parse.
    """
    return TestReport(*_run_policy_tests(path))
