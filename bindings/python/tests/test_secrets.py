"""Secret values: looked at without a copy, never shown, never duplicated, compared in constant time, wiped when they are closed."""

import copy
import gc
import hashlib
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import libvault
from conftest import World

Secret = libvault.SecretStr | libvault.SecretBytes
MAKERS: list[Callable[[], Secret]] = [lambda: libvault.SecretStr("CANARY"), lambda: libvault.SecretBytes(b"CANARY")]
both = pytest.mark.parametrize("make", MAKERS, ids=["SecretStr", "SecretBytes"])


@both
def test_a_view_shows_the_bytes_and_takes_none(make: Callable[[], Secret]) -> None:
    view = memoryview(make())
    assert (bytes(view), view.readonly, view.format, view.nbytes) == (b"CANARY", True, "B", 6)
    assert hashlib.sha256(view).digest() == hashlib.sha256(b"CANARY").digest()
    with pytest.raises(TypeError):
        view[0] = 0


@both
def test_closing_wipes_what_views_show_and_ends_the_rest(make: Callable[[], Secret]) -> None:
    with make() as secret:
        view, part = memoryview(secret), memoryview(secret)[2:4]
    assert bytes(view) == bytes(6) and bytes(part) == bytes(2)
    secret.close()
    for use in (secret.expose, lambda: memoryview(secret)):
        with pytest.raises(libvault.InvalidRequest) as closed:
            use()
        assert closed.value.code == 110
    assert secret != make() and make() != secret and secret != secret.__class__.__name__
    assert "CANARY" not in repr(secret)


@both
def test_a_view_outlives_its_secret(make: Callable[[], Secret]) -> None:
    view = memoryview(make())
    gc.collect()
    assert bytes(view) == b"CANARY"


@both
def test_nothing_shows_or_duplicates_it(make: Callable[[], Secret]) -> None:
    secret = make()
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!s:>40}", "%s %r" % (secret, secret), "{}".format(secret)):
        assert "CANARY" not in shown and "[redacted]" in shown
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            duplicate(secret)
    for odd in (lambda: hash(secret), lambda: format(secret, ">10"), lambda: iter(secret), lambda: secret < make()):  # type: ignore[operator, arg-type, call-overload]
        with pytest.raises(TypeError):
            odd()
    assert not hasattr(secret, "__dict__")


def test_equality_is_that_of_the_content() -> None:
    text, data = libvault.SecretStr("CANARY"), libvault.SecretBytes(b"CANARY")
    assert text == "CANARY" and text == libvault.SecretStr("CANARY") and text != "CANARY2" and text != b"CANARY"
    assert data == b"CANARY" and data == bytearray(b"CANARY") and data == memoryview(b"CANARY") and data == libvault.SecretBytes(b"CANARY")
    assert data != "CANARY" and data != b"CANAR" and data != 1 and data != memoryview(b"CANARYCA").cast("Q")
    assert not (text == "\ud800") and len(data) == 6


@given(content=st.binary(max_size=200), other=st.binary(max_size=200))
def test_bytes_come_back_as_they_were_given(content: bytes, other: bytes) -> None:
    for given_as in (content, bytearray(content), memoryview(content), libvault.SecretBytes(content), memoryview(content + content)[:: 2][: len(content)]):
        with libvault.SecretBytes(given_as) as secret:
            assert secret.expose() == bytes(memoryview(secret)) == bytes(given_as)
            assert (secret == other) == (bytes(given_as) == other)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_text_comes_back_as_it_was_given(text: str) -> None:
    secret = libvault.SecretStr(text)
    assert secret.expose() == text and secret == text and bytes(memoryview(secret)) == text.encode()


def test_a_member_is_read_without_a_str_of_it(world: World) -> None:
    kv = world.root.kv("secret")
    kv.put("x", {"password": "pa55-wörd", "number": 1})
    with kv.get("x") as secret:
        password = secret.secret_bytes("password")
        with pytest.raises(libvault.InvalidRequest):
            secret.secret_bytes("number")
        with pytest.raises(KeyError):
            secret.secret_bytes("gone")
    with password:
        assert password == "pa55-wörd".encode()
    with pytest.raises(libvault.InvalidRequest):
        secret.secret_bytes("password")


def test_a_key_may_come_from_what_can_be_wiped() -> None:
    for raw in (bytearray(range(32)), memoryview(bytes(range(32))), libvault.SecretBytes(bytes(range(32)))):
        vault, _ = libvault.create(None, key=libvault.RawKey(raw))
        vault.seal()
        vault.unseal(libvault.RawKey(bytes(range(32))))
        vault.close()


def test_a_token_that_was_closed_opens_nothing(world: World) -> None:
    token = libvault.SecretStr(world.token.expose())
    session = world.vault.session(token)
    token.close()
    assert session.request("read", "auth/token/lookup-self")
    with pytest.raises(libvault.InvalidRequest) as closed:
        world.vault.session(token)
    assert closed.value.code == 110
