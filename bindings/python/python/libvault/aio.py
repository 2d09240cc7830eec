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
import concurrent.futures
import contextvars
import functools
import os
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, Generic, ParamSpec, TypeVar, Unpack

from . import _native, _options, errors
from . import create as _create
from . import open as _open
from . import restore as _restore
from ._native import Init, SecretSnapshot, SecretStr

__all__ = ["THREADS", "Emergency", "Kv", "LiveSecret", "Rotation", "Session", "Vault", "create", "open", "restore", "wrap"]

THREADS = 4
"""How many calls of one vault run at a time, unless told otherwise."""

_THREADS_MAX = 256

_P = ParamSpec("_P")
_R = TypeVar("_R")
_N = TypeVar("_N")


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


class _Face(Generic[_N]):
    """What is asked for without asyncio, and the threads that ask for it."""

    def __init__(self, native: _N, pool: _Pool) -> None:
        """Is made by what it belongs to."""
        self._native = native
        self._pool = pool


def _asks(call: Callable[Concatenate[Any, _P], _R]) -> Callable[[Callable[[Any], None]], Callable[Concatenate[Any, _P], Coroutine[Any, Any, _R]]]:
    """Make a method of a face: the native one with its arguments and its answer, on a thread of the pool. Name and description are those of what it decorates."""

    def named(by: Callable[[Any], None]) -> Callable[Concatenate[Any, _P], Coroutine[Any, Any, _R]]:
        async def method(self: Any, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            answer: _R = await self._pool.run(call, self._native, *args, **kwargs)
            return answer

        functools.update_wrapper(method, by)
        # Whoever asks for the signature is told the native one's.
        method.__wrapped__ = call  # type: ignore[attr-defined]
        return method

    return named


class LiveSecret(_Face[_native.LiveSecret]):
    """A secret that stays current; the methods are those of ``libvault.LiveSecret``. Use it in ``async with``, or leave it to the end of the vault."""

    @property
    def is_current(self) -> bool:
        """Whether what was read last is still what a read would give; this itself never waits."""
        return self._native.is_current

    @_asks(_native.LiveSecret.get)
    def get(self) -> None:
        """Give the secret as it is now; the store is asked only when something has changed."""

    @_asks(_native.LiveSecret.refresh)
    def refresh(self) -> None:
        """Read the secret whether it has changed or not."""

    @_asks(_native.LiveSecret.newer_than)
    def newer_than(self) -> None:
        """Read the secret anew, unless that was done since ``snapshot`` was given."""

    async def with_retry(
        self, attempt: Callable[[SecretSnapshot], Awaitable[_R]], retry_on: type[BaseException] | tuple[type[BaseException], ...]
    ) -> _R:
        """Await ``attempt(secret)``; when it raises ``retry_on``, since the credential was refused, read the secret anew and try once more."""
        used = await self.get()
        try:
            return await attempt(used)
        except retry_on:
            newer = await self.newer_than(used)
        return await attempt(newer)

    async def on_change(self, listener: Callable[[SecretSnapshot | errors.VaultError], object] | None) -> None:
        """Call ``listener(news)`` in this event loop whenever a tick finds another content, or that the secret can no longer be read; None ends it."""
        if listener is not None and not callable(listener):
            raise TypeError("a listener must be callable")
        loop = asyncio.get_running_loop()

        def tell(news: SecretSnapshot | errors.VaultError) -> None:
            # A loop that has ended has nobody left to tell.
            if listener is not None and not loop.is_closed():
                loop.call_soon_threadsafe(listener, news)

        await self._pool.run(self._native.on_change, None if listener is None else tell)

    async def close(self) -> None:
        """Let go of the secret and of the listener. Closing twice is fine."""
        if not self._pool.closed:
            await self._pool.run(self._native.close)

    async def __aenter__(self) -> "LiveSecret":
        """Enter a block that ends with ``close``."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the live secret."""
        await self.close()


class Kv(_Face[_native.Kv]):
    """The secrets below one KV version 2 mount; the methods are those of ``libvault.Kv``."""

    def live(self, path: str) -> LiveSecret:
        """Make a live secret, which is read at its first use."""
        return LiveSecret(self._native.live(path), self._pool)

    @_asks(_native.Kv.get)
    def get(self) -> None:
        """Read a secret: its newest version, or the one with that number."""

    @_asks(_native.Kv.put)
    def put(self) -> None:
        """Write a new version; with ``cas`` only if that is the number of the current one (0: none yet)."""

    @_asks(_native.Kv.patch)
    def patch(self) -> None:
        """Merge a JSON merge patch into the newest version."""

    @_asks(_native.Kv.subkeys)
    def subkeys(self) -> None:
        """Read the names of a version's members, without their contents."""

    @_asks(_native.Kv.list)
    def list(self) -> None:
        """Read the names directly below a folder, in order; with ``limit`` a page of them after the name ``after``."""

    @_asks(_native.Kv.delete)
    def delete(self) -> None:
        """Delete the newest version; it can be undeleted."""

    @_asks(_native.Kv.delete_versions)
    def delete_versions(self) -> None:
        """Delete these versions; they can be undeleted."""

    @_asks(_native.Kv.undelete_versions)
    def undelete_versions(self) -> None:
        """Bring deleted versions back."""

    @_asks(_native.Kv.destroy_versions)
    def destroy_versions(self) -> None:
        """Remove the content of these versions for good."""

    @_asks(_native.Kv.metadata)
    def metadata(self) -> None:
        """Read what is known of a secret without its content."""

    @_asks(_native.Kv.set_metadata)
    def set_metadata(self) -> None:
        """Write settings of a secret, and what its users say about it; what is not given stays."""

    @_asks(_native.Kv.patch_custom_metadata)
    def patch_custom_metadata(self) -> None:
        """Change what users say about a secret, member by member; None removes."""

    @_asks(_native.Kv.config)
    def config(self) -> None:
        """Read the settings of the mount."""

    @_asks(_native.Kv.set_config)
    def set_config(self) -> None:
        """Write settings of the mount; what is not given stays."""

    @_asks(_native.Kv.delete_metadata)
    def delete_metadata(self) -> None:
        """Remove a secret with all its versions and metadata for good."""


class Emergency(_Face[_native.Emergency]):
    """What is done once a secret is out; the methods are those of ``libvault.Emergency``."""

    @_asks(_native.Emergency.look)
    def look(self) -> None:
        """Tell who has read what is out, and which leases hang on it."""

    @_asks(_native.Emergency.contain)
    def contain(self) -> None:
        """End what a look finds: tokens, leases, credentials."""

    @_asks(_native.Emergency.quarantine)
    def quarantine(self) -> None:
        """Hold a token still, with all that it has made, or an entity."""

    @_asks(_native.Emergency.release)
    def release(self) -> None:
        """Let a token, or an entity, go on that was held still."""


class Rotation(_Face[_native.Rotation]):
    """The static roles of one database mount; the methods are those of ``libvault.Rotation``."""

    @_asks(_native.Rotation.creds)
    def creds(self) -> None:
        """Read the account of a role with its password as it is now."""

    @_asks(_native.Rotation.status)
    def status(self) -> None:
        """Tell where the rotation of a role stands, and what to do."""

    @_asks(_native.Rotation.rotate)
    def rotate(self) -> None:
        """Replace a role's password now."""

    @_asks(_native.Rotation.rehearse)
    def rehearse(self) -> None:
        """Go through a rotation without promoting anything, and report."""

    @_asks(_native.Rotation.roll_back)
    def roll_back(self) -> None:
        """Take back a run that has begun, or in its grace the promotion."""

    @_asks(_native.Rotation.retry)
    def retry(self) -> None:
        """Go on with a rotation that had stopped."""

    @_asks(_native.Rotation.end_grace)
    def end_grace(self) -> None:
        """Retire the old credential now."""

    @_asks(_native.Rotation.adopt)
    def adopt(self) -> None:
        """Take over a password that was set at the target by hand, once a login with it works."""


class Session(_Face[_native.Session]):
    """The requests of one token; use it in ``async with``, or leave it to the end of the vault."""

    @_asks(_native.Session.request)
    def request(self) -> None:
        """Carry out a request: read, list, write, patch or delete."""

    def namespace(self, path: str) -> "Session":
        """Make a session of the same token in a namespace below."""
        return Session(self._native.namespace(path), self._pool)

    def kv(self, mount: str) -> Kv:
        """Give the KV version 2 secrets engine that is mounted at ``mount``."""
        return Kv(self._native.kv(mount), self._pool)

    def emergency(self) -> Emergency:
        """Give what is done once a secret is out."""
        return Emergency(self._native.emergency(), self._pool)

    def rotation(self, mount: str = "database") -> Rotation:
        """Give the static roles of the database mount at ``mount``."""
        return Rotation(self._native.rotation(mount), self._pool)

    def live(self, path: str) -> LiveSecret:
        """Make a live secret of what is read at a path of an engine; it is read at its first use."""
        return LiveSecret(self._native.live(path), self._pool)

    @_asks(_native.Session.export_audit)
    def export_audit(self) -> None:
        """Write the events of the audit log to a binary file, which is written to from the pool's thread."""

    @_asks(_native.Session.backup)
    def backup(self) -> None:
        """Write a backup to a binary file, which is written to from the pool's thread."""

    async def close(self) -> None:
        """Let go of the token. Closing twice is fine."""
        if not self._pool.closed:
            await self._pool.run(self._native.close)

    async def __aenter__(self) -> "Session":
        """Enter a block that ends with ``close``."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the session."""
        await self.close()


class Vault(_Face[_native.Vault]):
    """An open vault; use it in ``async with``, which closes it. ``sync`` is the vault itself, for code that has no event loop."""

    def __init__(self) -> None:
        """Is made by ``create``, ``open``, ``restore`` and ``wrap``."""
        raise TypeError("a vault is made by create, open, restore or wrap")

    @classmethod
    def _over(cls, vault: _native.Vault, pool: _Pool) -> "Vault":
        made = cls.__new__(cls)
        made._native, made._pool = vault, pool
        return made

    @property
    def sync(self) -> _native.Vault:
        """The vault itself."""
        return self._native

    @property
    def sealed(self) -> bool:
        """Whether the keys are out of memory."""
        return self._native.sealed

    @property
    def frozen(self) -> bool:
        """Whether the vault was restored and not yet adopted."""
        return self._native.frozen

    def session(self, token: str | SecretStr) -> Session:
        """Make a session under a token, which is looked at with each request; this itself never waits."""
        return Session(self._native.session(token), self._pool)

    @_asks(_native.Vault.request)
    def request(self) -> None:
        """Carry out a request under a token (None: without one)."""

    @_asks(_native.Vault.unseal)
    def unseal(self) -> None:
        """Unseal the vault."""

    @_asks(_native.Vault.unseal_share)
    def unseal_share(self) -> None:
        """Take one key share; whether the vault is unsealed by it."""

    @_asks(_native.Vault.reset_unseal)
    def reset_unseal(self) -> None:
        """Forget the key shares that were given so far."""

    @_asks(_native.Vault.seal)
    def seal(self) -> None:
        """Write what waits, and wipe the keys."""

    @_asks(_native.Vault.seal_status)
    def seal_status(self) -> None:
        """Tell whether the vault is sealed, its key slots, and how many key shares are given and needed."""

    @_asks(_native.Vault.metrics)
    def metrics(self) -> None:
        """Give what the vault has counted, in the text format of Prometheus."""

    @_asks(_native.Vault.generate_root)
    def generate_root(self) -> None:
        """Make a root token for whoever can open the vault."""

    @_asks(_native.Vault.verify)
    def verify(self) -> None:
        """Read every record of the store and the whole audit log anew; how many there are."""

    @_asks(_native.Vault.compact)
    def compact(self) -> None:
        """Give disk space back that no record needs any more."""

    @_asks(_native.Vault.tick)
    def tick(self) -> None:
        """Do what is due by the vault's clock; when it wants to be called next, in seconds since the Unix epoch."""

    @_asks(_native.Vault.start_maintenance)
    def start_maintenance(self) -> None:
        """Let a thread of the library's own tick from now on."""

    @_asks(_native.Vault.stop_maintenance)
    def stop_maintenance(self) -> None:
        """End that thread, and wait for its end."""

    async def close(self) -> None:
        """Close the vault once what has begun is done. Closing twice is fine; a cancellation does not stop it."""
        if self._pool.closed:
            return
        await asyncio.shield(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        await self._pool.run(self._native.close)
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
