"""What the tests share: keys that cost little, and a vault in memory with a clock of its own."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import libvault

KEY = libvault.RawKey(bytes(range(32)))
START = 1_795_457_040.0


@dataclass
class World:
    """A vault in memory, a session under its root token, and its clock."""

    vault: libvault.Vault
    root: libvault.Session
    token: libvault.SecretStr
    clock: libvault.ManualClock


@pytest.fixture
def world() -> Iterator[World]:
    clock = libvault.ManualClock(START)
    vault, init = libvault.create(None, key=KEY, clock=clock)
    with vault:
        yield World(vault, vault.session(init.root_token), init.root_token, clock)
