"""The credential vault that you link instead of run.

>>> import libvault
>>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
>>> kv = vault.session(init.root_token).kv("secret")
>>> kv.put("app/db", {"password": "pa55-w0rd"}).version
1
>>> with kv.get("app/db") as secret:
...     len(secret["password"])
9
>>> vault.close()
"""

import atexit as _atexit
import os as _os
import weakref as _weakref
from collections.abc import Sequence as _Sequence
from logging import Logger as _Logger
from typing import BinaryIO as _BinaryIO

from . import audit, errors, policy, reports
from ._native import (
    Account,
    Anchor,
    AuditLine,
    AuditSink,
    Connector,
    Emergency,
    FileSink,
    Init,
    KeyWrapper,
    Kv,
    KvSecret,
    KvVersion,
    LiveSecret,
    ManualClock,
    MySQL,
    Passphrase,
    Pkcs11,
    PostgreSQL,
    RawKey,
    Redis,
    Rotation,
    SecretBytes,
    SecretSnapshot,
    SecretStr,
    Session,
    Shamir,
    Shares,
    SocketSink,
    StaticCreds,
    SyslogSink,
    Target,
    Vault,
    __version__,
    doctor,
    verify_backup,
)
from ._native import create as _create
from ._native import open as _open
from ._native import restore as _restore
from ._native import salvage as _salvage
from ._options import AnyConnector as _AnyConnector
from ._options import LeaseHook as _LeaseHook
from ._options import NewKey as _NewKey
from ._options import OpeningKey as _OpeningKey
from ._options import RotationHook as _RotationHook
from ._options import Sink as _Sink
from .errors import (
    Conflict,
    ConnectorFailed,
    Corrupt,
    Internal,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rollback,
    Sealed,
    Unavailable,
    VaultError,
)

__all__ = [
    "Account",
    "Anchor",
    "AuditLine",
    "AuditSink",
    "Conflict",
    "Connector",
    "ConnectorFailed",
    "Corrupt",
    "Emergency",
    "FileSink",
    "Init",
    "Internal",
    "InvalidRequest",
    "KeyWrapper",
    "Kv",
    "KvSecret",
    "KvVersion",
    "LiveSecret",
    "ManualClock",
    "MySQL",
    "NotFound",
    "Passphrase",
    "PermissionDenied",
    "Pkcs11",
    "PostgreSQL",
    "RateLimited",
    "RawKey",
    "Redis",
    "Rollback",
    "Rotation",
    "Sealed",
    "SecretBytes",
    "SecretSnapshot",
    "SecretStr",
    "Session",
    "Shamir",
    "Shares",
    "SocketSink",
    "StaticCreds",
    "SyslogSink",
    "Target",
    "Unavailable",
    "Vault",
    "VaultError",
    "__version__",
    "audit",
    "create",
    "doctor",
    "errors",
    "open",
    "policy",
    "reports",
    "restore",
    "salvage",
    "verify_backup",
]

_vaults: "_weakref.WeakSet[Vault]" = _weakref.WeakSet()


def create(
    path: str | _os.PathLike[str] | None,
    *,
    key: _NewKey | _Sequence[_NewKey],
    clock: ManualClock | None = None,
    audit: str = "batched",
    key_wrappers: _Sequence[KeyWrapper] | None = None,
    audit_sinks: _Sequence[_Sink] | None = None,
    anchor: str | _os.PathLike[str] | Anchor | None = None,
    anchor_interval: int = 0,
    value_cache_bytes: int = 0,
    value_cache_ttl: int = 60,
    backend: str | None = None,
    dialect: str = "vault",
    absolute_deny: bool = False,
    connectors: _Sequence[_AnyConnector] | None = None,
    lease_hook: _LeaseHook | None = None,
    rotation_hook: _RotationHook | None = None,
    log: _Logger | None = None,
) -> tuple[Vault, Init]:
    """Make a new vault in a directory, or in memory where ``path`` is None, and leave it unsealed.

    ``key`` makes a key slot, or several in a list, any one of which opens the vault. ``audit`` says when the reply to a read may
    leave: "batched" once its record is admitted to a bounded queue, "strict" once it is durable; "counted" is as "batched", and
    reads that a session repeats within a second are counted in one record. ``key_wrappers`` are the key
    services by which slots may be added later. ``anchor`` (a file, or an Anchor) keeps the newest commit outside the store, with
    each commit or every ``anchor_interval`` seconds. ``audit_sinks`` are fed with the audit log by ``tick``. ``backend`` is the
    engine that keeps the store on disk: "sled", or "redb" for a large one. ``dialect`` says whose rules
    policies follow, "vault" or "openbao", and with ``absolute_deny`` the deny of any rule that matches wins. Root token and key shares in the second result are shown this once.

    ``connectors`` make accounts at target systems for ``database`` mounts: ``PostgreSQL()``, ``MySQL()``, ``Redis()``, or a Connector of
    your own. ``lease_hook(change, lease_id, namespace, expires)`` is told of leases: "granted", "renewed", "expiring-soon", "revoked",
    "irrevocable"; ``rotation_hook(change, path, namespace, version, what_to_do)`` of credentials that are rotated: "promoted" (whoever keeps the
    old password reads anew), "needs-attention" (with what to do; else None). Both are called under no lock of the vault, from any thread, and
    what they raise goes to ``sys.unraisablehook``. ``log``, such as ``logging.getLogger("libvault")``, is given what the vault has to say that is
    neither an answer nor in the audit log: at the end of ``tick``, ``unseal``, ``seal`` and ``close``, so that no request waits for it.

    ``value_cache_bytes`` holds so many bytes of decrypted secrets in memory, each for at most ``value_cache_ttl`` seconds: a read of one asks
    policy and is recorded as ever, and neither reads the store nor decrypts. None are held unless told, none where either is 0, and none
    that is larger than a sixteenth of the bytes.

    Raises InvalidRequest when there is something at the place already, Unavailable when the device or a key service fails.

    >>> import libvault
    >>> vault, init = libvault.create(None, key=libvault.Passphrase("correct horse battery staple"))
    >>> vault.sealed, init.root_token
    (False, SecretStr([redacted]))
    >>> vault.close()
    """
    vault, init = _create(
        path,
        key=key,
        clock=clock,
        audit=audit,
        key_wrappers=key_wrappers,
        audit_sinks=audit_sinks,
        anchor=anchor,
        anchor_interval=anchor_interval,
        value_cache_bytes=value_cache_bytes,
        value_cache_ttl=value_cache_ttl,
        backend=backend,
        dialect=dialect,
        absolute_deny=absolute_deny,
        connectors=connectors,
        lease_hook=lease_hook,
        rotation_hook=rotation_hook,
        log=log,
    )
    _vaults.add(vault)
    return vault, init


def open(
    path: str | _os.PathLike[str],
    *,
    key: _OpeningKey | None = None,
    clock: ManualClock | None = None,
    audit: str = "batched",
    key_wrappers: _Sequence[KeyWrapper] | None = None,
    audit_sinks: _Sequence[_Sink] | None = None,
    anchor: str | _os.PathLike[str] | Anchor | None = None,
    anchor_interval: int = 0,
    value_cache_bytes: int = 0,
    value_cache_ttl: int = 60,
    accept_rollback: bool = False,
    dialect: str = "vault",
    absolute_deny: bool = False,
    connectors: _Sequence[_AnyConnector] | None = None,
    lease_hook: _LeaseHook | None = None,
    rotation_hook: _RotationHook | None = None,
    log: _Logger | None = None,
) -> Vault:
    """Open a vault; sealed where no key is given.

    Raises InvalidRequest when there is none, it is open elsewhere (the message names the process) or the key is wrong,
    Corrupt when what is on disk does not verify, Rollback when it is older than its anchor, unless ``accept_rollback``.
    ``dialect``, ``absolute_deny`` and the bounds of held secrets are as for ``create``: they are not kept with the store.

    >>> import libvault, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     libvault.create(folder + "/vault", key=libvault.RawKey(bytes(32)))[0].close()
    ...     with libvault.open(folder + "/vault") as vault:
    ...         vault.sealed, vault.seal_status()["seal_types"]
    (True, ['raw-key'])
    """
    vault = _open(
        path,
        key=key,
        clock=clock,
        audit=audit,
        key_wrappers=key_wrappers,
        audit_sinks=audit_sinks,
        anchor=anchor,
        anchor_interval=anchor_interval,
        value_cache_bytes=value_cache_bytes,
        value_cache_ttl=value_cache_ttl,
        accept_rollback=accept_rollback,
        dialect=dialect,
        absolute_deny=absolute_deny,
        connectors=connectors,
        lease_hook=lease_hook,
        rotation_hook=rotation_hook,
        log=log,
    )
    _vaults.add(vault)
    return vault


def restore(
    path: str | _os.PathLike[str] | None,
    file: _BinaryIO,
    *,
    key: _OpeningKey,
    clock: ManualClock | None = None,
    audit: str = "batched",
    key_wrappers: _Sequence[KeyWrapper] | None = None,
    audit_sinks: _Sequence[_Sink] | None = None,
    anchor: str | _os.PathLike[str] | Anchor | None = None,
    anchor_interval: int = 0,
    value_cache_bytes: int = 0,
    value_cache_ttl: int = 60,
    backend: str | None = None,
    connectors: _Sequence[_AnyConnector] | None = None,
    lease_hook: _LeaseHook | None = None,
    rotation_hook: _RotationHook | None = None,
    log: _Logger | None = None,
) -> Vault:
    """Write a backup into an empty place, or memory where ``path`` is None, and open it: frozen, until somebody writes to ``sys/storage/adopt``.

    Raises InvalidRequest when the backup is cut, altered or none of libvault's, the key opens none of its slots, or there is
    something at the place; nothing is left there then. The other options are as for ``create``.

    >>> import io, libvault
    >>> key, file = libvault.RawKey(bytes(32)), io.BytesIO()
    >>> vault, init = libvault.create(None, key=key)
    >>> info = vault.session(init.root_token).backup(file)
    >>> vault.close()
    >>> start = file.seek(0)
    >>> with libvault.restore(None, file, key=key) as copy:
    ...     copy.frozen
    True
    """
    vault = _restore(
        path,
        file,
        key=key,
        clock=clock,
        audit=audit,
        key_wrappers=key_wrappers,
        audit_sinks=audit_sinks,
        anchor=anchor,
        anchor_interval=anchor_interval,
        value_cache_bytes=value_cache_bytes,
        value_cache_ttl=value_cache_ttl,
        backend=backend,
        connectors=connectors,
        lease_hook=lease_hook,
        rotation_hook=rotation_hook,
        log=log,
    )
    _vaults.add(vault)
    return vault


def salvage(
    path: str | _os.PathLike[str],
    *,
    key: _OpeningKey,
    to: str | _os.PathLike[str] | None,
    names: bool = False,
    scratch: str | _os.PathLike[str] | None = None,
    backend: str | None = None,
    clock: ManualClock | None = None,
    audit: str = "batched",
) -> tuple[Vault, reports.SalvageReport]:
    """Take out of a store what can be read of it, into an empty place, or memory where ``to`` is None: the new vault, frozen, and what was lost.

    The damaged store is not changed. ``names`` names damaged secrets in the report, and ``scratch`` is a directory for a private copy
    of the store (its parent unless told). Raises Corrupt when no key opens the store any more, InvalidRequest when it is open, the key
    is wrong, or there is something at the new place.
    """
    vault, report = _salvage(
        path, key=key, to=to, names=names, scratch=scratch, backend=backend, clock=clock, audit=audit
    )
    _vaults.add(vault)
    return vault, report


@_atexit.register
def _close_all() -> None:
    """Write what waits when the interpreter ends, but for a child process, whose parent still has the vault."""
    for vault in list(_vaults):
        try:
            vault.close()
        except VaultError:
            pass
