"""A key in an HSM as a key service: a SoftHSM2 with a configuration and a token of these tests' own."""

import os
import pathlib
import pickle
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import libvault

PIN = "pin-canary-4711"
PLACES = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"]

Hsm = Callable[..., libvault.Pkcs11]


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hsm]:
    """Makes wrappers over a token. SoftHSM2 reads its configuration once a process, so there is one token for all tests."""
    module = next((place for place in PLACES if os.path.exists(place)), None)
    assert module is not None, "SoftHSM2 is missing: install the Debian package softhsm2"
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)
    words = ["softhsm2-util", "--init-token", "--free", "--label", "vault", "--so-pin", "so-pin-0815", "--pin", PIN]
    subprocess.run(words, check=True, capture_output=True)

    def make(key: str, *, pin: str | libvault.SecretStr = PIN, **others: str | bytes) -> libvault.Pkcs11:
        return libvault.Pkcs11(module, token="vault", pin=pin, key=key, **others)  # type: ignore[arg-type]

    yield make


def test_a_token_opens_a_vault_beside_a_passphrase_and_the_key_may_change(hsm: Hsm, tmp_path: pathlib.Path) -> None:
    place, old, new = tmp_path / "vault", hsm("vault-2026"), hsm("vault-2027", pin=libvault.SecretStr(PIN))
    assert isinstance(old, libvault.KeyWrapper) and old.name == "pkcs11" and PIN not in repr(old)
    cheap = libvault.Passphrase("open sesame", memory_kib=19456, iterations=2, lanes=1)
    with pytest.raises(libvault.Unavailable) as absent:
        libvault.create(place, key=[old, cheap])
    assert absent.value.code == 704 and 'no AES key labelled "vault-2026"' in str(absent.value)
    old.generate_key()
    with pytest.raises(libvault.Unavailable):
        old.generate_key()
    vault, init = libvault.create(place, key=[old, cheap])
    vault.close()
    new.generate_key()
    with libvault.open(place, key=new) as vault:
        root = vault.session(init.root_token)
        root.request("write", "sys/seals", {"wrapper": "pkcs11"})
        root.request("delete", "sys/seals/1")
        vault.seal()
        vault.unseal(new)
    with libvault.open(place, key=cheap, key_wrappers=[new]) as vault:
        assert [slot["type"] for slot in vault.seal_status()["slots"]] == ["passphrase", "wrapper"]


def test_failures_say_what_to_do_and_hold_no_pin(hsm: Hsm) -> None:
    wrong = hsm("vault-2026", pin="1234")
    for told in ("refused the user PIN", "refused before and is not tried again"):
        with pytest.raises(libvault.Unavailable) as refused:
            libvault.create(None, key=wrong)
        assert told in str(refused.value) and "1234" not in str(refused.value)
    with pytest.raises(libvault.Unavailable) as nothing:
        libvault.Pkcs11("/nothing/here.so", token="vault", pin=PIN, key="k").generate_key()
    assert "no PKCS#11 module at the path" in str(nothing.value)
    for bad in ({}, {"token": "vault", "serial": "1"}):
        with pytest.raises(libvault.InvalidRequest):
            libvault.Pkcs11("m", pin=PIN, key="k", **bad)  # type: ignore[arg-type]
    with pytest.raises(libvault.InvalidRequest):
        hsm("")
    with pytest.raises(libvault.InvalidRequest):
        hsm("k", name="")
    with pytest.raises(TypeError):
        pickle.dumps(wrong)


def test_it_may_be_called_as_any_key_wrapper_and_from_many_threads(hsm: Hsm) -> None:
    wrapper = hsm("shared", key_id=b"\x07\x08", name="another")
    wrapper.generate_key()
    key = bytes(range(32))

    def round_trip(number: int) -> bool:
        context = str(number).encode()
        return wrapper.unwrap(wrapper.wrap(key, context), context) == key

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(round_trip, range(80)))
    with pytest.raises(libvault.Unavailable) as other:
        wrapper.unwrap(wrapper.wrap(key, b"one"), b"another")
    assert "does not open" in str(other.value)
    with pytest.raises(libvault.InvalidRequest):
        wrapper.wrap(key[:31], b"")


def test_a_child_process_makes_a_wrapper_of_its_own(hsm: Hsm) -> None:
    wrapper = hsm("forked")
    wrapper.generate_key()
    wrapped = wrapper.wrap(bytes(32), b"context")
    child = os.fork()
    if child == 0:
        # Ends without running what pytest has planned for the end of this process.
        try:
            refused = False
            try:
                wrapper.unwrap(wrapped, b"context")
            except libvault.VaultError as error:
                refused = "fork" in str(error)
            os._exit(0 if refused and hsm("forked").unwrap(wrapped, b"context") == bytes(32) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert wrapper.unwrap(wrapped, b"context") == bytes(32)
