"""Live secrets from Python: current at each call, asked of the store only when something has changed, and tried once more when refused."""

import pickle
import threading

import pytest

import libvault
from conftest import World


class Refused(Exception):
    """What a target raises when it refuses a credential."""


def held(world: World) -> libvault.LiveSecret:
    world.root.kv("secret").put("x", {"password": "one", "nested": {"a": [1]}})
    live = world.root.kv("secret").live("x")
    assert not live.is_current
    with live.get() as secret:
        assert secret["password"] == "one"
    assert live.is_current
    return live


def reads(world: World) -> int:
    reply = world.root.request("read", "sys/audit-log/events", {"limit": 1000})
    assert reply is not None
    return sum(event["path"] == "secret/data/x" and event["operation"] == "read" for event in reply["data"]["events"])


def test_a_new_version_is_seen_at_the_next_call_and_read_once(world: World) -> None:
    live = held(world)
    world.root.kv("secret").put("x", {"password": "two"})
    assert not live.is_current
    for _ in range(100):
        assert (live.get()["password"], live.get().version) == ("two", 2)
    assert reads(world) == 2
    assert live.refresh().version == 2
    assert reads(world) == 3


def test_what_a_read_would_be_refused_is_refused(world: World) -> None:
    live = held(world)
    world.root.kv("secret").delete("x")
    with pytest.raises(libvault.NotFound) as raised:
        live.get()
    assert raised.value.data is not None
    assert raised.value.data["metadata"]["version"] == 1
    world.vault.seal()
    with pytest.raises(libvault.Sealed):
        live.get()
    with pytest.raises(libvault.InvalidRequest):
        world.root.live("sys/../x")


def test_a_path_of_any_engine_can_be_live(world: World) -> None:
    world.root.request("write", "cubbyhole/x", {"password": "one"})
    live = world.root.live("cubbyhole/x")
    secret = live.get()
    assert (secret.version, secret.expose(), live.is_current) == (None, {"password": "one"}, True)
    with pytest.raises(libvault.InvalidRequest):
        world.root.live("sys/mounts").get()


def test_a_snapshot_is_a_mapping_until_it_is_closed(world: World) -> None:
    live = held(world)
    secret = live.get()
    assert (secret.keys(), list(secret), len(secret)) == (["nested", "password"], ["nested", "password"], 2)
    assert secret.values() == [{"a": [1]}, "one"] and secret.items()[1] == ("password", "one")
    assert "password" in secret and "other" not in secret and 1 not in secret
    assert (secret.get("other"), secret.get("other", 5)) == (None, 5)
    with pytest.raises(KeyError):
        secret["other"]
    assert "one" not in repr(secret) + repr(live)
    for closed in (secret, live):
        with pytest.raises(TypeError):
            pickle.dumps(closed)
    with secret:
        pass
    with pytest.raises(libvault.InvalidRequest):
        secret["password"]
    # The live secret keeps what it holds.
    assert live.get()["password"] == "one"
    live.close()
    live.close()
    with pytest.raises(libvault.InvalidRequest):
        live.get()


def test_a_refused_credential_is_read_anew_and_tried_once_more(world: World) -> None:
    live = held(world)
    tried: list[str] = []

    def log_in(secret: libvault.SecretSnapshot) -> int:
        tried.append(secret["password"])
        if len(tried) == 1:
            world.root.kv("secret").put("x", {"password": "two"})
        if secret["password"] != "two":
            raise Refused
        return len(tried)

    assert live.with_retry(log_in, Refused) == 2
    assert (tried, reads(world)) == (["one", "two"], 2)


def test_a_refusal_is_never_tried_a_third_time_and_another_error_not_at_all(world: World) -> None:
    live = held(world)
    tried: list[int] = []

    def fail(_secret: libvault.SecretSnapshot) -> None:
        tried.append(1)
        raise Refused

    with pytest.raises(Refused):
        live.with_retry(fail, (Refused, KeyError))
    assert (len(tried), reads(world)) == (2, 2)
    with pytest.raises(Refused):
        live.with_retry(fail, KeyError)
    assert (len(tried), reads(world)) == (3, 2)
    with pytest.raises(TypeError):
        live.with_retry(fail, "Refused")  # type: ignore[arg-type]


def test_a_listener_is_told_by_tick(world: World) -> None:
    live = held(world)
    told: list[object] = []

    def listen(news: libvault.SecretSnapshot | libvault.VaultError) -> None:
        told.append(type(news) if isinstance(news, libvault.VaultError) else news["password"])
        world.vault.tick()

    live.on_change(listen)
    world.vault.tick()
    assert told == []
    world.root.kv("secret").put("x", {"password": "two"})
    world.vault.tick()
    world.root.kv("secret").delete("x")
    world.vault.tick()
    assert told == ["two", libvault.NotFound]
    world.root.kv("secret").put("x", {"password": "three"})
    live.on_change(None)
    world.vault.tick()
    assert len(told) == 2
    with pytest.raises(TypeError):
        live.on_change("x")  # type: ignore[arg-type]


def test_threads_see_every_acknowledged_version(world: World) -> None:
    live = held(world)
    acknowledged = [1]

    def look() -> None:
        version: int | None = 0
        while version != 50:
            least = acknowledged[0]
            version = live.get().version
            assert version is not None and version >= least

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(49):
        acknowledged[0] = world.root.kv("secret").put("x", {"password": "p"}).version
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
