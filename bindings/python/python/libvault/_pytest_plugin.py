"""What pytest loads of libvault by itself (entry point ``libvault``; ``-p no:libvault`` leaves it out)."""

from collections.abc import Iterator

import pytest

from . import testing


@pytest.fixture(name="memory_vault")
def _memory_vault() -> Iterator[testing.MemoryVault]:
    """A libvault vault in memory with a manual clock and a root session, a new one for each test: libvault.testing.MemoryVault."""
    with testing.memory_vault() as world:
        yield world
