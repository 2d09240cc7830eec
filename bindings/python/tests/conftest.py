"""What the tests share: a key that costs little, and the vault in memory that the package brings for tests."""

import pytest

import libvault
from libvault.testing import START, MemoryVault

__all__ = ["KEY", "START", "World"]

KEY = libvault.RawKey(bytes(range(32)))
World = MemoryVault


@pytest.fixture
def world(memory_vault: MemoryVault) -> MemoryVault:
    """The vault that most tests begin with."""
    return memory_vault
