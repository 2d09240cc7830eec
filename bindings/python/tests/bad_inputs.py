"""The matrix of bad input: what each public call takes, and what it must refuse for each kind of argument."""

import asyncio
import inspect
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import libvault
import libvault.aio
import libvault.hvac
from conftest import KEY, World
from libvault import audit, policy, testing


class Foreign:
    """An object of a class that nobody knows, which answers wrongly what it is asked."""

    def __index__(self) -> Any:
        return "no number"

    def __fspath__(self) -> Any:
        return 1

    def timestamp(self) -> Any:
        return "no time"


def cycle() -> dict[str, Any]:
    """Make a dict that holds itself."""
    data: dict[str, Any] = {}
    data["self"] = data
    return data


def deep() -> list[Any]:
    """Make a list nested far deeper than Python recurses."""
    data: list[Any] = []
    for _ in range(50_000):
        data = [data]
    return data


NAN, HUGE, LONE, NUL, LONG = float("nan"), 10**400, "a\ud800", "a\0b", "x" * 2_000_000

ODD: list[Any] = [None, True, -1, 0, 2**64, HUGE, 1.5, NAN, float("inf"), "", "x", LONE, NUL, LONG, b"", b"x", [], [None], {}, {"a": NAN}, (), deep(), cycle(), Foreign(), Foreign, iter([])]
"""Whatever is given in any place: it may be taken there, or refused by a typed error."""


@dataclass(frozen=True)
class Kind:
    """A kind of argument: what must be refused in its place."""

    bad: list[Any] = field(default_factory=list)

    def optional(self) -> "Kind":
        """Give the kind of an argument that may be None."""
        return Kind([value for value in self.bad if value is not None])


_NO_TEXT: list[Any] = [None, 1, 1.5, b"x", [], {}, deep(), Foreign()]
ANY = Kind()
TEXT = Kind([*_NO_TEXT, LONE])
PATH = Kind([*_NO_TEXT, LONE, NUL, LONG, "", "/", "a/../b"])
WORD = Kind([*_NO_TEXT, LONE, NUL, "", "other"])
PLACE = Kind([None, 1, 1.5, b"x", [], Foreign(), NUL, "a\ud800", ""])
WHOLE = Kind(["1", 1.5, NAN, -1, 2**64, HUGE, b"1", [], Foreign()])
SECONDS = Kind([None, "1", NAN, float("inf"), -1, HUGE, b"1", [], Foreign()])
FLAG = Kind(["yes", 2, 1.5, [], Foreign()])
TTL = Kind(["soon", LONE, NUL, -1, HUGE, 1.5, b"x", [], Foreign()])
DATA = Kind([None, 1, "x", b"x", [1], Foreign(), cycle(), {"a": deep()}, {"a": NAN}, {"a": HUGE}, {"a": b"x"}, {1: 2}, {LONE: 1}, {"a": LONE}, {"a": Foreign()}, {"a": LONG}])
VERSIONS = Kind([None, 1, "1", [], [-1], ["1"], [2**64], [None], range(3), Foreign()])
TOKEN = Kind([1, b"x", [], Foreign(), LONE])
KEYS = Kind([None, "x", 1, b"x", [], [None], [Foreign()], deep(), Foreign(), libvault.KeyWrapper])
FILE = Kind([None, 1, "x", [], Foreign()])
BYTES = Kind([None, 1, "x", [], [1], Foreign()])
LIST = Kind([1, [None], [1], ["x"], [Foreign()], Foreign()])
OBJECT = Kind([1, "x", [], Foreign()])
PROOF = Kind([None, 1, "x", [1], {}, {"a": NAN}, cycle(), Foreign()])

Given = dict[str, tuple[Any, Kind]]


Row = tuple[Callable[..., Any], Given]

_SURROUNDINGS: Given = {
    "clock": (None, OBJECT),
    "audit": ("batched", WORD),
    "key_wrappers": (None, LIST),
    "audit_sinks": (None, LIST),
    "anchor": (None, Kind([1, 1.5, b"x", [], Foreign(), NUL])),
    "anchor_interval": (0, WHOLE),
    "value_cache_bytes": (0, WHOLE),
    "value_cache_ttl": (60, WHOLE),
    "connectors": (None, LIST),
    "lease_hook": (None, OBJECT),
    "rotation_hook": (None, OBJECT),
    "log": (None, OBJECT),
}
_POLICIES: Given = {"dialect": ("vault", WORD), "absolute_deny": (False, FLAG)}
_CREATE: Given = {"key": (KEY, KEYS), **_SURROUNDINGS, "backend": (None, WORD.optional()), **_POLICIES}
_OPEN: Given = {"key": (None, KEYS.optional()), **_SURROUNDINGS, "accept_rollback": (False, FLAG), **_POLICIES}
_RESTORE: Given = {"key": (KEY, KEYS), **_SURROUNDINGS, "backend": (None, WORD.optional())}
_SAID = Kind([1, b"x", [], Foreign(), LONE])
_REQUEST: Given = {
    "operation": ("read", WORD),
    "path": ("sys/seal-status", PATH),
    "data": (None, DATA.optional()),
    "namespace": (None, Kind([1, b"x", [], Foreign(), LONE, NUL, LONG])),
    "correlation_id": (None, _SAID),
    "remote_address": (None, _SAID),
    "wrap_ttl": (None, TTL),
}
_SETTINGS: Given = {"max_versions": (None, WHOLE), "cas_required": (None, FLAG), "delete_version_after": (None, TTL)}
_SECRET: Given = {"path": ("x", PATH)}
_WRITTEN: Given = {**_SECRET, "data": ({"a": 1}, DATA), "cas": (None, WHOLE)}
_NUMBERED: Given = {**_SECRET, "versions": ([1], VERSIONS)}
_THREADS: Given = {"threads": (2, Kind([None, True, "1", 1.5, NAN, 0, -1, HUGE, [], Foreign()]))}

_KV: dict[str, Given] = {
    "get": {**_SECRET, "version": (None, WHOLE)},
    "put": _WRITTEN,
    "patch": _WRITTEN,
    "subkeys": {**_SECRET, "version": (None, WHOLE), "depth": (None, WHOLE)},
    "list": {"prefix": ("", TEXT), "after": (None, TEXT.optional()), "limit": (None, WHOLE)},
    "delete": _SECRET,
    "delete_versions": _NUMBERED,
    "undelete_versions": _NUMBERED,
    "destroy_versions": _NUMBERED,
    "metadata": _SECRET,
    "set_metadata": {**_SECRET, **_SETTINGS, "custom_metadata": (None, DATA.optional())},
    "patch_custom_metadata": {**_SECRET, "changes": ({"a": "b"}, DATA)},
    "config": {},
    "set_config": _SETTINGS,
    "delete_metadata": _SECRET,
    # A mount's root can be no secret, which the first use tells.
    "live": {"path": ("x", Kind([value for value in PATH.bad if value not in ("", "/")]))},
}
_SESSION: dict[str, Given] = {
    "request": _REQUEST,
    "namespace": {"path": ("team", Kind([value for value in PATH.bad if value not in ("", "/")]))},
    "kv": {"mount": ("secret", TEXT)},
    "live": {"path": ("secret/data/x", PATH)},
    "rotation": {"mount": ("database", TEXT)},
    "emergency": {},
    "export_audit": {"file": (io.BytesIO(), FILE), "after": (0, WHOLE)},
    "backup": {"file": (io.BytesIO(), FILE), "key": (None, KEYS.optional())},
    "close": {},
}
_VAULT: dict[str, Given] = {
    "unseal": {"key": (KEY, KEYS)},
    "unseal_share": {"share": ("", TOKEN)},
    "reset_unseal": {},
    "generate_root": {"key": (KEY, KEYS)},
    "seal": {},
    "seal_status": {},
    "metrics": {},
    "session": {"token": ("x", TOKEN)},
    "request": {**_REQUEST, "token": (None, TOKEN)},
    "verify": {},
    "compact": {},
    "tick": {},
    "start_maintenance": {},
    "stop_maintenance": {},
    "close": {},
}
_EVALUATE: Given = {
    "texts": ([], Kind([None, 1, "x", [1], [b"x"], [LONE], ["path"], [LONG], Foreign()])),
    "operation": ("read", WORD),
    "path": ("a", PATH),
    "data": (None, DATA.optional()),
    "wrap_ttl": (None, TTL),
    **_POLICIES,
    "caller": (None, DATA.optional()),
}
_TARGET = {"_target": (None, ANY), "_account": (None, ANY)}
_BASES: dict[str, Given] = {
    "AuditSink.deliver": {"_lines": ([], ANY)},
    "Anchor.load": {},
    "Anchor.store": {"_state": (b"", BYTES)},
    "Connector.check": {"_target": (None, ANY), "_verify": (True, FLAG)},
    "Connector.create": _TARGET,
    "Connector.renew": _TARGET,
    "Connector.revoke": _TARGET,
    "Connector.set_password": _TARGET,
    "Connector.test": _TARGET,
    "Connector.forget": {"_id": (b"", BYTES)},
    "KeyWrapper.wrap": {"_key": (b"", BYTES), "_context": (b"", BYTES)},
    "KeyWrapper.unwrap": {"_wrapped": (b"", BYTES), "_context": (b"", BYTES)},
}
_ADDRESS: Given = {"tcp": ("localhost:1", TEXT), "unix": (None, PLACE.optional()), "name": ("n", TEXT)}
_HSM: Given = {
    "module": ("missing.so", PLACE),
    "pin": ("1", TOKEN),
    "key": ("k", TEXT),
    "token": ("t", TEXT.optional()),
    "serial": (None, TEXT.optional()),
    "key_id": (None, Kind([1, "x", [], Foreign()])),
    "name": ("n", TEXT),
}


def _row(world: World, name: str) -> Row:
    """Find what is called, and what it takes. A class's methods are called on an object that could answer."""
    kind, _, method = name.rpartition(".")
    if name in _BASES:
        return getattr(getattr(libvault, kind)(), method), _BASES[name]
    makers: dict[str, Callable[[], tuple[Any, dict[str, Given]]]] = {
        "Kv": lambda: (_kv(world), _KV),
        "Session": lambda: (world.root, _SESSION),
        "Vault": lambda: (world.vault, _VAULT),
        "LiveSecret": lambda: (_kv(world).live("x"), _live(world)),
        "Rotation": lambda: (world.root.rotation(), _ROTATION),
        "Emergency": lambda: (world.root.emergency(), {**_EMERGENCY, "quarantine": _accessor(world), "release": _accessor(world)}),
        "aio.Emergency": lambda: (
            libvault.aio.wrap(world.vault).session(world.token).emergency(),
            {**_EMERGENCY, "quarantine": _accessor(world), "release": _accessor(world)},
        ),
        "aio.Kv": lambda: (libvault.aio.wrap(world.vault).session(world.token).kv(_kv(world) and "secret"), _KV),
        "aio.LiveSecret": lambda: (libvault.aio.wrap(world.vault).session(world.token).live("secret/data/x"), _live_awaited(world)),
        "aio.Rotation": lambda: (libvault.aio.wrap(world.vault).session(world.token).rotation(), _ROTATION),
        "aio.Session": lambda: (libvault.aio.wrap(world.vault).session(world.token), _SESSION),
        "aio.Vault": lambda: (libvault.aio.wrap(world.vault), _VAULT),
    }
    if kind in makers:
        thing, methods = makers[kind]()
        return getattr(thing, method), methods[method]
    return _SINGLE[name](world)


def call(world: World, name: str) -> Row:
    """Give a row of the matrix; a coroutine function is run to its end by what is answered."""
    called, given = _row(world, name)
    if not inspect.iscoroutinefunction(called):
        return called, given
    return lambda **arguments: asyncio.run(called(**arguments)), given


def parameters(world: World, name: str) -> list[inspect.Parameter]:
    """List the parameters that a row's call says it has."""
    return list(inspect.signature(_row(world, name)[0]).parameters.values())


def _kv(world: World) -> libvault.Kv:
    kv = world.root.kv("secret")
    kv.put("x", {"a": "b"})
    return kv


def _backup(world: World) -> io.BytesIO:
    file = io.BytesIO()
    world.root.backup(file)
    file.seek(0)
    return file


def _on_disk() -> str:
    if not os.path.exists("vault"):
        libvault.create("vault", key=KEY)[0].close()
    return "vault"


def _proofs(world: World) -> dict[str, Any]:
    def ask(path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        return (world.root.request("read", f"sys/audit-log/{path}", data) or {})["data"]

    notes = [ask("checkpoint")["checkpoint"] for _ in range(2)]
    key = ask("public-key")["key"]
    sizes = [audit.verify_checkpoint(note, key)["size"] for note in notes]
    consistency = ask("proof/consistency", {"from": sizes[0], "to": sizes[1]})
    inclusion = ask("proof/inclusion", {"sequence": 1, "size": sizes[1]})
    return {"older": notes[0], "note": notes[1], "key": key, "consistency": consistency, "inclusion": inclusion}


def _secret(world: World, call: Callable[[libvault.KvSecret], Callable[..., Any]], given: Given) -> Row:
    return call(_kv(world).get("x")), given


def _verify(world: World, what: Callable[..., Any], *names: str) -> Row:
    found = _proofs(world)
    kinds: Given = {"note": (found["note"], TEXT), "older": (found["older"], TEXT), "newer": (found["note"], TEXT), "key": (found["key"], TEXT)}
    kinds["proof"] = (found["consistency" if "older" in names else "inclusion"], PROOF)
    return what, {name: kinds[name] for name in names}


_NAME: Given = {"name": ("a", TEXT)}
_ROLE: Given = {"role": ("app", TEXT)}
_ROTATION: dict[str, Given] = {
    **{name: _ROLE for name in ("creds", "status", "rotate", "rehearse", "roll_back", "retry", "end_grace")},
    "adopt": {**_ROLE, "password": ("x", Kind([*_NO_TEXT, LONE]))},
}
_SUSPECT: Given = {
    "path": ("secret/data/x", Kind([1, 1.5, b"x", [], {}, Foreign(), LONE, NUL, LONG, "a/../b", "//"])),
    "prefix": (None, TEXT.optional()),
    "accessor": (None, TEXT.optional()),
    "entity": (None, TEXT.optional()),
    "since": (0, WHOLE),
    "after": (0, WHOLE),
}
_ACCESSOR: Given = {"accessor": ("x", TEXT), "entity": (None, TEXT.optional())}
_EMERGENCY: dict[str, Given] = {
    "look": _SUSPECT,
    "contain": {
        **_SUSPECT,
        "before": (None, Kind([1, b"x", [], Foreign(), LONE, "yesterday"])),
        # An empty word is none.
        "tokens": ("keep", Kind([value for value in WORD.bad if value != ""])),
        "leases": (False, FLAG),
        "rotate": (False, FLAG),
        "most": (1, Kind([*WHOLE.bad, 0, 10_001])),
        "parallel": (1, Kind([*WHOLE.bad, 0, 17])),
        "dry_run": (True, FLAG),
    },
    "quarantine": _ACCESSOR,
    "release": _ACCESSOR,
}
_LIVE: dict[str, Given] = {
    "get": {},
    "refresh": {},
    "newer_than": {"snapshot": (None, Kind([None, 1, "x", [], Foreign()]))},
    # What an attempt may raise is looked at only once it has.
    "with_retry": {"attempt": (lambda _: None, Kind([None, 1, "x", [], Foreign()])), "retry_on": (ValueError, ANY)},
    "on_change": {"listener": (None, Kind([1, "x", [], Foreign()]))},
    "close": {},
}


def _live(world: World) -> dict[str, Given]:
    return {**_LIVE, "newer_than": {"snapshot": (_kv(world).live("x").get(), _LIVE["newer_than"]["snapshot"][1])}}


async def _use(_secret: libvault.SecretSnapshot) -> None:
    """Take a secret that is good."""


def _live_awaited(world: World) -> dict[str, Given]:
    return {**_live(world), "with_retry": {**_LIVE["with_retry"], "attempt": (_use, _LIVE["with_retry"]["attempt"][1])}}


def _snapshot(world: World, call: Callable[[libvault.SecretSnapshot], Callable[..., Any]], given: Given) -> Row:
    return call(_kv(world).live("x").get()), given


_SINGLE: dict[str, Callable[[World], Row]] = {
    "create": lambda w: (libvault.create, {"path": (None, PLACE.optional()), **_CREATE}),
    "open": lambda w: (libvault.open, {"path": (_on_disk(), PLACE), **_OPEN}),
    "restore": lambda w: (libvault.restore, {"path": (None, PLACE.optional()), "file": (_backup(w), FILE), **_RESTORE, "key": (w.key, KEYS)}),
    "salvage": lambda w: (
        libvault.salvage,
        {
            "path": (_on_disk(), PLACE),
            "key": (KEY, KEYS),
            "to": (None, PLACE.optional()),
            "names": (False, FLAG),
            "scratch": (None, PLACE.optional()),
            "backend": (None, WORD.optional()),
            "clock": (None, OBJECT),
            "audit": ("batched", WORD),
        },
    ),
    "doctor": lambda w: (
        libvault.doctor,
        {
            "path": (_on_disk(), PLACE),
            "key": (None, KEYS.optional()),
            "names": (False, FLAG),
            "scratch": (None, PLACE.optional()),
            "anchor": (None, _SURROUNDINGS["anchor"][1]),
        },
    ),
    "verify_backup": lambda w: (libvault.verify_backup, {"file": (_backup(w), FILE)}),
    "audit.verify_checkpoint": lambda w: _verify(w, audit.verify_checkpoint, "note", "key"),
    "audit.verify_inclusion": lambda w: _verify(w, audit.verify_inclusion, "note", "key", "proof"),
    "audit.verify_consistency": lambda w: _verify(w, audit.verify_consistency, "older", "newer", "key", "proof"),
    "policy.evaluate": lambda w: (policy.evaluate, _EVALUATE),
    "policy.run_tests": lambda w: (policy.run_tests, {"path": (_policy_tests(), PLACE)}),
    "aio.create": lambda w: (libvault.aio.create, {"path": (None, PLACE.optional()), **_THREADS, **_CREATE}),
    "aio.open": lambda w: (libvault.aio.open, {"path": (_on_disk(), PLACE), **_THREADS, **_OPEN}),
    "aio.restore": lambda w: (
        libvault.aio.restore,
        {"path": (None, PLACE.optional()), "file": (_backup(w), FILE), **_THREADS, **_RESTORE, "key": (w.key, KEYS)},
    ),
    "aio.wrap": lambda w: (libvault.aio.wrap, {"vault": (w.vault, Kind([None, 1, "x", libvault.Vault, Foreign()])), **_THREADS}),
    "testing.memory_vault": lambda w: (
        lambda **given: testing.memory_vault(**given).__enter__(),
        {"start": (0.0, SECONDS), **{name: _CREATE[name] for name in _CREATE if name not in ("key", "clock")}},
    ),
    "testing.MemoryVault.session_with": lambda w: (
        lambda policy, ttl: w.session_with(policy, ttl=ttl),
        {"policy": ("", Kind([None, 1, b"x", [], LONE, "path", Foreign()])), "ttl": ("1h", TTL)},
    ),
    "testing.MemoryVault.audit_events": lambda w: (w.audit_events, {"path": (None, ANY)}),
    "hvac.client": lambda w: (
        libvault.hvac.client,
        {"vault": (w.vault, Kind([None, 1, "x", Foreign()])), "token": (None, TOKEN), "namespace": (None, Kind([1, b"x", Foreign()]))},
    ),
    "hvac.adapter": lambda w: (libvault.hvac.adapter, {"vault": (w.vault, Kind([None, 1, "x", Foreign()]))}),
    "ManualClock": lambda w: (libvault.ManualClock, {"start": (0, SECONDS)}),
    "ManualClock.advance": lambda w: (w.clock.advance, {"seconds": (0, SECONDS)}),
    "ManualClock.now": lambda w: (w.clock.now, {}),
    "Passphrase": lambda w: (
        libvault.Passphrase,
        {"text": ("x", Kind([*_NO_TEXT, LONE, "", LONG])), "memory_kib": (None, WHOLE), "iterations": (None, WHOLE), "lanes": (None, WHOLE)},
    ),
    "RawKey": lambda w: (libvault.RawKey, {"key": (bytes(32), Kind([None, 1, "x", b"x", b"", [], Foreign(), memoryview(bytes(32)).cast("Q")]))}),
    "Shamir": lambda w: (libvault.Shamir, {"shares": (3, Kind([None, 0, 256, *WHOLE.bad])), "threshold": (2, Kind([None, 0, 4, *WHOLE.bad]))}),
    "Shares": lambda w: (libvault.Shares, {"shares": (_shares(), Kind([None, 1, "x", [1], [LONE], ["x"], Foreign()]))}),
    "Pkcs11": lambda w: (libvault.Pkcs11, _HSM),
    "Connector": lambda w: (libvault.Connector, {}),
    "KeyWrapper": lambda w: (libvault.KeyWrapper, {}),
    "Anchor": lambda w: (libvault.Anchor, {}),
    "AuditSink": lambda w: (libvault.AuditSink, {}),
    "PostgreSQL": lambda w: (libvault.PostgreSQL, {}),
    "MySQL": lambda w: (libvault.MySQL, {}),
    "Redis": lambda w: (libvault.Redis, {}),
    "FileSink": lambda w: (libvault.FileSink, {"path": ("log", PLACE), "name": ("n", TEXT)}),
    "SocketSink": lambda w: (libvault.SocketSink, {**_ADDRESS, "acknowledged": (False, FLAG)}),
    "SyslogSink": lambda w: (libvault.SyslogSink, {**_ADDRESS, "host": (None, TEXT.optional()), "application": (None, TEXT.optional())}),
    "SecretStr": lambda w: (libvault.SecretStr, {"text": ("x", TEXT)}),
    "SecretStr.expose": lambda w: (libvault.SecretStr("x").expose, {}),
    "SecretStr.close": lambda w: (libvault.SecretStr("x").close, {}),
    "SecretBytes": lambda w: (libvault.SecretBytes, {"data": (b"x", Kind([*BYTES.bad, memoryview(bytes(8)).cast("Q")]))}),
    "SecretBytes.expose": lambda w: (libvault.SecretBytes(b"x").expose, {}),
    "SecretBytes.close": lambda w: (libvault.SecretBytes(b"x").close, {}),
    "KvSecret.get": lambda w: _secret(w, lambda s: s.get, {**_NAME, "default": (None, ANY)}),
    "KvSecret.secret_bytes": lambda w: _secret(w, lambda s: s.secret_bytes, _NAME),
    "KvSecret.__getitem__": lambda w: _secret(w, lambda s: lambda name: s[name], _NAME),
    "KvSecret.__contains__": lambda w: _secret(w, lambda s: lambda name: name in s, {"name": ("a", ANY)}),
    "KvSecret.keys": lambda w: _secret(w, lambda s: s.keys, {}),
    "KvSecret.values": lambda w: _secret(w, lambda s: s.values, {}),
    "KvSecret.items": lambda w: _secret(w, lambda s: s.items, {}),
    "KvSecret.expose": lambda w: _secret(w, lambda s: s.expose, {}),
    "KvSecret.close": lambda w: _secret(w, lambda s: s.close, {}),
    "SecretSnapshot.get": lambda w: _snapshot(w, lambda s: s.get, {**_NAME, "default": (None, ANY)}),
    "SecretSnapshot.__getitem__": lambda w: _snapshot(w, lambda s: lambda name: s[name], _NAME),
    "SecretSnapshot.__contains__": lambda w: _snapshot(w, lambda s: lambda name: name in s, {"name": ("a", ANY)}),
    "SecretSnapshot.keys": lambda w: _snapshot(w, lambda s: s.keys, {}),
    "SecretSnapshot.values": lambda w: _snapshot(w, lambda s: s.values, {}),
    "SecretSnapshot.items": lambda w: _snapshot(w, lambda s: s.items, {}),
    "SecretSnapshot.expose": lambda w: _snapshot(w, lambda s: s.expose, {}),
    "SecretSnapshot.close": lambda w: _snapshot(w, lambda s: s.close, {}),
}


def _policy_tests() -> str:
    with open("tests.json", "w", encoding="ascii") as file:
        file.write('{"policies": [], "cases": [{"operation": "read", "path": "a", "allowed": false}]}')
    return "tests.json"


def _shares() -> list[libvault.SecretStr]:
    return libvault.create(None, key=libvault.Shamir(3, 2))[1].shares[:2]


def _accessor(world: World) -> Given:
    made = world.root.request("write", "auth/token/create", {"policies": ["default"]})
    assert made is not None
    # None is no accessor: with no entity beside it that is refused too.
    return {"accessor": (made["auth"]["accessor"], TEXT), "entity": (None, TEXT.optional())}


def names() -> list[str]:
    """List the rows of the matrix."""
    kinds = {"Emergency": _EMERGENCY, "Kv": _KV, "LiveSecret": _LIVE, "Rotation": _ROTATION, "Session": _SESSION, "Vault": _VAULT}
    found = [f"{kind}.{method}" for kind, methods in kinds.items() for method in methods]
    return [*found, *(f"aio.{name}" for name in found), *_BASES, *_SINGLE]
