"""Vaults from asyncio: each call runs on a thread of the vault's own small pool, and the event loop goes on meanwhile.

>>> import asyncio
>>> import libvault.aio
>>> async def main():
...     vault, init = await libvault.aio.create(None, key=libvault.RawKey(bytes(range(32))))
...     async with vault:
...         kv = vault.session(init.root_token).kv("secret")
...         await kv.put("app/db", {"password": "pa55-w0rd"})
...         with await kv.get("app/db") as secret:
...             return len(secret["password"])
>>> asyncio.run(main())
9

A call waits while all threads of the pool are busy. **Cancellation:** a call that is cancelled while it waits is never made. One that has
begun is carried out to its end, since nothing inside the vault is cut off half way: its answer is thrown away (and a secret in it wiped),
and a write may have been written. To know, read again, or write with ``cas``. ``asyncio.timeout`` cancels in the same way.

Everything else is as without asyncio: arguments, answers, exceptions. The objects of this module may be used from several event loops.
"""

import asyncio
import builtins
import concurrent.futures
import contextvars
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, ParamSpec, TypeVar, Unpack

from . import _native, _options, errors
from . import create as _create
from . import open as _open
from . import restore as _restore
from ._native import Init, KeyWrapper, KvSecret, KvVersion, Passphrase, RawKey, SecretStr, Shamir, Shares

__all__ = ["THREADS", "Kv", "Session", "Vault", "create", "open", "restore", "wrap"]

THREADS = 4
"""How many calls of one vault run at a time, unless told otherwise."""

_THREADS_MAX = 256

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Pool:
    """The threads of one vault. Some calls need none: they only look at what is in memory."""

    def __init__(self, threads: int) -> None:
        if not isinstance(threads, int) or isinstance(threads, bool):
            raise TypeError("threads must be a whole number")
        if not 1 <= threads <= _THREADS_MAX:
            raise errors.InvalidRequest([f"threads must be from 1 to {_THREADS_MAX}"], 100, "InvalidRequest")
        self._process = os.getpid()
        self._executor = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="libvault-aio")
        self.closed: bool = False

    async def run(self, call: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if self._process != os.getpid():
            # The threads stayed in the parent: a call would wait for ever.
            raise errors.InvalidRequest(["the vault was opened before a fork: open it in the child"], 111, "Forked")
        if self.closed:
            raise errors.InvalidRequest(["the vault is closed: open it again"], 110, "Closed")
        work = functools.partial(contextvars.copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def shut(self) -> None:
        self.closed = True
        self._executor.shutdown(wait=False)


class Kv:
    """The secrets below one KV version 2 mount; the methods are those of ``libvault.Kv``."""

    def __init__(self, kv: _native.Kv, pool: _Pool) -> None:
        """Is made by ``Session.kv``."""
        self._kv = kv
        self._pool = pool

    async def get(self, path: str, version: int | None = None) -> KvSecret:
        """Read a secret: its newest version, or the one with that number."""
        return await self._pool.run(self._kv.get, path, version)

    async def put(self, path: str, data: Mapping[str, Any], cas: int | None = None) -> KvVersion:
        """Write a new version; with ``cas`` only if that is the number of the current one (0: none yet)."""
        return await self._pool.run(self._kv.put, path, data, cas)

    async def patch(self, path: str, data: Mapping[str, Any], cas: int | None = None) -> KvVersion:
        """Merge a JSON merge patch into the newest version."""
        return await self._pool.run(self._kv.patch, path, data, cas)

    async def subkeys(self, path: str, version: int | None = None, *, depth: int | None = None) -> dict[str, Any]:
        """Read the names of a version's members, without their contents."""
        return await self._pool.run(self._kv.subkeys, path, version, depth=depth)

    async def list(self, prefix: str = "", *, after: str | None = None, limit: int | None = None) -> builtins.list[str]:
        """Read the names directly below a folder, in order; with ``limit`` a page of them after the name ``after``."""
        return await self._pool.run(self._kv.list, prefix, after=after, limit=limit)

    async def delete(self, path: str) -> None:
        """Delete the newest version; it can be undeleted."""
        await self._pool.run(self._kv.delete, path)

    async def delete_versions(self, path: str, versions: builtins.list[int] | tuple[int, ...]) -> None:
        """Delete these versions; they can be undeleted."""
        await self._pool.run(self._kv.delete_versions, path, versions)

    async def undelete_versions(self, path: str, versions: builtins.list[int] | tuple[int, ...]) -> None:
        """Bring deleted versions back."""
        await self._pool.run(self._kv.undelete_versions, path, versions)

    async def destroy_versions(self, path: str, versions: builtins.list[int] | tuple[int, ...]) -> None:
        """Remove the content of these versions for good."""
        await self._pool.run(self._kv.destroy_versions, path, versions)

    async def metadata(self, path: str) -> dict[str, Any]:
        """Read what is known of a secret without its content."""
        return await self._pool.run(self._kv.metadata, path)

    async def set_metadata(
        self,
        path: str,
        *,
        max_versions: int | None = None,
        cas_required: bool | None = None,
        delete_version_after: str | None = None,
        custom_metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write settings of a secret, and what its users say about it; what is not given stays."""
        await self._pool.run(
            self._kv.set_metadata,
            path,
            max_versions=max_versions,
            cas_required=cas_required,
            delete_version_after=delete_version_after,
            custom_metadata=custom_metadata,
        )

    async def patch_custom_metadata(self, path: str, changes: Mapping[str, str | None]) -> None:
        """Change what users say about a secret, member by member; None removes."""
        await self._pool.run(self._kv.patch_custom_metadata, path, changes)

    async def config(self) -> dict[str, Any]:
        """Read the settings of the mount."""
        return await self._pool.run(self._kv.config)

    async def set_config(
        self, *, max_versions: int | None = None, cas_required: bool | None = None, delete_version_after: str | None = None
    ) -> None:
        """Write settings of the mount; what is not given stays."""
        await self._pool.run(
            self._kv.set_config,
            max_versions=max_versions,
            cas_required=cas_required,
            delete_version_after=delete_version_after,
        )

    async def delete_metadata(self, path: str) -> None:
        """Remove a secret with all its versions and metadata for good."""
        await self._pool.run(self._kv.delete_metadata, path)


class Session:
    """The requests of one token; use it in ``async with``, or leave it to the end of the vault."""

    def __init__(self, session: _native.Session, pool: _Pool) -> None:
        """Is made by ``Vault.session``."""
        self._session = session
        self._pool = pool

    async def request(
        self,
        operation: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        namespace: str | None = None,
        correlation_id: str | None = None,
        remote_address: str | None = None,
        wrap_ttl: int | str | None = None,
    ) -> dict[str, Any] | None:
        """Carry out a request: read, list, write, patch or delete."""
        return await self._pool.run(
            self._session.request,
            operation,
            path,
            data,
            namespace=namespace,
            correlation_id=correlation_id,
            remote_address=remote_address,
            wrap_ttl=wrap_ttl,
        )

    def namespace(self, path: str) -> "Session":
        """Make a session of the same token in a namespace below."""
        return Session(self._session.namespace(path), self._pool)

    def kv(self, mount: str) -> Kv:
        """Give the KV version 2 secrets engine that is mounted at ``mount``."""
        return Kv(self._session.kv(mount), self._pool)

    async def export_audit(self, file: BinaryIO, *, after: int = 0) -> int:
        """Write the events of the audit log to a binary file, which is written to from the pool's thread."""
        return await self._pool.run(self._session.export_audit, file, after=after)

    async def backup(
        self,
        file: BinaryIO,
        *,
        key: Passphrase | RawKey | Shamir | KeyWrapper | Sequence[Passphrase | RawKey | Shamir | KeyWrapper] | None = None,
    ) -> dict[str, Any]:
        """Write a backup to a binary file, which is written to from the pool's thread."""
        return await self._pool.run(self._session.backup, file, key=key)

    async def close(self) -> None:
        """Let go of the token. Closing twice is fine."""
        if not self._pool.closed:
            await self._pool.run(self._session.close)

    async def __aenter__(self) -> "Session":
        """Enter a block that ends with ``close``."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the session."""
        await self.close()


class Vault:
    """An open vault; use it in ``async with``, which closes it. ``sync`` is the vault itself, for all that needs no waiting."""

    sync: _native.Vault
    _pool: _Pool

    def __init__(self) -> None:
        """Is made by ``create``, ``open``, ``restore`` and ``wrap``."""
        raise TypeError("a vault is made by create, open, restore or wrap")

    @classmethod
    def _over(cls, vault: _native.Vault, pool: _Pool) -> "Vault":
        made = cls.__new__(cls)
        made.sync, made._pool = vault, pool
        return made

    @property
    def sealed(self) -> bool:
        """Whether the keys are out of memory."""
        return self.sync.sealed

    @property
    def frozen(self) -> bool:
        """Whether the vault was restored and not yet adopted."""
        return self.sync.frozen

    def session(self, token: str | SecretStr) -> Session:
        """Make a session under a token, which is looked at with each request; this itself never waits."""
        return Session(self.sync.session(token), self._pool)

    async def request(
        self,
        operation: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        token: str | SecretStr | None = None,
        namespace: str | None = None,
        correlation_id: str | None = None,
        remote_address: str | None = None,
        wrap_ttl: int | str | None = None,
    ) -> dict[str, Any] | None:
        """Carry out a request under a token (None: without one)."""
        return await self._pool.run(
            self.sync.request,
            operation,
            path,
            data,
            token=token,
            namespace=namespace,
            correlation_id=correlation_id,
            remote_address=remote_address,
            wrap_ttl=wrap_ttl,
        )

    async def unseal(self, key: Passphrase | RawKey | Shares | KeyWrapper) -> None:
        """Unseal the vault."""
        await self._pool.run(self.sync.unseal, key)

    async def unseal_share(self, share: str | SecretStr) -> bool:
        """Take one key share; whether the vault is unsealed by it."""
        return await self._pool.run(self.sync.unseal_share, share)

    async def seal(self) -> None:
        """Write what waits, and wipe the keys."""
        await self._pool.run(self.sync.seal)

    async def generate_root(self, key: Passphrase | RawKey | Shares | KeyWrapper) -> SecretStr:
        """Make a root token for whoever can open the vault."""
        return await self._pool.run(self.sync.generate_root, key)

    async def verify(self) -> dict[str, int]:
        """Read every record of the store and the whole audit log anew; how many there are."""
        return await self._pool.run(self.sync.verify)

    async def compact(self) -> dict[str, int]:
        """Give disk space back that no record needs any more."""
        return await self._pool.run(self.sync.compact)

    async def tick(self) -> float | None:
        """Do what is due by the vault's clock; when it wants to be called next, in seconds since the Unix epoch."""
        return await self._pool.run(self.sync.tick)

    async def close(self) -> None:
        """Close the vault once what has begun is done. Closing twice is fine; a cancellation does not stop it."""
        if self._pool.closed:
            return
        await asyncio.shield(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        await self._pool.run(self.sync.close)
        self._pool.shut()

    async def __aenter__(self) -> "Vault":
        """Enter a block that ends with ``close``."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the vault."""
        await self.close()


async def create(
    path: str | os.PathLike[str] | None, *, threads: int = THREADS, **options: Unpack[_options.Create]
) -> tuple[Vault, Init]:
    """Make a new vault, as ``libvault.create`` does with the same ``options``; ``threads`` calls of it run at a time.

    A creation that is cancelled may leave a store of which nobody has the root token: remove it, or use ``generate_root``.
    """
    pool, (vault, init) = await _opened(threads, lambda: _create(path, **options))
    return Vault._over(vault, pool), init


async def open(path: str | os.PathLike[str], *, threads: int = THREADS, **options: Unpack[_options.Open]) -> Vault:
    """Open a vault, as ``libvault.open`` does with the same ``options``; sealed where no ``key`` is given.

    An opening that is cancelled ends with the vault closed, once it is open.
    """
    pool, vault = await _opened(threads, lambda: _open(path, **options))
    return Vault._over(vault, pool)


async def restore(
    path: str | os.PathLike[str] | None, file: BinaryIO, *, threads: int = THREADS, **options: Unpack[_options.Restore]
) -> Vault:
    """Write a backup into an empty place and open it, as ``libvault.restore`` does with the same ``options``."""
    pool, vault = await _opened(threads, lambda: _restore(path, file, **options))
    return Vault._over(vault, pool)


def wrap(vault: _native.Vault, *, threads: int = THREADS) -> Vault:
    """Use a vault that is open already from asyncio: ``threads`` calls of it run at a time. Closing either closes both."""
    if not isinstance(vault, _native.Vault):
        raise TypeError("the vault must be a libvault.Vault")
    return Vault._over(vault, _Pool(threads))


async def _opened(threads: int, call: Callable[[], _R]) -> tuple[_Pool, _R]:
    """Open a vault on a pool that is then its own. One whose opener is gone is let go, which closes it."""
    pool = _Pool(threads)
    try:
        return pool, await pool.run(call)
    except BaseException:
        pool.shut()
        raise
