"""Vaults from asyncio: the same answers, a loop that goes on, a pool that is bounded, and what a cancellation does."""

import asyncio
import contextvars
import inspect
import io
import os
import pathlib
import threading
import time
from typing import Any

import pytest

import libvault
import libvault.aio
from conftest import KEY, World


class Gate(libvault.KeyWrapper):
    """A key service that lets nobody through until it is opened: a call that lasts as long as a test wants."""

    name = "gate"

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.asked = 0

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return key

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        self.asked += 1
        self.waiting.release()
        assert self.opened.wait(30)
        return wrapped


def create_behind(gate: Gate, place: pathlib.Path | None = None) -> libvault.Vault:
    """Make a vault, which goes through the gate once, and shut the gate behind it."""
    gate.opened.set()
    vault, _ = libvault.create(place, key=[gate, KEY])
    gate.opened.clear()
    gate.waiting, gate.asked = threading.Semaphore(0), 0
    vault.seal()
    return vault


async def begun(gate: Gate) -> None:
    """Wait until a call stands at the gate."""
    while not gate.waiting.acquire(blocking=False):
        await asyncio.sleep(0.001)


def test_a_secret_goes_its_way_on_disk(tmp_path: pathlib.Path) -> None:
    async def story() -> None:
        vault, init = await libvault.aio.create(tmp_path / "vault", key=KEY)
        async with vault, vault.session(init.root_token) as root:
            kv = root.kv("secret")
            assert (await kv.put("app/db", {"a": 1})).version == 1
            assert (await kv.patch("app/db", {"b": 2}, cas=1)).version == 2
            with await kv.get("app/db", version=2) as secret:
                assert secret.expose() == {"a": 1, "b": 2}
            assert await kv.subkeys("app/db", depth=1) == {"a": None, "b": None}
            assert await kv.list() == ["app/"] and await kv.list("app", limit=1) == ["db"]
            await kv.delete("app/db")
            with pytest.raises(libvault.NotFound) as deleted:
                await kv.get("app/db")
            assert deleted.value.data is not None
            await kv.undelete_versions("app/db", [2])
            await kv.delete_versions("app/db", [1])
            await kv.destroy_versions("app/db", [1])
            await kv.set_metadata("app/db", custom_metadata={"owner": "team"})
            await kv.patch_custom_metadata("app/db", {"use": "db"})
            assert (await kv.metadata("app/db"))["custom_metadata"] == {"owner": "team", "use": "db"}
            await kv.set_config(max_versions=3)
            assert (await kv.config())["max_versions"] == 3
            backup, events = io.BytesIO(), io.BytesIO()
            assert (await root.backup(backup))["records"] > 5 and await root.export_audit(events) > 5
            backup.seek(0)
            async with await libvault.aio.restore(None, backup, key=KEY) as restored:
                assert restored.frozen and not restored.sealed
            await root.request("write", "sys/namespaces/team")
            assert await root.namespace("team").kv("secret").put("x", {"k": "v"})
            await kv.delete_metadata("app/db")
            assert await vault.request("read", "sys/seal-status") and await vault.tick()
            assert (await vault.verify())["records"] > 5 and (await vault.compact())["bytes_after"] > 0
        async with await libvault.aio.open(tmp_path / "vault") as vault:
            assert vault.sealed
            with pytest.raises(libvault.Sealed):
                vault.session(init.root_token)
            await vault.unseal(KEY)
            await vault.seal()
            await vault.unseal(KEY)
            assert not (await vault.generate_root(KEY) == init.root_token)

    asyncio.run(story())


def test_key_shares_unseal(tmp_path: pathlib.Path) -> None:
    async def story() -> list[bool]:
        vault, init = await libvault.aio.create(None, key=libvault.Shamir(3, 2))
        async with vault:
            await vault.seal()
            return [await vault.unseal_share(share) for share in init.shares[:2]]

    assert asyncio.run(story()) == [False, True]


def test_the_loop_goes_on_while_a_call_lasts() -> None:
    async def story() -> None:
        gate = Gate()
        async with libvault.aio.wrap(create_behind(gate)) as vault:
            unsealing = asyncio.create_task(vault.unseal(gate))
            await begun(gate)
            turns = 0
            for _ in range(100):
                await asyncio.sleep(0)
                turns += not unsealing.done()
            assert turns == 100
            gate.opened.set()
            await unsealing
            assert not vault.sealed

    asyncio.run(story())


def test_no_more_calls_run_than_there_are_threads() -> None:
    running, most, lock = 0, 0, threading.Lock()

    class Counting(io.BytesIO):
        def write(self, data: Any) -> int:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return len(data)

    async def story() -> None:
        vault, init = await libvault.aio.create(None, key=KEY, threads=3)
        async with vault:
            root = vault.session(init.root_token)
            await asyncio.gather(*(root.export_audit(Counting()) for _ in range(12)))

    asyncio.run(story())
    assert most == 3


def test_a_call_that_is_cancelled_while_it_waits_is_never_made() -> None:
    async def story() -> None:
        gate = Gate()
        async with libvault.aio.wrap(create_behind(gate), threads=1) as vault:
            first = asyncio.create_task(vault.unseal(gate))
            await begun(gate)
            second = asyncio.create_task(vault.unseal(gate))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            gate.opened.set()
            await first
        assert gate.asked == 1

    asyncio.run(story())


def test_a_call_that_is_cancelled_once_it_has_begun_is_carried_out() -> None:
    async def story() -> None:
        gate = Gate()
        async with libvault.aio.wrap(create_behind(gate)) as vault:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await vault.unseal(gate)
            assert vault.sealed
            gate.opened.set()
            while vault.sealed:
                await asyncio.sleep(0.001)

    asyncio.run(story())


def test_an_opening_that_is_cancelled_leaves_the_store_to_others(tmp_path: pathlib.Path) -> None:
    gate = Gate()
    create_behind(gate, tmp_path / "vault").close()

    async def story() -> None:
        opening = asyncio.create_task(libvault.aio.open(tmp_path / "vault", key=gate))
        await begun(gate)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        gate.opened.set()
        for _ in range(1000):
            try:
                await (await libvault.aio.open(tmp_path / "vault", key=KEY)).close()
                return
            except libvault.InvalidRequest as error:
                assert error.code_name == "StoreLocked"
            await asyncio.sleep(0.01)
        raise AssertionError("the store is still held")

    asyncio.run(story())


def test_a_closing_that_is_cancelled_goes_on(tmp_path: pathlib.Path) -> None:
    async def story() -> None:
        vault, _ = await libvault.aio.create(tmp_path / "vault", key=KEY)
        closing = asyncio.create_task(vault.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        while not vault.sync.seal_status()["closed"]:
            await asyncio.sleep(0.001)

    asyncio.run(story())


def test_what_is_closed_says_so_and_may_be_closed_again(world: World) -> None:
    async def story() -> None:
        vault = libvault.aio.wrap(world.vault)
        session = vault.session(world.token)
        kv = session.kv("secret")
        await vault.close()
        await vault.close()
        await session.close()
        for call in (lambda: kv.get("x"), lambda: session.request("read", "sys/mounts"), vault.tick, vault.seal):
            with pytest.raises(libvault.InvalidRequest) as closed:
                await call()
            assert (closed.value.code, closed.value.code_name) == (110, "Closed")

    asyncio.run(story())


def test_a_child_process_is_told_instead_of_waiting_for_ever(world: World) -> None:
    async def calls(vault: libvault.aio.Vault) -> None:
        for call in (vault.tick, vault.close, vault.session("x").close):
            try:
                await call()
            except libvault.InvalidRequest as error:
                assert (error.code, error.code_name) == (111, "Forked")
            else:
                raise AssertionError("a call in the child was answered")

    vault = libvault.aio.wrap(world.vault)
    asyncio.run(vault.tick())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(asyncio.wait_for(calls(vault), 20))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_several_loops_and_many_tasks_share_a_vault(world: World) -> None:
    vault = libvault.aio.wrap(world.vault)
    kv = vault.session(world.token).kv("secret")

    async def some(loop: int) -> None:
        await asyncio.gather(*(kv.put(f"l{loop}/t{task}", {"n": task}) for task in range(20)))

    for loop in range(3):
        asyncio.run(some(loop))
    assert len(world.root.kv("secret").list("l2")) == 20


def test_the_context_of_the_caller_is_there_in_callbacks(world: World) -> None:
    request_id = contextvars.ContextVar("request_id", default="none")
    seen: list[str] = []

    class Looking(io.BytesIO):
        def write(self, data: Any) -> int:
            seen.append(request_id.get())
            return len(data)

    async def story() -> None:
        request_id.set("r-1")
        await libvault.aio.wrap(world.vault).session(world.token).export_audit(Looking())

    asyncio.run(story())
    assert set(seen) == {"r-1"}


@pytest.mark.parametrize("threads", [0, -1, 257, 10**30])
def test_a_pool_has_from_1_to_256_threads(world: World, threads: int) -> None:
    with pytest.raises(libvault.InvalidRequest):
        libvault.aio.wrap(world.vault, threads=threads)


SAME = ["Kv", "LiveSecret", "Rotation", "Session", "Vault"]
NEVER_WAITS = {"Kv": {"live"}, "Session": {"kv", "live", "namespace", "rotation"}, "Vault": {"session"}}
"""What only looks at its arguments: a call of it, with asyncio or without, is no coroutine."""
BY_TO_THREAD = {"doctor", "salvage", "verify_backup"}
"""Calls of operators that docs/python.md leaves to `asyncio.to_thread`."""


def calls(kind: type) -> dict[str, Any]:
    """Give the public methods of a class."""
    return {name: getattr(kind, name) for name, value in vars(kind).items() if name[0] != "_" and callable(value)}


@pytest.mark.parametrize("name", SAME)
def test_each_method_is_there_with_the_same_arguments_and_is_awaited(name: str) -> None:
    def signatures(kind: type) -> dict[str, list[tuple[str, object]]]:
        return {name: [(p.name, p.default) for p in inspect.signature(call).parameters.values()] for name, call in calls(kind).items()}

    face = getattr(libvault.aio, name)
    assert signatures(getattr(libvault, name)) == signatures(face)
    assert {method for method, call in calls(face).items() if not inspect.iscoroutinefunction(call)} == NEVER_WAITS.get(name, set())
    assert all(inspect.getdoc(call) for call in calls(face).values())


def test_each_function_is_there_or_left_to_a_thread() -> None:
    functions = {name for name in libvault.__all__ if inspect.isroutine(getattr(libvault, name))}
    assert functions - BY_TO_THREAD == {name for name in libvault.aio.__all__ if inspect.isroutine(getattr(libvault.aio, name))} - {"wrap"}


def test_a_live_secret_is_read_used_and_listened_to(world: World) -> None:
    async def story() -> None:
        vault = libvault.aio.wrap(world.vault)
        kv = vault.session(world.token).kv("secret")
        await kv.put("app/db", {"password": "one"})
        async with kv.live("app/db") as live:
            assert not live.is_current
            with await live.get() as secret:
                assert (secret.version, live.is_current) == (1, True)
            told: asyncio.Queue[Any] = asyncio.Queue()
            await live.on_change(told.put_nowait)
            await kv.put("app/db", {"password": "two"})
            assert not live.is_current
            await vault.tick()
            assert (await asyncio.wait_for(told.get(), 20)).version == 2
            await live.on_change(None)
            with pytest.raises(TypeError):
                await live.on_change(7)  # type: ignore[arg-type]
            assert (await live.refresh()).version == 2
        by_path = vault.session(world.token).live("secret/data/app/db")
        assert (await by_path.get()).expose()["data"] == {"password": "two"}
        await by_path.close()
        with pytest.raises(libvault.InvalidRequest):
            await by_path.get()

    asyncio.run(story())


def test_an_attempt_that_is_refused_is_made_once_more_with_what_is_read_anew(world: World) -> None:
    class Refused(Exception):
        pass

    async def story() -> None:
        kv = libvault.aio.wrap(world.vault).session(world.token).kv("secret")
        await kv.put("app/db", {"password": "one"})
        live = kv.live("app/db")
        tried: list[int | None] = []

        async def log_in(secret: libvault.SecretSnapshot) -> str:
            tried.append(secret.version)
            if secret.version == 1:
                await kv.put("app/db", {"password": "two"})
                raise Refused
            return str(secret["password"])

        assert await live.with_retry(log_in, Refused) == "two"
        assert tried == [1, 2]

        async def never(secret: libvault.SecretSnapshot) -> None:
            tried.append(secret.version)
            raise Refused

        with pytest.raises(Refused):
            await live.with_retry(never, (Refused, OSError))
        assert tried == [1, 2, 2, 2]

    asyncio.run(story())


def test_rotation_answers_as_without_asyncio(world: World) -> None:
    async def story() -> None:
        rotation = libvault.aio.wrap(world.vault).session(world.token).rotation("nowhere")
        for call in (rotation.creds("app"), rotation.rotate("app"), rotation.adopt("app", "x")):
            with pytest.raises(libvault.VaultError):
                await call

    asyncio.run(story())
