"""The doctor, salvage and compaction from Python."""

import hashlib
import os
import pathlib

import pytest

import libvault
from conftest import KEY


def make(place: pathlib.Path, backend: str) -> None:
    vault, init = libvault.create(place, key=KEY, backend=backend)
    with vault:
        kv = vault.session(init.root_token).kv("secret")
        for number in range(30):
            kv.put(f"app/{number % 10}", {"number": number})


def fingerprint(place: pathlib.Path) -> dict[str, tuple[str, int, int]]:
    found = {}
    for path in sorted(place.rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (content, path.stat().st_mode, path.stat().st_mtime_ns)
    return found


@pytest.fixture(params=["sled", "redb"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "vault"
    make(made, request.param)
    return made


def test_a_sound_store_is_examined_and_not_changed(place: pathlib.Path) -> None:
    before = fingerprint(place)
    without = libvault.doctor(place)
    report = libvault.doctor(place, key=KEY, names=True)
    assert fingerprint(place) == before
    assert [entry.name for entry in place.parent.iterdir()] == ["vault"]
    assert without["verdict"] == report["verdict"] == "sound"
    assert without["content"] is None and without["opens"] and not without["in_use"]
    content = report["content"]
    assert content is not None and content["secrets"] == 10 and content["damaged"] == [] and content["digest_agrees"]
    assert report["findings"] == [] and report["slots"] == ["raw-key"] and "sound" in report["text"]
    assert report["commit"] == report["acknowledged"]


def test_a_damaged_store_is_salvaged(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (place / "HEAD").write_bytes(b"x" * 1024)
    if (place / "CURRENT").exists():
        (place / "CURRENT").write_bytes(b"LVCURR00")
    report = libvault.doctor(place, key=KEY)
    assert report["verdict"] in ("damaged", "degraded")
    assert any(finding["name"] == "head-torn" and finding["advice"] for finding in report["findings"])
    before = fingerprint(place)
    vault, salvaged = libvault.salvage(place, key=KEY, to=tmp_path / "new", scratch=tmp_path, backend="redb")
    assert fingerprint(place) == before
    with vault:
        assert vault.frozen and salvaged["complete"] and salvaged["secrets"] == 10 and "everything" in salvaged["text"]
        root = vault.session(vault.generate_root(KEY))
        assert root.kv("secret").get("app/3")["number"] == 23
        root.request("write", "sys/storage/adopt")
        root.kv("secret").put("app/3", {"number": 99})
        assert vault.verify()["records"] > 0
    with libvault.open(tmp_path / "new", key=KEY) as again:
        assert not again.frozen


def test_lost_secrets_are_told_and_named_when_asked(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "vault"
    make(place, "redb")
    file = place / "store.redb"
    content = bytearray(file.read_bytes())
    for at in range(8192, len(content), 256):
        content[at] ^= 0xFF
    file.write_bytes(content)
    report = libvault.doctor(place)
    assert report["verdict"] in ("damaged", "unreadable")
    assert not report["opens"]


def test_bad_input_raises_typed_errors(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    wrong = libvault.RawKey(bytes(32))
    with pytest.raises(libvault.InvalidRequest) as missing:
        libvault.doctor(tmp_path / "nothing")
    assert missing.value.code_name == "NotAStore"
    (tmp_path / "empty").mkdir()
    with pytest.raises(libvault.InvalidRequest):
        libvault.doctor(tmp_path / "empty")
    with pytest.raises(libvault.InvalidRequest) as refused:
        libvault.doctor(place, key=wrong)
    assert refused.value.code_name == "WrongKey"
    with pytest.raises(libvault.InvalidRequest):
        libvault.doctor("a\0b")
    with pytest.raises(libvault.InvalidRequest):
        libvault.doctor(place, scratch="a\0b")
    with pytest.raises(TypeError):
        libvault.doctor(place, key=b"bytes")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        libvault.salvage(place, key=KEY)  # type: ignore[call-arg]
    with pytest.raises(libvault.InvalidRequest) as taken:
        libvault.salvage(place, key=KEY, to=place)
    assert taken.value.code_name == "StoreExists"
    with pytest.raises(libvault.InvalidRequest):
        libvault.salvage(place, key=wrong, to=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(libvault.InvalidRequest):
        libvault.salvage(place, key=KEY, to=None, backend="other")
    with libvault.open(place, key=KEY):
        report = libvault.doctor(place)
        assert report["in_use"] and report["pid"] == os.getpid()
        with pytest.raises(libvault.InvalidRequest) as held:
            libvault.salvage(place, key=KEY, to=None)
        assert held.value.code_name == "StoreLocked"


def test_a_vault_in_use_is_compacted(place: pathlib.Path) -> None:
    with libvault.open(place, key=KEY) as vault:
        root = vault.session(vault.generate_root(KEY))
        for number in range(20):
            root.kv("secret").put("app/1", {"text": "x" * 10_000, "number": number})
        told = vault.compact()
        assert 0 < told["bytes_after"] <= told["bytes_before"]
        answer = root.request("write", "sys/storage/compact")
        assert answer is not None and answer["data"]["bytes_after"] > 0
        assert root.request("read", "sys/storage/verify") is not None
        assert root.kv("secret").get("app/1")["number"] == 19
        vault.seal()
        with pytest.raises(libvault.Sealed):
            vault.compact()
    with pytest.raises(libvault.InvalidRequest):
        vault.compact()
