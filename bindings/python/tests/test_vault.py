"""A vault's life from Python: create, open, seal, sessions, secrets, requests, time."""

import datetime
import os
import pathlib
import subprocess
import sys

import pytest

import libvault
from conftest import KEY, START, World

APP = 'path "secret/data/app/*" { capabilities = ["create", "read", "update"] }'


def app_session(world: World, ttl: int = 3600) -> libvault.Session:
    world.root.request("write", "sys/policies/acl/app", {"policy": APP})
    made = world.root.request("write", "auth/token/create", {"policies": ["app"], "ttl": ttl})
    assert made is not None
    return world.vault.session(made["auth"]["client_token"])


def test_a_secret_is_written_read_versioned_and_deleted(world: World) -> None:
    kv = world.root.kv("secret")
    data = {"text": "ü\n", "number": 2**63, "negative": -(2**63), "float": 2.5, "list": [1, None, True], "object": {"a": "b"}}
    assert kv.put("app/db", data).version == 1
    assert kv.put("app/db", {"text": "two"}, cas=1).version == 2
    with kv.get("app/db", version=1) as secret:
        assert secret.expose() == data
        assert (secret["text"], len(secret), "list" in secret, 1 in secret, sorted(secret)) == ("ü\n", 6, True, False, sorted(data))
        assert dict(secret) == dict(secret.items()) == data and secret.values() == [data[name] for name in secret.keys()]
        assert secret.get("float") == 2.5 and secret.get("gone") is None and secret.get("gone", 1) == 1
        with pytest.raises(KeyError):
            secret["gone"]
    for use in (lambda: secret["text"], lambda: len(secret), secret.expose, secret.keys):
        with pytest.raises(libvault.InvalidRequest) as closed:
            use()
        assert closed.value.code == 110
    assert kv.list() == ["app/"] and kv.list("app") == ["db"]
    kv.delete("app/db")
    with pytest.raises(libvault.NotFound) as caught:
        kv.get("app/db")
    assert caught.value.code == 301 and caught.value.data is not None
    assert caught.value.data["metadata"]["version"] == 2
    kv.undelete_versions("app/db", [2])
    kv.destroy_versions("app/db", [1])
    assert [row.destroyed for row in kv.metadata("app/db")["versions"]] == [True, False]
    kv.delete_metadata("app/db")
    with pytest.raises(libvault.NotFound):
        kv.list()


def test_the_logical_api_answers_in_the_known_shape(world: World) -> None:
    assert world.vault.request("write", "sys/policies/acl/app", {"policy": APP}, token=world.token) is None
    made = world.vault.request("write", "secret/data/x", {"data": {"k": "v"}}, token=world.token.expose())
    assert made is not None and made["data"]["version"] == 1
    read = world.vault.request("read", "secret/data/x", {"version": 1}, token=world.token, correlation_id="req-1")
    assert read is not None and read["data"]["data"] == {"k": "v"}
    assert set(read) == {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"}
    status = world.vault.request("read", "sys/seal-status")
    assert status is not None and status["data"]["sealed"] is False
    events = world.root.request("read", "sys/audit-log/events", {"limit": 1000})
    assert events is not None
    assert [event["path"] for event in events["data"]["events"] if event["correlation_id"] == "req-1"] == ["secret/data/x"]


def test_a_token_does_what_its_policy_says_until_it_expires(world: World) -> None:
    app = app_session(world, ttl=60)
    app.kv("secret").put("app/x", {"k": "v"})
    with pytest.raises(libvault.PermissionDenied) as caught:
        app.kv("secret").get("other")
    assert (caught.value.code, caught.value.errors, str(caught.value)) == (200, ["permission denied"], "permission denied")
    world.clock.advance(59)
    app.kv("secret").get("app/x")
    world.clock.advance(1)
    with pytest.raises(libvault.PermissionDenied):
        app.kv("secret").get("app/x")
    next_call = world.vault.tick()
    assert next_call is not None and next_call > world.clock.now()


def test_a_clock_starts_at_seconds_or_a_datetime() -> None:
    noon = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
    clock = libvault.ManualClock(noon)
    assert clock.now() == noon.timestamp()
    clock.advance(0.25)
    assert clock.now() == noon.timestamp() + 0.25
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(libvault.InvalidRequest):
            clock.advance(bad)
    with pytest.raises(TypeError):
        libvault.ManualClock("soon")  # type: ignore[arg-type]


def test_a_vault_on_disk_is_sealed_reopened_and_held_by_one_process(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "vault"
    cheap = libvault.Passphrase("open sesame", memory_kib=19456, iterations=2, lanes=1)
    vault, init = libvault.create(place, key=cheap, audit="strict")
    vault.session(init.root_token).kv("secret").put("x", {"k": "v"})
    with pytest.raises(libvault.InvalidRequest) as caught:
        libvault.open(place)
    assert caught.value.code_name == "StoreLocked" and str(os.getpid()) in str(caught.value)
    other = f"import libvault\ntry:\n    libvault.open({str(place)!r})\nexcept libvault.InvalidRequest as error:\n    print(error)"
    told = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True).stdout
    assert str(os.getpid()) in told
    vault.close()
    vault.close()
    with pytest.raises(libvault.InvalidRequest) as caught:
        vault.session(init.root_token).kv("secret").get("x")
    assert caught.value.code_name == "Closed"
    with pytest.raises(libvault.InvalidRequest) as caught:
        libvault.create(place, key=cheap)
    assert caught.value.code_name == "StoreExists"
    with libvault.open(place) as again:
        assert again.sealed and again.seal_status()["seal_types"] == ["passphrase"]
        with pytest.raises(libvault.Sealed):
            again.session(init.root_token)
        status = again.request("read", "sys/seal-status")
        assert status is not None and status["data"]["sealed"] is True
        with pytest.raises(libvault.InvalidRequest) as caught:
            again.unseal(libvault.Passphrase("guess", memory_kib=19456, iterations=2, lanes=1))
        assert caught.value.code_name == "WrongKey"
        again.unseal(cheap)
        session = again.session(init.root_token)
        assert session.kv("secret").get("x")["k"] == "v"
        assert again.verify()["records"] > 5
        session.request("write", "sys/seal")
        with pytest.raises(libvault.Sealed):
            session.kv("secret").get("x")
        again.unseal(cheap)
        session.kv("secret").get("x")
        again.seal()
        again.seal()
        assert again.sealed


def test_missing_and_foreign_places_are_named_as_such(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    for name in ("missing", "file", "other"):
        with pytest.raises(libvault.InvalidRequest) as caught:
            libvault.open(tmp_path / name)
        assert caught.value.code_name == "NotAStore"
    with pytest.raises(libvault.InvalidRequest):
        libvault.create(tmp_path / "other", key=KEY)


def test_policy_decisions_say_why() -> None:
    decision = libvault.policy.evaluate([APP, 'path "secret/*" { capabilities = ["list"] }'], "read", "secret/data/app/db")
    assert decision and decision.allowed and decision.policy == "policy 1" and decision.capabilities == ["create", "read", "update"]
    assert [rule for rule, _reason in decision.losers] == ["secret/*"]
    assert str(decision).startswith("ALLOWED read secret/data/app/db")
    assert not libvault.policy.evaluate([APP], "delete", "secret/data/app/db", dialect="openbao")


def test_start_is_where_the_clock_stands(world: World) -> None:
    assert world.clock.now() == START


def test_policies_follow_the_dialect_and_the_deny_that_the_vault_is_opened_with() -> None:
    policy = 'path "secret/*" { capabilities = ["deny"] } path "secret/data/a" { capabilities = ["read"] }'
    for absolute in (False, True):
        vault, init = libvault.create(None, key=KEY, dialect="openbao", absolute_deny=absolute)
        with vault:
            root = vault.session(init.root_token)
            root.kv("secret").put("a", {"k": "v"})
            root.request("write", "sys/policies/acl/p", {"policy": policy})
            made = root.request("write", "auth/token/create", {"policies": ["p"]})
            assert made is not None
            app = vault.session(made["auth"]["client_token"])
            if absolute:
                with pytest.raises(libvault.PermissionDenied):
                    app.kv("secret").get("a")
            else:
                assert app.kv("secret").get("a")["k"] == "v"
            told = root.request("read", "sys/config/state/sanitized")
            assert told is not None and told["data"]["policy"] == {"dialect": "openbao", "absolute_deny": absolute}
    with pytest.raises(libvault.InvalidRequest):
        libvault.create(None, key=KEY, dialect="other")


def test_secrets_are_held_decrypted_where_the_host_asks_for_it() -> None:
    vault, init = libvault.create(None, key=KEY, value_cache_bytes=1 << 20, value_cache_ttl=300)
    with vault:
        kv = vault.session(init.root_token).kv("secret")
        kv.put("a", {"k": "old"})
        assert [kv.get("a")["k"] for _ in range(3)] == ["old"] * 3
        kv.put("a", {"k": "new"})
        assert kv.get("a")["k"] == "new"
        assert 'libvault_value_cache_total{outcome="hit"} 2\n' in vault.metrics()
    vault, _ = libvault.create(None, key=KEY)
    with vault:
        assert "value_cache" not in vault.metrics()
