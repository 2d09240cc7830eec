"""Threads, processes and the interpreter's end: what they share of a vault, and what they must not."""

import gc
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

import libvault
from conftest import KEY, World


def exit_code_of_child(work: Callable[[], None]) -> int:
    """Run work in a forked child; 0 when it returned, 1 when it raised, 2 when it hung."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    for _ in range(1000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 2


def test_threads_share_a_vault(world: World) -> None:
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            kv = world.root.kv("secret")
            for round_number in range(20):
                kv.put(f"t{number}/k{round_number}", {"n": round_number})
                assert kv.get(f"t{number}/k{round_number}")["n"] == round_number
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(world.root.kv("secret").list("t7")) == 20
    world.vault.verify()


def test_other_threads_run_while_a_key_is_stretched(tmp_path: pathlib.Path) -> None:
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    vault, _ = libvault.create(tmp_path / "vault", key=libvault.Passphrase("x", memory_kib=65536, iterations=3, lanes=1))
    done.set()
    counter.join()
    vault.close()
    assert turns > 5


def test_a_vault_closed_under_threads_answers_closed_and_nothing_else(world: World) -> None:
    kv = world.root.kv("secret")
    codes: list[int] = []

    def work(number: int) -> None:
        try:
            while True:
                kv.put(f"t{number}", {"k": "v"})
                kv.get(f"t{number}").close()
        except libvault.VaultError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    world.vault.close()
    for thread in threads:
        thread.join()
    assert codes == [110] * 4


def test_racing_seals_and_unseals_leave_a_vault_that_says_what_it_is(world: World) -> None:
    told: set[str] = set()

    def work(call: Callable[[], None]) -> None:
        for _ in range(30):
            try:
                call()
            except Exception as error:
                told.add(str(getattr(error, "code_name", error)))

    calls: list[Callable[[], None]] = [lambda: world.vault.unseal(world.key), world.vault.seal] * 3
    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told <= {"AlreadyUnsealed"}
    world.vault.seal()
    assert world.vault.sealed
    with pytest.raises(libvault.Sealed):
        world.root.request("read", "sys/mounts")
    world.vault.unseal(world.key)
    assert not world.vault.sealed
    world.vault.session(world.token).request("read", "sys/mounts")
    world.vault.verify()


def test_a_child_process_cannot_use_its_parents_vault(world: World, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "vault"
    libvault.create(place, key=KEY)[0].close()
    kv = world.root.kv("secret")
    kv.put("x", {"k": "v"})
    world.vault.start_maintenance()
    sealed = libvault.open(place)
    calls: list[Callable[[], object]] = [
        sealed.seal,
        sealed.close,
        lambda: sealed.unseal(KEY),
        lambda: sealed.session(world.token),
        lambda: kv.get("x"),
        lambda: kv.put("x", {"k": "child"}),
        lambda: world.root.request("read", "sys/mounts"),
        world.vault.tick,
        world.vault.verify,
        world.vault.seal,
        world.vault.start_maintenance,
        lambda: world.vault.unseal(world.key),
        world.vault.close,
    ]

    def child() -> None:
        for number, call in enumerate(calls):
            with pytest.raises(libvault.InvalidRequest) as caught:
                call()
            assert caught.value.code == 111, number

    assert exit_code_of_child(child) == 0
    assert kv.get("x")["k"] == "v"
    sealed.unseal(KEY)
    sealed.close()
    for call in (sealed.seal, sealed.verify, lambda: sealed.unseal(KEY), lambda: sealed.session(world.token)):
        with pytest.raises(libvault.InvalidRequest) as closed:
            call()
        assert closed.value.code == 110


def test_a_child_that_drops_all_handles_harms_neither_itself_nor_its_parent(tmp_path: pathlib.Path) -> None:
    opened = [libvault.create(tmp_path / "vault", key=KEY)]
    opened[0][0].start_maintenance()
    token = opened[0][1].root_token
    kv = opened[0][0].session(token).kv("secret")
    kv.put("x", {"k": "v"})

    def child() -> None:
        nonlocal kv
        opened.clear()
        del kv
        gc.collect()

    assert exit_code_of_child(child) == 0
    kv.put("x", {"k": "after"})
    opened[0][0].close()
    with libvault.open(tmp_path / "vault", key=KEY) as vault:
        assert vault.session(token).kv("secret").get("x")["k"] == "after"
        vault.verify()


def test_maintenance_removes_what_has_expired_until_it_is_stopped(world: World) -> None:
    def records() -> int:
        return world.vault.verify()["records"]

    def mint() -> None:
        world.root.request("write", "auth/token/create", {"policies": ["default"], "ttl": 60})

    mint()
    before = records()
    world.vault.start_maintenance()
    world.vault.start_maintenance()
    world.clock.advance(10_000)
    deadline = time.monotonic() + 20
    while records() >= before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert records() < before
    world.vault.stop_maintenance()
    world.vault.stop_maintenance()
    mint()
    left = records()
    world.clock.advance(10_000)
    time.sleep(0.3)
    assert records() >= left
    world.vault.seal()
    with pytest.raises(libvault.Sealed):
        world.vault.start_maintenance()


def test_an_interpreter_that_ends_without_closing_loses_nothing(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "vault"
    work = f"""
import libvault
vault, init = libvault.create({str(place)!r}, key=libvault.RawKey(bytes(range(32))))
vault.start_maintenance()
kv = vault.session(init.root_token).kv("secret")
kv.put("x", {{"k": "v"}})
kv.get("x")
print(init.root_token.expose())
"""
    ended = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""
    with libvault.open(place, key=KEY) as vault:
        session = vault.session(ended.stdout.strip())
        assert session.kv("secret").get("x")["k"] == "v"
        events = session.request("read", "sys/audit-log/events", {"limit": 1000})
        assert events is not None
        # The read's record waited in the queue when the interpreter ended.
        assert [event["operation"] for event in events["data"]["events"] if event["path"] == "secret/data/x"][:2] == ["write", "read"]


def test_a_vault_that_is_let_go_frees_its_store(tmp_path: pathlib.Path) -> None:
    vault, _ = libvault.create(tmp_path / "vault", key=KEY)
    vault.start_maintenance()
    del vault
    gc.collect()
    with pytest.raises(libvault.InvalidRequest):
        libvault.open(tmp_path / "vault", key=libvault.RawKey(bytes(32)))
    libvault.open(tmp_path / "vault", key=KEY).close()


def test_a_closed_session_lets_go_of_its_token_and_no_other(world: World) -> None:
    with world.vault.session(world.token) as session:
        kv = session.kv("secret")
        kv.put("x", {"k": "v"})
    for call in (lambda: session.request("read", "sys/mounts"), lambda: kv.get("x")):
        with pytest.raises(libvault.InvalidRequest) as caught:
            call()
        assert caught.value.code == 110
    session.close()
    assert world.root.kv("secret").get("x")["k"] == "v"
