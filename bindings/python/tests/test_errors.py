"""The exceptions: one root, one class for each kind, stable numbers."""

import pickle

import pytest

import libvault
from conftest import World

CLASSES = [
    "Conflict",
    "Corrupt",
    "Internal",
    "InvalidRequest",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "Rollback",
    "Sealed",
    "Unavailable",
]


def test_every_class_of_failure_is_an_exception_with_one_root() -> None:
    for name in CLASSES:
        kind = getattr(libvault, name)
        assert kind is getattr(libvault.errors, name) and kind.__bases__ == (libvault.VaultError,) and kind.__doc__
    assert libvault.VaultError.__bases__ == (Exception,)


def test_an_error_tells_number_name_messages_and_data(world: World) -> None:
    kv = world.root.kv("secret")
    kv.put("x", {"k": "v"})
    kv.delete("x")
    with pytest.raises(libvault.NotFound) as deleted:
        kv.get("x")
    error = deleted.value
    assert (error.code, error.code_name) == (301, "VersionDeleted")
    assert isinstance(error.errors, list) and all(isinstance(line, str) for line in error.errors)
    assert error.data is not None and error.data["metadata"]["version"] == 1 and error.data["metadata"]["deletion_time"]
    with pytest.raises(libvault.NotFound) as missing:
        kv.get("y")
    assert (missing.value.code, missing.value.data) == (300, None)
    with pytest.raises(libvault.InvalidRequest) as mismatch:
        kv.put("x", {"k": "v"}, cas=9)
    assert (mismatch.value.code, mismatch.value.code_name) == (103, "CasMismatch")
    with pytest.raises(libvault.InvalidRequest) as unsealed:
        libvault.policy.evaluate(["path {"], "read", "x")
    assert unsealed.value.code_name == "InvalidPolicy" and "line 1" in str(unsealed.value)


def test_an_error_crosses_a_process_boundary_whole(world: World) -> None:
    with pytest.raises(libvault.NotFound) as caught:
        world.root.kv("secret").get("x")
    back = pickle.loads(pickle.dumps(caught.value))
    assert type(back) is libvault.NotFound
    assert (back.code, back.code_name, back.errors, back.data) == (300, "NotFound", caught.value.errors, None)


def test_a_decision_says_which_rule_decided_and_why_others_did_not() -> None:
    texts = ['path "secret/*" {\n  capabilities = ["read"]\n}', 'path "secret/data/*" {\n  capabilities = ["list"]\n}']
    allowed = libvault.policy.evaluate(texts, "list", "secret/data/x")
    assert allowed and allowed.allowed and (allowed.rule, allowed.policy, allowed.line) == ("secret/data/*", "policy 2", 1)
    assert allowed.capabilities == ["list"] and [rule for rule, _ in allowed.losers] == ["secret/*"]
    assert str(allowed) == allowed.text and allowed.text in repr(allowed) and allowed.step
    denied = libvault.policy.evaluate(texts, "read", "secret/data/x")
    assert not denied and denied.rule == "secret/data/*"
    nothing = libvault.policy.evaluate(texts, "read", "other")
    assert not nothing and (nothing.rule, nothing.policy, nothing.line, nothing.losers) == (None, None, None, [])
