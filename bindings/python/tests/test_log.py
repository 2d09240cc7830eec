"""The log: what the vault has to say goes to a logger of the program's, if it gives one, and no request waits for it."""

import logging

import pytest

import libvault
from libvault.testing import memory_vault

LOGGER = logging.getLogger("libvault")


class Down(libvault.AuditSink):
    """A sink that takes nothing until it is mended."""

    name = "collector"
    down = True

    def deliver(self, lines: object) -> None:
        if self.down:
            raise OSError("the collector is down")


def test_a_sink_that_takes_nothing_is_told_by_the_tick_and_so_is_that_it_takes_again(caplog: pytest.LogCaptureFixture) -> None:
    sink = Down()
    with caplog.at_level(logging.INFO, "libvault"), memory_vault(audit_sinks=[sink], log=LOGGER) as world:
        world.root.kv("secret").put("a", {})
        assert caplog.records == []
        world.vault.tick()
        (record,) = caplog.records
        assert (record.name, record.levelname) == ("libvault", "WARNING")
        assert (record.vault_topic, record.vault_code, record.vault_count) == ("sink", None, 1)  # type: ignore[attr-defined]
        assert record.getMessage().startswith("sink: ") and "collector" in record.getMessage()
        sink.down = False
        world.clock.advance(60)
        world.vault.tick()
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_sealing_and_wrong_keys_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "libvault"), memory_vault(log=LOGGER) as world:
        world.vault.seal()
        with pytest.raises(libvault.InvalidRequest):
            world.vault.unseal(libvault.RawKey(bytes(32)))
        world.vault.unseal(world.key)
        assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


def test_nothing_is_logged_unless_a_logger_is_given(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), memory_vault(audit_sinks=[Down()]) as world:
        world.vault.tick()
    assert caplog.records == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_logger_that_raises_disturbs_nothing() -> None:
    class Broken(logging.Logger):
        def log(self, level: int, msg: object, *args: object, **kwargs: object) -> None:
            raise RuntimeError("no")

    with memory_vault(audit_sinks=[Down()], log=Broken("broken")) as world:
        world.vault.tick()
        assert world.root.kv("secret").put("a", {}).version == 1


@pytest.mark.parametrize("bad", [1, "libvault", object(), []])
def test_what_is_no_logger_is_refused(bad: object) -> None:
    with pytest.raises(TypeError, match="logger"):
        libvault.create(None, key=libvault.RawKey(bytes(32)), log=bad)  # type: ignore[arg-type]
