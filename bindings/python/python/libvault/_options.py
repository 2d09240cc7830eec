"""Types of what is given to whoever makes or opens a vault: said once, for the calls with and without asyncio."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import Required, TypedDict

from ._native import (
    Anchor,
    AuditSink,
    Connector,
    FileSink,
    KeyWrapper,
    ManualClock,
    MySQL,
    Passphrase,
    PostgreSQL,
    RawKey,
    Redis,
    Shamir,
    Shares,
    SocketSink,
    SyslogSink,
)

NewKey = Passphrase | RawKey | Shamir | KeyWrapper
OpeningKey = Passphrase | RawKey | Shares | KeyWrapper
Sink = AuditSink | FileSink | SocketSink | SyslogSink
AnyConnector = Connector | PostgreSQL | MySQL | Redis
LeaseHook = Callable[[str, str, str, float], object]
RotationHook = Callable[[str, str, str, int, str | None], object]


class _Common(TypedDict, total=False):
    audit: str
    key_wrappers: Sequence[KeyWrapper] | None
    audit_sinks: Sequence[Sink] | None
    anchor: str | os.PathLike[str] | Anchor | None
    anchor_interval: int
    value_cache_bytes: int
    value_cache_ttl: int
    connectors: Sequence[AnyConnector] | None
    lease_hook: LeaseHook | None
    rotation_hook: RotationHook | None
    log: logging.Logger | None


class InMemory(_Common, total=False):
    """The options of ``libvault.testing.memory_vault``."""

    backend: str | None
    dialect: str
    absolute_deny: bool


class Create(InMemory, total=False):
    """The options of ``libvault.create``."""

    key: Required[NewKey | Sequence[NewKey]]
    clock: ManualClock | None


class Open(_Common, total=False):
    """The options of ``libvault.open``."""

    key: OpeningKey | None
    clock: ManualClock | None
    accept_rollback: bool
    dialect: str
    absolute_deny: bool


class Restore(_Common, total=False):
    """The options of ``libvault.restore``."""

    key: Required[OpeningKey]
    clock: ManualClock | None
    backend: str | None
