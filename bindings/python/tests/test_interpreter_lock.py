"""The interpreter's lock is let go while the vault works: others advance inside the time of one long call.

How far they come depends on the machine; that they come on at all does not. So each test looks for moments of the other thread
strictly inside of the call's time, where a call that held the lock would leave none.
"""

import pathlib
import threading
import time
from collections.abc import Callable

import pytest

import libvault
from conftest import KEY, World

DEAR = {"memory_kib": 65_536, "iterations": 3, "lanes": 1}
"""A passphrase that takes some tenths of a second to stretch."""



def moments_during(call: Callable[[], object], work: Callable[[], object]) -> tuple[int, float]:
    """Do work in another thread, again and again; how many turns lay wholly inside the call, and how long that was."""
    turns: list[tuple[float, float]] = []
    running, done = threading.Event(), threading.Event()

    def others() -> None:
        while not done.is_set():
            began = time.monotonic()
            work()
            turns.append((began, time.monotonic()))
            running.set()

    thread = threading.Thread(target=others)
    thread.start()
    try:
        assert running.wait(30)
        began = time.monotonic()
        call()
        ended = time.monotonic()
    finally:
        done.set()
        thread.join()
    return sum(began < start and end < ended for start, end in turns), ended - began


def test_secrets_are_read_while_a_key_is_stretched(world: World) -> None:
    kv = world.root.kv("secret")
    kv.put("x", {"k": "v"})
    # The interpreter hands the lock over every 5 ms, so a few turns are far more than the edges of a call could give.
    turns, seconds = moments_during(lambda: libvault.create(None, key=libvault.Passphrase("x", **DEAR)), lambda: kv.get("x").close())
    assert turns >= 10, f"{turns} reads in {seconds:.2f} s"


@pytest.mark.parametrize("call", ["open", "unseal", "doctor", "verify"])
def test_python_goes_on_while_a_call_lasts(tmp_path: pathlib.Path, call: str) -> None:
    place, key = tmp_path / "vault", libvault.Passphrase("x", **DEAR)
    vault, init = libvault.create(place, key=[key, KEY])
    kv = vault.session(init.root_token).kv("secret")
    for number in range(40 if call == "verify" else 0):
        kv.put(f"n{number}", {"k": "x" * 500_000})
    if call in ("open", "doctor"):
        vault.close()
    elif call == "unseal":
        vault.seal()
    calls: dict[str, Callable[[], object]] = {
        "open": lambda: libvault.open(place, key=key),
        "unseal": lambda: vault.unseal(key),
        "doctor": lambda: libvault.doctor(place, key=key),
        "verify": vault.verify,
    }
    turns, seconds = moments_during(calls[call], lambda: time.sleep(0.0005))
    assert turns >= 5, f"{turns} turns in {seconds:.3f} s"


def test_two_vaults_make_progress_side_by_side() -> None:
    """Each of two threads stretches keys of its own; neither waits until the other is done with all of its."""
    ends: list[tuple[int, float]] = []

    def work(number: int) -> None:
        for _ in range(4):
            libvault.create(None, key=libvault.Passphrase("x", memory_kib=32_768, iterations=3, lanes=1))[0].close()
            ends.append((number, time.monotonic()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = {number: min(at for one, at in ends if one == number) for number in range(2)}
    last = {number: max(at for one, at in ends if one == number) for number in range(2)}
    assert first[0] < last[1] and first[1] < last[0]
