"""Values between Python and the vault: whatever JSON can say comes back as it was put, and nothing else is let in."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import libvault
from conftest import World

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WHOLE = st.integers(-(2**63), 2**64 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
LEAF = st.none() | st.booleans() | WHOLE | FLOAT | TEXT
JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5), max_leaves=20)
ODD = st.binary(max_size=4) | st.sets(st.integers(), max_size=2) | st.complex_numbers() | st.integers() | st.floats() | st.text(max_size=4)
ANYTHING = st.recursive(LEAF | ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.integers(), inner, max_size=4))

many = settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(data=st.dictionaries(TEXT, JSON, max_size=8))
def test_what_is_put_is_what_is_got(world: World, data: dict[str, Any]) -> None:
    kv = world.root.kv("secret")
    kv.put("x", data)
    with kv.get("x") as secret:
        # As JSON text, so that 1, 1.0 and True are not taken for one another.
        assert json.dumps(secret.expose(), sort_keys=True) == json.dumps(data, sort_keys=True)


@many
@given(data=st.dictionaries(TEXT, ANYTHING, max_size=8))
def test_what_is_no_json_is_an_invalid_request_and_never_half_written(world: World, data: dict[str, Any]) -> None:
    kv = world.root.kv("secret")
    try:
        kv.put("y", data)
    except libvault.InvalidRequest:
        return
    assert kv.get("y").expose() == data


@many
@given(path=st.text(max_size=40))
def test_any_text_as_a_path_is_taken_or_refused(world: World, path: str) -> None:
    try:
        world.root.kv("secret").put(path, {"k": path if path.isascii() else ""})
        world.root.kv("secret").get(path).close()
    except libvault.InvalidRequest as error:
        # Refused for its form, and never quoted.
        assert error.errors and (len(path) < 3 or path not in str(error) or path in "invalid path")


@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63 - 1, 2**63, 2**64 - 1, 0.1, 5e-324, 1.7976931348623157e308, -0.0])
def test_numbers_come_back_to_the_bit(world: World, number: float) -> None:
    world.root.kv("secret").put("n", {"n": number})
    found = world.root.kv("secret").get("n")["n"]
    assert (type(found), repr(found)) == (type(number), repr(number))


def test_nesting_is_taken_up_to_its_limit_and_no_further(world: World) -> None:
    def nested(depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for _ in range(depth - 1):
            data = {"a": data}
        return data

    kv = world.root.kv("secret")
    for depth in range(1, 65):
        kv.put("d", nested(depth))
        assert kv.get("d").expose() == nested(depth)
    with pytest.raises(libvault.InvalidRequest) as caught:
        kv.put("d", nested(65))
    assert caught.value.code_name == "InvalidData"
    assert kv.get("d").expose() == nested(64)


def test_what_is_as_large_as_may_be_is_readable(world: World) -> None:
    kv = world.root.kv("secret")
    for data in ({"list": [0] * 19_998}, {"text": "x" * 1_048_000}, {"text": "\n" * 524_000}):
        kv.put("large", data)
        assert kv.get("large").expose() == data
