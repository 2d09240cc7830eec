"""Bad input from Python: a typed error each, nothing lost, nothing secret in the text."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import libvault
from conftest import KEY, World


def nested(depth: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(depth):
        data = {"a": data}
    return data


def cycle() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["self"] = data
    return data


BAD_DATA: dict[str, Callable[[], dict[Any, Any]]] = {
    "too deep": lambda: nested(100),
    "a cycle": cycle,
    "too many values": lambda: {"list": [0] * 30_000},
    "too large": lambda: {"text": "x" * 3_000_000},
    "a number too large": lambda: {"n": 2**64},
    "a number too small": lambda: {"n": -(2**63) - 1},
    "not a number": lambda: {"n": float("nan")},
    "infinity": lambda: {"n": float("inf")},
    "bytes": lambda: {"b": b"x"},
    "a set": lambda: {"s": {1}},
    "a name that is no text": lambda: {1: "x"},
    "a lone surrogate": lambda: {"s": "\ud800"},
    "a lone surrogate in a name": lambda: {"\ud800": "s"},
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_refused_and_nothing_is_lost(world: World, name: str) -> None:
    kv = world.root.kv("secret")
    kv.put("x", {"k": "v"})
    with pytest.raises(libvault.InvalidRequest):
        kv.put("x", BAD_DATA[name]())
    assert kv.get("x").version == 1
    world.vault.verify()


@pytest.mark.parametrize("path", ["", "/", "a//b", "a/../b", "./a", "a/%2e%2e/b", "a\0b", "a\nb", "\ud800", "x" * 10_000, "a/" * 100 + "b"])
def test_path_tricks_are_refused(world: World, path: str) -> None:
    with pytest.raises(libvault.InvalidRequest):
        world.root.request("read", path)
    with pytest.raises(libvault.InvalidRequest):
        world.root.kv("secret").put(path, {"k": "v"})


def test_wrong_types_are_type_errors(world: World) -> None:
    wrong: list[Callable[[], object]] = [
        lambda: world.root.request("read", None),  # type: ignore[arg-type]
        lambda: world.root.request("read", b"sys/mounts"),  # type: ignore[arg-type]
        lambda: world.root.request("write", "secret/data/x", [1]),  # type: ignore[arg-type]
        lambda: world.root.request("write", "secret/data/x", "text"),  # type: ignore[arg-type]
        lambda: world.root.kv(None),  # type: ignore[arg-type]
        lambda: world.root.kv("secret").put("x", None),  # type: ignore[arg-type]
        lambda: world.vault.session(None),  # type: ignore[arg-type]
        lambda: world.vault.session(b"hvs.x"),  # type: ignore[arg-type]
        lambda: world.vault.unseal("text"),  # type: ignore[arg-type]
        lambda: libvault.create(None, key="text"),  # type: ignore[arg-type]
        lambda: libvault.RawKey("text"),  # type: ignore[arg-type]
        lambda: libvault.Passphrase(b"text"),  # type: ignore[arg-type]
        lambda: libvault.policy.evaluate([b"x"], "read", "a"),  # type: ignore[list-item]
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()


def test_wrong_values_are_invalid_requests(world: World) -> None:
    wrong: list[Callable[[], object]] = [
        lambda: world.root.request("steal", "sys/mounts"),
        lambda: world.root.request("write", "secret/data/x"),
        lambda: world.root.request("read", "sys/mounts", correlation_id="x" * 1000),
        lambda: world.root.kv("secret").put("x", {"k": "v"}, cas=7),
        lambda: world.root.kv("secret").put("folder/", {"k": "v"}),
        lambda: world.root.kv("secret").delete_versions("x", []),
        lambda: world.vault.unseal(KEY),
        lambda: libvault.create(None, key=KEY, audit="sometimes"),
        lambda: libvault.RawKey(b"short"),
        lambda: libvault.Passphrase(""),
        lambda: libvault.Passphrase("x" * 5000),
        lambda: libvault.Passphrase("x", memory_kib=8),
        lambda: libvault.Passphrase("x", iterations=1_000_000),
        lambda: libvault.policy.evaluate(["path"], "read", "a"),
        lambda: libvault.policy.evaluate([], "steal", "a"),
        lambda: libvault.policy.evaluate([], "read", "a/../b"),
        lambda: libvault.policy.evaluate([], "read", "a", dialect="other"),
        lambda: libvault.policy.evaluate([], "read", "a", {"k": "v"}),
        lambda: libvault.policy.evaluate([], "read", "a", wrap_ttl=60),
    ]
    for call in wrong:
        with pytest.raises(libvault.InvalidRequest) as caught:
            call()
        assert 100 <= caught.value.code < 200 and caught.value.errors


@pytest.mark.parametrize("token", ["", "x", "hvs." + "0" * 32, "x" * 100_000, "ü"])
def test_bad_tokens_are_denied_in_one_and_the_same_way(world: World, token: str) -> None:
    for call in (
        lambda: world.vault.session(token).request("read", "sys/mounts"),
        lambda: world.vault.request("read", "sys/mounts", token=token),
        lambda: world.vault.request("read", "sys/mounts"),
    ):
        with pytest.raises(libvault.PermissionDenied) as caught:
            call()
        assert caught.value.errors == ["permission denied"]


def test_nothing_secret_is_shown_or_pickled(world: World) -> None:
    world.root.kv("secret").put("CANARY", {"CANARY": "CANARY"})
    secret = world.root.kv("secret").get("CANARY")
    key = libvault.Passphrase("CANARY")
    text = libvault.SecretStr("CANARY")
    for thing in (secret, key, text, KEY, world.token, world.vault, world.root):
        assert "CANARY" not in repr(thing) and world.token.expose() not in repr(thing)
    for thing in (secret, key, text, KEY):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    assert text == libvault.SecretStr("CANARY") and text == "CANARY" and text != "other" and text != 1
    with pytest.raises(libvault.VaultError) as caught:
        world.root.kv("secret").get("CANARY-gone")
    assert "CANARY" not in str(caught.value) + repr(caught.value)
