"""Key slots, key shares, key services, anchors and backups from Python."""

import base64
import io
import pathlib

import pytest

import libvault
from conftest import KEY, World


class Service(libvault.KeyWrapper):
    """A key service in memory."""

    name = "memory"

    def __init__(self, pad: int = 0x5A) -> None:
        self.pad = pad
        self.fails = False
        self.vault: libvault.Vault | None = None

    def wrap(self, key: bytes, context: bytes) -> bytes:
        if self.fails:
            raise ConnectionError("SECRET-IN-A-TEXT")
        return bytes(byte ^ self.pad for byte in key) + context

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if self.vault is not None:
            # It may call back: that works, or answers an error, and never waits for ever.
            assert self.vault.sealed
        if self.fails:
            raise ConnectionError("SECRET-IN-A-TEXT")
        assert wrapped[32:] == context
        return bytes(byte ^ self.pad for byte in wrapped[:32])


def test_shares_open_a_vault_one_by_one_or_together(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "vault"
    vault, init = libvault.create(place, key=libvault.Shamir(shares=3, threshold=2))
    assert len(init.shares) == 3 and init.shares[0].expose().startswith("lvs1")
    vault.close()
    with libvault.open(place) as vault:
        assert vault.unseal_share(init.shares[2]) is False
        status = vault.seal_status()
        assert (status["t"], status["n"], status["progress"]) == (2, 3, 1)
        vault.reset_unseal()
        assert vault.seal_status()["progress"] == 0
        vault.unseal_share(init.shares[2].expose())
        with pytest.raises(libvault.InvalidRequest) as wrong:
            vault.unseal_share(libvault.create(None, key=libvault.Shamir(2, 2))[1].shares[0])
        assert wrong.value.code == 116 and "another vault" in str(wrong.value)
        assert vault.unseal_share(init.shares[0]) is True and not vault.sealed
    with libvault.open(place, key=libvault.Shares(init.shares[:2])) as vault:
        assert vault.seal_status()["slots"][0]["type"] == "shamir"
        root = vault.session(vault.generate_root(libvault.Shares([share.expose() for share in init.shares])))
        read = root.request("read", "auth/token/lookup-self")
        assert read is not None and read["data"]["policies"] == ["root"]
    with pytest.raises(libvault.InvalidRequest) as few:
        libvault.open(place, key=libvault.Shares(init.shares[:1]))
    assert few.value.code == 117
    for bad in ((0, 1), (1, 2), (2, 1), (256, 2)):
        with pytest.raises(libvault.InvalidRequest):
            libvault.Shamir(*bad)
    with pytest.raises(libvault.InvalidRequest):
        libvault.Shares(["lvs1nonsense"])


def test_a_key_service_opens_beside_a_passphrase(tmp_path: pathlib.Path) -> None:
    place, service = tmp_path / "vault", Service()
    cheap = libvault.Passphrase("open sesame", memory_kib=19456, iterations=2, lanes=1)
    vault, _ = libvault.create(place, key=[service, cheap])
    assert [slot["type"] for slot in vault.seal_status()["slots"]] == ["wrapper", "passphrase"]
    vault.close()
    with libvault.open(place) as sealed:
        service.vault = sealed
        sealed.unseal(service)
        service.vault = None
    libvault.open(place, key=libvault.Passphrase("open sesame")).close()
    service.fails = True
    with pytest.raises(libvault.Unavailable) as failed:
        libvault.open(place, key=service)
    assert failed.value.code == 704 and "ConnectionError" in str(failed.value) and "SECRET" not in str(failed.value)
    with pytest.raises(libvault.Unavailable):
        libvault.create(None, key=service)
    service.fails = False
    other = Service()
    other.name = "other"  # type: ignore[misc]
    with pytest.raises(libvault.InvalidRequest):
        libvault.open(place, key=other)

    class Nothing(libvault.KeyWrapper):
        name = "nothing"

    with pytest.raises(libvault.Unavailable) as missing:
        libvault.create(None, key=Nothing())
    assert "NotImplementedError" in str(missing.value)


def test_a_rekey_and_a_root_token_by_requests_as_users_know_them() -> None:
    vault, init = libvault.create(None, key=libvault.Shamir(3, 2))
    root = vault.session(init.root_token)
    begun = root.request("write", "sys/rekey/init", {"secret_shares": 2, "secret_threshold": 2, "require_verification": True})
    assert begun is not None and begun["data"]["required"] == 2
    nonce = begun["data"]["nonce"]
    for share in init.shares[:2]:
        done = vault.request("write", "sys/rekey/update", {"nonce": nonce, "key": share.expose()})
    assert done is not None and done["data"]["complete"] is True
    for share in done["data"]["keys"]:
        shown = vault.request("write", "sys/rekey/verify", {"nonce": done["data"]["verification_nonce"], "key": share})
    assert shown is not None and shown["data"]["complete"] is True
    vault.seal()
    with pytest.raises(libvault.InvalidRequest):
        vault.unseal(libvault.Shares(init.shares))
    vault.unseal(libvault.Shares(done["data"]["keys"]))
    attempt = vault.request("write", "sys/generate-root/attempt")
    assert attempt is not None
    for share in done["data"]["keys"]:
        made = vault.request("write", "sys/generate-root/update", {"nonce": attempt["data"]["nonce"], "key": share})
    assert made is not None
    hidden = base64.b64decode(made["data"]["encoded_token"] + "==")
    token = bytes(a ^ b for a, b in zip(hidden, attempt["data"]["otp"].encode())).decode()
    assert vault.session(token).request("read", "auth/token/lookup-self") is not None


def test_keys_are_rolled_and_re_encrypted(world: World) -> None:
    world.root.kv("secret").put("x", {"k": "v"})
    world.root.request("write", "sys/rotate")
    status = world.root.request("read", "sys/key-status")
    assert status is not None and status["data"]["term"] == 2 and status["data"]["reencryption"]["active"]
    while status["data"]["reencryption"]["active"]:
        world.vault.tick()
        status = world.root.request("read", "sys/key-status")
        assert status is not None
    assert world.root.kv("secret").get("x")["k"] == "v"
    world.vault.verify()


def test_a_backup_is_verified_restored_frozen_and_adopted(world: World, tmp_path: pathlib.Path) -> None:
    world.root.kv("secret").put("x", {"k": "v"})
    path = tmp_path / "backup"
    with path.open("wb") as file:
        info = world.root.backup(file)
    assert info["bytes"] == path.stat().st_size and info["shares"] == []
    with path.open("rb") as file:
        assert libvault.verify_backup(file)["digest"] == info["digest"]
    with path.open("rb") as file:
        copy = libvault.restore(tmp_path / "copy", file, key=world.key)
    with copy:
        assert copy.frozen and not world.vault.frozen
        root = copy.session(world.token)
        assert root.kv("secret").get("x")["k"] == "v"
        with pytest.raises(libvault.InvalidRequest) as frozen:
            root.kv("secret").put("x", {"k": "w"})
        assert frozen.value.code == 118
        root.request("write", "sys/storage/adopt")
        assert not copy.frozen and root.kv("secret").put("x", {"k": "w"}).version == 2
    cut = io.BytesIO(path.read_bytes()[:-7])
    with pytest.raises(libvault.InvalidRequest) as bad:
        libvault.restore(tmp_path / "other", cut, key=world.key)
    assert bad.value.code == 119 and not (tmp_path / "other").exists()
    own = io.BytesIO()
    shares = world.root.backup(own, key=libvault.Shamir(2, 2))["shares"]
    with libvault.restore(None, io.BytesIO(own.getvalue()), key=libvault.Shares(shares)) as copy:
        assert copy.frozen

    class Full(io.RawIOBase):
        def write(self, _data: object, /) -> int:
            raise OSError(28, "no space")

    with pytest.raises(libvault.Unavailable):
        world.root.backup(Full())  # type: ignore[arg-type]


def test_a_backup_moves_a_vault_to_another_backend(world: World, tmp_path: pathlib.Path) -> None:
    world.root.kv("secret").put("x", {"k": "v"})
    file = io.BytesIO()
    world.root.backup(file)
    with libvault.restore(tmp_path / "moved", io.BytesIO(file.getvalue()), key=world.key, backend="redb") as moved:
        moved.session(world.token).request("write", "sys/storage/adopt")
    assert (tmp_path / "moved" / "store.redb").is_file()
    with libvault.open(tmp_path / "moved", key=world.key) as moved:
        assert moved.session(world.token).kv("secret").get("x")["k"] == "v"
    with pytest.raises(libvault.InvalidRequest):
        libvault.create(tmp_path / "none", key=world.key, backend="bolt")
    made, _ = libvault.create(tmp_path / "sled", key=world.key, backend="sled")
    made.close()
    assert (tmp_path / "sled" / "CURRENT").is_file()


def test_an_anchor_tells_a_store_that_was_put_back(tmp_path: pathlib.Path) -> None:
    import shutil

    class Memory(libvault.Anchor):
        def __init__(self) -> None:
            self.state: bytes | None = None

        def load(self) -> bytes | None:
            return self.state

        def store(self, state: bytes) -> None:
            self.state = bytes(state)

    for number, anchor in enumerate((Memory(), tmp_path / "anchor")):
        place, old = tmp_path / f"vault{number}", tmp_path / f"old{number}"
        vault, init = libvault.create(place, key=KEY, anchor=anchor)
        vault.close()
        shutil.copytree(place, old)
        with libvault.open(place, key=KEY, anchor=anchor) as vault:
            vault.session(init.root_token).kv("secret").put("x", {"k": "v"})
        with pytest.raises(libvault.Rollback):
            libvault.open(old, key=KEY, anchor=anchor)
        with libvault.open(old, key=KEY, anchor=anchor, accept_rollback=True) as vault:
            vault.session(init.root_token).kv("secret").put("x", {"k": "w"})
        with pytest.raises(libvault.Rollback):
            libvault.open(place, key=KEY, anchor=anchor)
