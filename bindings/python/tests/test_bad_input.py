"""Bad input from Python: a typed error each, nothing lost, nothing secret in the text."""

import collections
import copy
import enum
import pathlib
import pickle
import types
from collections.abc import Callable, Iterator, Mapping
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


def bomb() -> dict[str, Any]:
    items: list[Any] = []
    for _ in range(40):
        items = [items, items]
    return {"list": items}


class ListThatMeddles(list[int]):
    """A list that changes the data around it as soon as it is iterated over."""

    data: dict[str, Any]

    def __iter__(self) -> Iterator[int]:
        self.data[f"new{len(self.data)}"] = 1
        return super().__iter__()


class MappingThatMeddles(Mapping[str, int]):
    """A mapping that changes the data around it as soon as it is looked at."""

    data: dict[str, Any]

    def __getitem__(self, name: str) -> int:
        return 1

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        self.data[f"new{len(self.data)}"] = 1
        return iter(["a"])


class Level(enum.IntEnum):
    HIGH = 3


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
    "too large as JSON, though not as text": lambda: {"text": "\n" * 600_000},
    "one value too many": lambda: {"list": [0] * 19_999},
    "one large text many times": lambda: {"list": ["x" * 1_000_000] * 10_000},
    "one list many times over": bomb,
    "a mapping that holds bytes": lambda: {"m": types.MappingProxyType({"a": b"x"})},
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_refused_and_nothing_is_lost(world: World, name: str) -> None:
    kv = world.root.kv("secret")
    kv.put("x", {"k": "v"})
    with pytest.raises(libvault.InvalidRequest):
        kv.put("x", BAD_DATA[name]())
    assert kv.get("x").version == 1
    world.vault.verify()


def test_data_that_changes_while_it_is_read_does_no_harm(world: World) -> None:
    a_list, a_mapping = ListThatMeddles([1]), MappingThatMeddles()
    for meddler in (a_list, a_mapping):
        data: dict[str, Any] = {"a": meddler, "b": 2}
        meddler.data = data
        world.root.kv("secret").put("x", data)
        with world.root.kv("secret").get("x") as secret:
            assert secret.keys() == ["a", "b"]


def test_any_mapping_is_data(world: World) -> None:
    kv = world.root.kv("secret")
    kv.put("x", types.MappingProxyType({"m": collections.OrderedDict(k=(1, 2)), "e": Level.HIGH}))
    assert kv.get("x").expose() == {"m": {"k": [1, 2]}, "e": 3}
    world.root.request("write", "secret/data/x", collections.ChainMap({"data": {"k": "v"}}))
    assert kv.get("x").expose() == {"k": "v"}


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
        lambda: libvault.policy.evaluate("path", "read", "a"),
        lambda: libvault.policy.evaluate([], "read", "a", [1]),  # type: ignore[arg-type]
        lambda: libvault.policy.evaluate([], "read", "a", wrap_ttl=1.5),  # type: ignore[arg-type]
        lambda: libvault.policy.evaluate([], "read", "a", caller="ann"),  # type: ignore[arg-type]
        lambda: libvault.policy.run_tests(1),  # type: ignore[arg-type]
        lambda: world.root.kv("secret").get("x", version="1"),  # type: ignore[arg-type]
        lambda: world.root.kv("secret").delete_versions("x", 1),  # type: ignore[arg-type]
        lambda: world.root.kv("secret").delete_versions("x", ["1"]),  # type: ignore[list-item]
        lambda: world.root.kv("secret").delete_versions("x", range(3)),  # type: ignore[arg-type]
        lambda: libvault.open(None),  # type: ignore[arg-type]
        lambda: libvault.open(b"x"),  # type: ignore[arg-type]
        lambda: libvault.create(None, key=KEY, clock=1),  # type: ignore[arg-type]
        lambda: libvault.ManualClock("soon"),  # type: ignore[arg-type]
        lambda: libvault.SecretStr(1),  # type: ignore[arg-type]
        lambda: libvault.Passphrase("x", lanes="1"),  # type: ignore[arg-type]
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()


def test_wrong_values_are_invalid_requests(world: World, tmp_path: pathlib.Path) -> None:
    wrong: list[Callable[[], object]] = [
        lambda: world.root.request("steal", "sys/mounts"),
        lambda: world.root.request("write", "secret/data/x"),
        lambda: world.root.request("read", "sys/mounts", correlation_id="x" * 1000),
        lambda: world.root.kv("secret").put("x", {"k": "v"}, cas=7),
        lambda: world.root.kv("secret").put("folder/", {"k": "v"}),
        lambda: world.root.kv("secret").delete_versions("x", []),
        lambda: world.vault.unseal(world.key),
        lambda: libvault.create(None, key=KEY, audit="sometimes"),
        lambda: libvault.RawKey(b"short"),
        lambda: libvault.Passphrase(""),
        lambda: libvault.Passphrase("x" * 5000),
        lambda: libvault.Passphrase("x", memory_kib=8),
        lambda: libvault.Passphrase("x", iterations=1_000_000),
        lambda: libvault.Passphrase("x", memory_kib=-1),
        lambda: libvault.Passphrase("x", memory_kib=2**40),
        lambda: libvault.Passphrase("\ud800"),
        lambda: libvault.SecretStr("\ud800"),
        lambda: world.vault.session("\ud800"),
        lambda: world.root.request("\ud800", "sys/mounts"),
        lambda: world.root.request("read", "sys/mounts", remote_address="\ud800"),
        lambda: world.root.kv("secret").put("x", {"k": "v"}, cas=-1),
        lambda: world.root.kv("secret").get("x", version=-1),
        lambda: world.root.kv("secret").get("x", version=2**64),
        lambda: world.root.kv("secret").delete_versions("x", [2**64]),
        lambda: world.root.kv("secret").delete_versions("x", [1] * 100_000),
        lambda: libvault.create(None, key=KEY, audit="\ud800"),
        lambda: libvault.create("", key=KEY),
        lambda: libvault.create(tmp_path / "a\0b", key=KEY),
        lambda: libvault.create(tmp_path / "\ud800", key=KEY),
        lambda: libvault.ManualClock(-1),
        lambda: world.clock.advance(10**400),
        lambda: libvault.policy.evaluate(["\ud800"], "read", "a"),
        lambda: libvault.policy.evaluate(["path"], "read", "a"),
        lambda: libvault.policy.evaluate([], "steal", "a"),
        lambda: libvault.policy.evaluate([], "read", "a/../b"),
        lambda: libvault.policy.evaluate([], "read", "a", dialect="other"),
        lambda: libvault.policy.evaluate([], "sudo", "a"),
        lambda: libvault.policy.evaluate([], "read", "a", {"k": float("nan")}),
        lambda: libvault.policy.evaluate([], "read", "a", wrap_ttl="soon"),
        lambda: libvault.policy.evaluate([], "read", "a", wrap_ttl=-1),
        lambda: libvault.policy.evaluate([], "read", "a", caller={"x": {}}),
        lambda: libvault.policy.evaluate([], "read", "a", caller={"entity": {"id": 1}}),
        lambda: libvault.policy.run_tests(tmp_path / "missing.json"),
        lambda: libvault.policy.run_tests(tmp_path),
    ]
    for call in wrong:
        with pytest.raises(libvault.InvalidRequest) as caught:
            call()
        assert 100 <= caught.value.code < 200 and caught.value.errors


@pytest.mark.parametrize("token", ["", "x", "hvs." + "0" * 32, "x" * 100_000, "ü"])
def test_bad_tokens_are_denied_in_one_and_the_same_way(world: World, token: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: world.vault.session(token).request("read", "sys/mounts"),
        lambda: world.vault.request("read", "sys/mounts", token=token),
        lambda: world.vault.request("read", "sys/mounts"),
    ]
    for call in calls:
        with pytest.raises(libvault.PermissionDenied) as caught:
            call()
        assert caught.value.errors == ["permission denied"]


def test_nothing_secret_is_shown_or_pickled(world: World) -> None:
    world.root.kv("secret").put("CANARY", {"CANARY": "CANARY"})
    secret = world.root.kv("secret").get("CANARY")
    key = libvault.Passphrase("CANARY")
    duplicates: list[Callable[[object], object]] = [pickle.dumps, copy.copy, copy.deepcopy]
    text = libvault.SecretStr("CANARY")
    for thing in (secret, key, text, KEY, world.token, world.vault, world.root, world.root.kv("CANARY")):
        assert "CANARY" not in repr(thing) and world.token.expose() not in repr(thing)
    for thing in (secret, key, text, KEY, world.token, world.root):
        for duplicate in duplicates:
            with pytest.raises(TypeError):
                duplicate(thing)
    assert "CANARY" not in f"{text}{text!s}{text!r}"
    assert text != "\ud800" and text != b"CANARY"
    assert text == libvault.SecretStr("CANARY") and text == "CANARY" and text != "other" and text != 1
    with pytest.raises(libvault.VaultError) as caught:
        world.root.kv("secret").get("CANARY-gone")
    assert "CANARY" not in str(caught.value) + repr(caught.value)
