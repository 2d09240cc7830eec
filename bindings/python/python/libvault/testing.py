"""Vaults for tests of your own: in memory, with a clock that you move and a session that may do everything.

With pytest there is nothing to import: the package brings a plugin, whose fixture ``memory_vault`` is there as soon as libvault is
installed. Other frameworks use the context manager:

>>> from libvault.testing import memory_vault
>>> with memory_vault() as world:
...     app = world.session_with('path "secret/data/app/*" { capabilities = ["create", "read"] }', ttl=60)
...     app.kv("secret").put("app/db", {"password": "pa55-w0rd"}).version
...     world.clock.advance(60)
...     try:
...         app.kv("secret").get("app/db")
...     except libvault.PermissionDenied:
...         print("expired")
1
expired
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Unpack

import libvault

from . import _options

__all__ = ["START", "MemoryVault", "memory_vault"]

START = 1_795_457_040.0
"""Where the clock stands at first, unless told otherwise: seconds since the Unix epoch."""

_PAGE = 1000


@dataclass(frozen=True)
class MemoryVault:
    """A vault in memory with what a test needs of it."""

    vault: libvault.Vault
    """The vault, unsealed."""
    clock: libvault.ManualClock
    """Its clock, which stands still until ``advance(seconds)``; ``vault.tick()`` then does what is due."""
    key: libvault.RawKey
    """What opens it again after ``vault.seal()``."""
    token: libvault.SecretStr
    """The root token."""
    root: libvault.Session
    """A session under the root token."""
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def session_with(self, policy: str, *policies: str, ttl: int | str = "1h") -> libvault.Session:
        """Make a session that may do what these policies (texts) say and no more, for ``ttl`` (seconds, or text such as "5m").

        Raises InvalidRequest when a policy does not parse.
        """
        texts = (policy, *policies)
        names = [f"test-{next(self._names)}" for _ in texts]
        for name, text in zip(names, texts, strict=True):
            self.root.request("write", f"sys/policies/acl/{name}", {"policy": text})
        asked = {"policies": names, "no_default_policy": True, "ttl": ttl}
        made = self.root.request("write", "auth/token/create", asked) or {}
        return self.vault.session(made["auth"]["client_token"])

    def audit_events(self, path: str | None = None) -> list[dict[str, Any]]:
        """Answer the events of the audit log, oldest first; those at one path where it is given."""
        events: list[dict[str, Any]] = []
        page: list[dict[str, Any]] = [{"sequence": 0}]
        # A look into the log is an event of its own, so that a page that is full is not the last one for long.
        while page:
            answer = self.root.request("read", "sys/audit-log/events", {"after": page[-1]["sequence"], "limit": _PAGE}) or {}
            events += answer["data"]["events"]
            page = answer["data"]["events"] if len(answer["data"]["events"]) == _PAGE else []
        return [event for event in events if path in (None, event["path"])]


@contextmanager
def memory_vault(*, start: float = START, **options: Unpack[_options.InMemory]) -> Iterator[MemoryVault]:
    """Make a vault in memory, and close it at the end of the ``with`` block.

    ``start`` is where its clock stands, in seconds since the Unix epoch; ``options`` are those of ``libvault.create`` but for ``key``
    and ``clock``, such as ``audit="strict"`` or ``connectors=[...]``.
    """
    key, clock = libvault.RawKey(os.urandom(32)), libvault.ManualClock(start)
    vault, init = libvault.create(None, key=key, clock=clock, **options)
    with vault, vault.session(init.root_token) as root:
        yield MemoryVault(vault, clock, key, init.root_token, root)
