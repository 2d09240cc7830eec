"""Checkpoints and proofs, checked with nothing but the vault's public key; and the tree by another implementation."""

import base64
import gc
import hashlib
import io
import json
import pathlib
import socket
import threading
from collections.abc import Sequence
from typing import Any

import pytest

import libvault
from conftest import KEY, START, World


def read(world: World, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = world.root.request("read", f"sys/audit-log/{path}", data)
    assert answer is not None
    found: dict[str, Any] = answer["data"]
    return found


def tree(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, straight from its definition."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0]).digest() if leaves else hashlib.sha256().digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def test_an_auditor_needs_only_the_public_key(world: World) -> None:
    for i in range(20):
        world.root.kv("secret").put(f"a/{i}", {"k": "v"})
    key = read(world, "public-key")["key"]
    older = read(world, "checkpoint")["checkpoint"]
    world.root.kv("secret").put("b", {"k": "v"})
    newer = read(world, "checkpoint")["checkpoint"]
    sizes = [libvault.audit.verify_checkpoint(note, key)["size"] for note in (older, newer)]
    assert sizes[0] < sizes[1]
    consistent = read(world, "proof/consistency", {"from": sizes[0], "to": sizes[1]})
    libvault.audit.verify_consistency(older, newer, key, consistent)
    events = []
    for sequence in range(1, sizes[1] + 1):
        proof = read(world, "proof/inclusion", {"sequence": sequence, "size": sizes[1]})
        libvault.audit.verify_inclusion(newer, key, proof)
        events.append(base64.b64decode(proof["event"]))
    assert tree(events).hex() == libvault.audit.verify_checkpoint(newer, key)["root"]
    proof["event"] = base64.b64encode(b"another").decode()
    with pytest.raises(libvault.Corrupt):
        libvault.audit.verify_inclusion(newer, key, proof)
    with pytest.raises(libvault.Corrupt):
        libvault.audit.verify_consistency(newer, older, key, consistent)
    with pytest.raises(libvault.Corrupt):
        libvault.audit.verify_checkpoint(newer.replace("\n", "1\n", 2), key)
    for bad in ("", "x", key[:-3]):
        with pytest.raises(libvault.InvalidRequest):
            libvault.audit.verify_checkpoint(newer, bad)
    with pytest.raises(libvault.InvalidRequest):
        libvault.audit.verify_inclusion(newer, key, {})


class Collector(libvault.AuditSink):
    """A sink in memory."""

    name = "collector"

    def __init__(self) -> None:
        self.lines: list[libvault.AuditLine] = []
        self.fails = False

    def deliver(self, lines: Sequence[libvault.AuditLine]) -> None:
        if self.fails:
            raise ConnectionError("SECRET-IN-A-TEXT")
        self.lines.extend(lines)


def test_sinks_are_fed_in_order_and_a_failing_one_is_told(tmp_path: pathlib.Path) -> None:
    collector, clock, path = Collector(), libvault.ManualClock(START), tmp_path / "audit.jsonl"
    vault, init = libvault.create(None, key=KEY, clock=clock, audit_sinks=[collector, libvault.FileSink(path)])
    with vault:
        root = vault.session(init.root_token)
        root.kv("secret").put("x", {"password": "hunter2"})
        vault.tick()
        assert [line.sequence for line in collector.lines] == list(range(1, len(collector.lines) + 1))
        assert all(json.loads(line.json)["sequence"] == line.sequence for line in collector.lines)
        assert collector.lines[-1].time == START and "sequence" in repr(collector.lines[-1])
        assert [json.loads(line) for line in path.read_text().splitlines()] == [json.loads(line.json) for line in collector.lines]
        assert path.stat().st_mode & 0o777 == 0o600 and "hunter2" not in path.read_text()
        wanted = root.request("write", "sys/audit-hash", {"input": "hunter2"})
        assert wanted is not None and wanted["data"]["hash"] in path.read_text()
        collector.fails = True
        before = len(collector.lines)
        root.kv("secret").put("x", {})
        vault.tick()
        answer = root.request("read", "sys/audit-log/sinks")
        assert answer is not None
        rows = {row["name"]: row for row in answer["data"]["sinks"]}
        assert rows["collector"]["error"] == "it raised ConnectionError" and rows["file"]["failures"] == 0
        collector.fails = False
        clock.advance(1)
        vault.tick()
        assert [line.sequence for line in collector.lines] == list(range(1, len(collector.lines) + 1))
        assert len(collector.lines) > before


def listener(family: socket.AddressFamily, kind: socket.SocketKind, address: object) -> socket.socket:
    listening = socket.socket(family, kind)
    listening.bind(address)
    listening.settimeout(30)
    if kind == socket.SOCK_STREAM:
        listening.listen()
    return listening


def test_sinks_of_the_library_speak_to_collectors(tmp_path: pathlib.Path) -> None:
    stream = listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
    local = listener(socket.AF_UNIX, socket.SOCK_STREAM, str(tmp_path / "lines"))
    log = listener(socket.AF_UNIX, socket.SOCK_DGRAM, str(tmp_path / "log"))
    framed = listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
    ports = [server.getsockname()[1] for server in (stream, framed)]
    sinks = [
        libvault.SocketSink(tcp=f"127.0.0.1:{ports[0]}", name="tcp"),
        libvault.SocketSink(unix=tmp_path / "lines", acknowledged=True),
        libvault.SyslogSink(unix=tmp_path / "log", host="here", application="service"),
        libvault.SyslogSink(tcp=f"127.0.0.1:{ports[1]}", name="framed"),
    ]
    assert repr(sinks[1]) == 'SocketSink(name="socket")' and repr(sinks[2]) == 'SyslogSink(name="syslog")'
    stored: list[int] = []

    def collect() -> None:
        connection, _ = local.accept()
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                stored.append(json.loads(line)["sequence"])
                connection.sendall(b"%d\n" % stored[-1])

    collector = threading.Thread(target=collect)
    collector.start()
    vault, init = libvault.create(None, key=KEY, audit_sinks=sinks)
    with vault:
        root = vault.session(init.root_token)
        root.kv("secret").put("x", {"k": "v"})
        vault.tick()
        answer = root.request("read", "sys/audit-log/sinks")
        assert answer is not None
        assert [row["failures"] for row in answer["data"]["sinks"]] == [0, 0, 0, 0], answer
    del vault, sinks
    gc.collect()
    collector.join(30)
    assert stored and stored == list(range(1, len(stored) + 1))
    with stream.accept()[0] as connection, connection.makefile("rb") as lines:
        assert json.loads(lines.readline())["sequence"] == 1
    assert log.recv(65536).startswith(b"<86>1 ") and b" here service " in log.recv(65536)
    with framed.accept()[0] as connection:
        length, message = connection.recv(65536).split(b" ", 1)
        assert message[: int(length)].startswith(b"<86>1 ") and message[: int(length)].endswith(b"}")
    for server in (stream, local, log, framed):
        server.close()


def test_a_sink_has_one_address() -> None:
    for kind in (libvault.SocketSink, libvault.SyslogSink):
        for bad in ({}, {"tcp": "a:1", "unix": "/b"}, {"unix": "a\0b"}):
            with pytest.raises(libvault.InvalidRequest):
                kind(**bad)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            kind(tcp=1)  # type: ignore[arg-type]


def test_the_log_is_exported_as_json_lines(world: World) -> None:
    world.root.kv("secret").put("x", {"k": "v"})
    file = io.BytesIO()
    count = world.root.export_audit(file)
    events = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, count + 1))
    assert world.root.export_audit(io.BytesIO(), after=count) >= 1, "the export itself"

    class Full(io.RawIOBase):
        def write(self, _data: object, /) -> int:
            raise OSError(28, "no space")

    with pytest.raises(libvault.Unavailable):
        world.root.export_audit(Full())  # type: ignore[arg-type]


def test_what_is_no_sink_is_refused() -> None:
    for bad in ([1], [Collector], ["path"]):
        with pytest.raises(TypeError):
            libvault.create(None, key=KEY, audit_sinks=bad)  # type: ignore[arg-type]
    with pytest.raises(libvault.InvalidRequest):
        libvault.create(None, key=KEY, audit_sinks=[Collector(), Collector()])


def test_reads_that_repeat_are_counted_where_the_vault_is_told_to() -> None:
    clock = libvault.ManualClock(1_800_000_000)
    vault, init = libvault.create(None, key=libvault.RawKey(bytes(32)), clock=clock, audit="counted")
    with vault:
        session = vault.session(init.root_token)
        session.kv("secret").put("app/db", {"password": "x"})
        for _ in range(100):
            session.kv("secret").get("app/db").close()
        clock.advance(1)
        vault.tick()
        out = io.BytesIO()
        session.export_audit(out)
        events = [json.loads(line) for line in out.getvalue().splitlines()]
        reads = [event["count"] for event in events if event["operation"] == "read" and event["path"] == "secret/data/app/db"]
        assert reads == [1, 99]
