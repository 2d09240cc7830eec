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

from . import errors, policy
from ._native import (
    Init,
    Kv,
    KvSecret,
    KvVersion,
    ManualClock,
    Passphrase,
    RawKey,
    SecretStr,
    Session,
    Vault,
    __version__,
)
from ._native import create as _create
from ._native import open as _open
from .errors import (
    Conflict,
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
    "Conflict",
    "Corrupt",
    "Init",
    "Internal",
    "InvalidRequest",
    "Kv",
    "KvSecret",
    "KvVersion",
    "ManualClock",
    "NotFound",
    "Passphrase",
    "PermissionDenied",
    "RateLimited",
    "RawKey",
    "Rollback",
    "Sealed",
    "SecretStr",
    "Session",
    "Unavailable",
    "Vault",
    "VaultError",
    "__version__",
    "create",
    "errors",
    "open",
    "policy",
]

_vaults: "_weakref.WeakSet[Vault]" = _weakref.WeakSet()


def create(
    path: str | _os.PathLike[str] | None,
    *,
    key: Passphrase | RawKey,
    clock: ManualClock | None = None,
    audit: str = "batched",
) -> tuple[Vault, Init]:
    """Make a new vault in a directory, or in memory where ``path`` is None, and leave it unsealed.

    ``audit`` says when the reply to a read may leave: "batched" once its record is admitted to a bounded queue, "strict"
    once it is durable. The root token in the second result is shown this once.

    Raises InvalidRequest when there is something at the place already, Unavailable when the device fails.
    """
    vault, init = _create(path, key=key, clock=clock, audit=audit)
    _vaults.add(vault)
    return vault, init


def open(
    path: str | _os.PathLike[str],
    *,
    key: Passphrase | RawKey | None = None,
    clock: ManualClock | None = None,
    audit: str = "batched",
) -> Vault:
    """Open a vault; sealed where no key is given.

    Raises InvalidRequest when there is none, it is open elsewhere (the message names the process) or the key is wrong,
    Corrupt when what is on disk does not verify.
    """
    vault = _open(path, key=key, clock=clock, audit=audit)
    _vaults.add(vault)
    return vault


@_atexit.register
def _close_all() -> None:
    """Write what waits when the interpreter ends, but for a child process, whose parent still has the vault."""
    for vault in list(_vaults):
        try:
            vault.close()
        except VaultError:
            pass
