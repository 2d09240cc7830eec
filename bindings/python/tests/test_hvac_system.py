"""The real hvac over a vault in the same process: what it asks of `sys/` and `auth/token/`."""

from collections.abc import Iterator
from typing import Any

import hvac
import pytest

import libvault
import libvault.hvac
from conftest import START, World

APP = 'path "secret/data/app/*" { capabilities = ["create", "read", "update"] }'

@pytest.fixture
def client(world: World) -> Any:
    return libvault.hvac.client(world.vault, world.token)


@pytest.fixture
def shared() -> Iterator[tuple[libvault.Vault, list[str], Any]]:
    """A vault that two of three shares open, the shares, and a client under its root token."""
    clock = libvault.ManualClock(START)
    vault, init = libvault.create(None, key=libvault.Shamir(shares=3, threshold=2), clock=clock)
    with vault:
        yield vault, [share.expose() for share in init.shares], libvault.hvac.client(vault, init.root_token)


def under(world: World, token: str) -> Any:
    return libvault.hvac.client(world.vault, token)


def test_policies_are_written_read_listed_and_deleted(client: Any) -> None:
    assert client.sys.create_or_update_acl_policy("app", APP).status_code == 204
    assert client.sys.read_acl_policy("app")["data"] == {"name": "app", "policy": APP}
    assert client.sys.list_acl_policies()["data"]["keys"] == ["app", "default", "root"]
    rules = {"path": {"secret/data/json/*": {"capabilities": ["read"]}}}
    client.sys.create_or_update_acl_policy("json", rules)
    assert "secret/data/json/*" in client.sys.read_acl_policy("json")["data"]["policy"]
    assert client.sys.delete_acl_policy("app").status_code == 204
    with pytest.raises(hvac.exceptions.InvalidPath):
        client.sys.read_acl_policy("app")


def test_policies_by_the_older_paths_read_as_by_the_newer_ones(client: Any) -> None:
    assert client.sys.create_or_update_policy("app", APP).status_code == 204
    read = client.sys.read_policy("app")
    assert read["rules"] == read["data"]["rules"] == APP and read["name"] == "app"
    listed = client.sys.list_policies()
    assert listed["policies"] == listed["keys"] == listed["data"]["policies"] == ["app", "default", "root"]
    assert client.get_policy("app") == APP and client.get_policy("none") is None
    assert client.sys.read_acl_policy("app")["data"]["policy"] == APP
    client.sys.delete_policy("app")
    with pytest.raises(hvac.exceptions.InvalidPath):
        client.sys.read_policy("app")


def test_capabilities_are_told_at_the_top_and_in_the_data(client: Any, world: World) -> None:
    client.sys.create_or_update_acl_policy("app", APP)
    app = under(world, client.write_data("auth/token/create", data={"policies": ["app"]})["auth"]["client_token"])
    told = app.sys.get_capabilities(paths=["secret/data/app/x", "secret/data/other"])
    assert told["data"] == {"secret/data/app/x": ["create", "read", "update"], "secret/data/other": ["deny"]}
    assert told["secret/data/app/x"] == ["create", "read", "update"]
    assert client.sys.get_capabilities(paths=["secret/x"])["data"]["secret/x"] == ["root"]


def test_capabilities_of_another_token_are_told(client: Any) -> None:
    client.sys.create_or_update_acl_policy("app", APP)
    made = client.write_data("auth/token/create", data={"policies": ["app"]})["auth"]
    by_token = client.sys.get_capabilities(paths=["secret/data/app/x"], token=made["client_token"])
    by_accessor = client.sys.get_capabilities(paths=["secret/data/app/x"], accessor=made["accessor"])
    assert by_token["data"]["secret/data/app/x"] == by_accessor["secret/data/app/x"] == ["create", "read", "update"]


def test_mounts_are_made_listed_tuned_moved_and_removed(client: Any) -> None:
    made = client.sys.enable_secrets_engine("kv", path="apps", description="of apps", config={"default_lease_ttl": "1h"}, options={"version": "2"})
    assert made.status_code == 204
    listed = client.sys.list_mounted_secrets_engines()
    assert listed["apps/"] == listed["data"]["apps/"] and listed["apps/"]["type"] == "kv" and listed["apps/"]["options"] == {"version": "2"}
    assert {"secret/", "sys/", "cubbyhole/"} <= set(listed["data"])
    assert client.sys.retrieve_mount_option("apps", "version") == "2"
    assert client.sys.tune_mount_configuration("apps", max_lease_ttl="48h", description="tuned").status_code == 204
    tuned = client.sys.read_mount_configuration("apps")
    assert (tuned["data"]["default_lease_ttl"], tuned["max_lease_ttl"], tuned["description"]) == (3600, 172800, "tuned")
    client.secrets.kv.v2.create_or_update_secret("x", {"k": "v"}, mount_point="apps")
    client.sys.move_backend("apps", "moved")
    moved = client.secrets.kv.v2.read_secret("x", mount_point="moved", raise_on_deleted_version=True)
    assert moved["data"]["data"] == {"k": "v"}
    assert client.sys.disable_secrets_engine("moved").status_code == 204
    assert "moved/" not in client.sys.list_mounted_secrets_engines()["data"]
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.enable_secrets_engine("transit")


def test_tokens_look_themselves_up_and_end(client: Any, world: World) -> None:
    client.sys.create_or_update_acl_policy("app", APP)
    data = {"policies": ["app"], "ttl": "1h", "display_name": "worker", "meta": {"host": "a"}}
    made = client.write_data("auth/token/create", data=data)["auth"]
    assert made["policies"] == ["app", "default"] and made["lease_duration"] == 3600 and made["accessor"]
    app = under(world, made["client_token"])
    own = app.auth.token.lookup_self()["data"]
    assert (own["id"], own["display_name"], own["meta"], own["ttl"]) == (made["client_token"], "token-worker", {"host": "a"}, 3600)
    assert app.lookup_token()["data"]["accessor"] == made["accessor"]
    assert app.auth.token.revoke_self().status_code == 204
    with pytest.raises(hvac.exceptions.Forbidden):
        app.auth.token.lookup_self()


def test_identities_are_made_looked_up_and_give_tokens_their_policies(client: Any, world: World) -> None:
    client.sys.create_or_update_acl_policy("app", APP)
    identity = client.secrets.identity
    ann = identity.create_or_update_entity(name="Ann", policies=["app"], metadata={"team": "ops"})["data"]["id"]
    assert identity.read_entity(entity_id=ann)["data"]["name"] == "ann"
    assert identity.read_entity_by_name(name="ann")["data"]["metadata"] == {"team": "ops"}
    alias = identity.create_or_update_entity_alias(name="ann", canonical_id=ann, mount_accessor="auth_token")["data"]["id"]
    assert identity.read_entity_alias(alias_id=alias)["data"]["canonical_id"] == ann
    assert identity.lookup_entity(name="ANN")["data"]["id"] == ann
    assert identity.lookup_entity(alias_id=alias)["data"]["id"] == ann
    group = identity.create_or_update_group(name="ops", member_entity_ids=[ann], policies=["ops"])["data"]["id"]
    assert identity.read_group(group_id=group)["data"]["member_entity_ids"] == [ann]
    assert identity.lookup_group(name="ops")["data"]["id"] == group
    assert identity.list_entities()["data"]["keys"] == [ann] and identity.list_entities_by_name()["data"]["keys"] == ["ann"]
    assert identity.list_groups_by_name()["data"]["keys"] == ["ops"] and identity.list_entity_aliases()["data"]["keys"] == [alias]
    client.auth.token.create_or_update_role("people", allowed_policies=["default"], orphan=True)
    client.write_data("auth/token/roles/people", data={"allowed_entity_aliases": ["ann"]})
    made = client.write_data("auth/token/create/people", data={"entity_alias": "ann"})["auth"]
    assert (made["entity_id"], made["identity_policies"]) == (ann, ["app", "ops"])
    held = under(world, made["client_token"])
    held.secrets.kv.v2.create_or_update_secret("app/x", {"k": "v"})
    assert held.auth.token.lookup_self()["data"]["entity_id"] == ann
    assert identity.update_entity(entity_id=ann, disabled=True).status_code == 204
    with pytest.raises(hvac.exceptions.Forbidden):
        held.auth.token.lookup_self()
    assert identity.delete_group(group_id=group).status_code == 204
    assert identity.delete_entity_alias(alias_id=alias).status_code == 204
    assert identity.delete_entity(entity_id=ann).status_code == 204
    with pytest.raises(hvac.exceptions.InvalidPath):
        identity.read_entity(entity_id=ann)


def test_an_event_names_the_entity_of_its_caller(world: World) -> None:
    def answer(operation: str, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        return world.root.request(operation, path, data) or {}

    ann = answer("write", "identity/entity", {"name": "ann"})["data"]["id"]
    answer("write", "identity/entity-alias", {"name": "ann", "canonical_id": ann, "mount_accessor": "auth_token"})
    answer("write", "auth/token/roles/people", {"allowed_entity_aliases": "*"})
    made = answer("write", "auth/token/create/people", {"entity_alias": "Ann.", "policies": ["default"]})["auth"]
    assert made["entity_id"] == ann
    world.vault.session(made["client_token"]).request("read", "auth/token/lookup-self")
    events = answer("read", "sys/audit-log/events")["data"]["events"]
    assert [event["entity_id"] for event in events if event["path"] == "auth/token/lookup-self"] == [ann]
    assert [event["identity_concerned"] for event in events if event["path"] == "auth/token/create/people"] == [ann]


def test_tokens_are_made_by_each_option_and_end(client: Any, world: World) -> None:
    made = client.auth.token.create(policies=["default"], ttl="1h", display_name="worker", meta={"host": "a"})["auth"]
    assert made["policies"] == ["default"] and made["lease_duration"] == 3600 and made["metadata"] == {"host": "a"}
    short = under(world, client.auth.token.create(policies=["default"], ttl="60s")["auth"]["client_token"])
    once = under(world, client.auth.token.create(policies=["default"], num_uses=1)["auth"]["client_token"])
    assert once.is_authenticated() and not once.is_authenticated()
    periodic = client.auth.token.create(policies=["default"], period="1h", no_parent=True)["auth"]
    assert periodic["orphan"] is True and periodic["lease_duration"] == 3600
    batch = client.auth.token.create(policies=["default"], type="batch", ttl="1h", renewable=False)["auth"]
    assert batch["token_type"] == "batch" and under(world, batch["client_token"]).is_authenticated()
    world.clock.advance(60)
    assert not short.is_authenticated()


def test_a_client_logs_out_with_its_token(client: Any, world: World) -> None:
    app = under(world, client.write_data("auth/token/create", data={"ttl": "1h"})["auth"]["client_token"])
    token = app.token
    app.logout(revoke_token=True)
    assert app.token is None and not under(world, token).is_authenticated()


def test_a_token_is_looked_up_and_revoked_by_itself_and_by_its_accessor(client: Any, world: World) -> None:
    made = client.auth.token.create(ttl="1h")["auth"]
    assert client.auth.token.lookup(made["client_token"])["data"]["accessor"] == made["accessor"]
    assert made["accessor"] in client.auth.token.list_accessors()["data"]["keys"]
    assert client.auth.token.lookup_accessor(made["accessor"])["data"]["id"] == ""
    assert client.auth.token.revoke_accessor(made["accessor"]).status_code == 204
    with pytest.raises(hvac.exceptions.VaultError):
        client.auth.token.lookup_accessor(made["accessor"])
    other = client.auth.token.create()["auth"]["client_token"]
    assert client.auth.token.revoke(other).status_code == 204
    assert not under(world, other).is_authenticated()
    with pytest.raises(hvac.exceptions.Forbidden):
        client.auth.token.lookup(other)


def test_a_token_is_renewed_in_each_way(client: Any, world: World) -> None:
    made = client.auth.token.create(ttl="1h", renewable=True)["auth"]
    assert made["renewable"] is True
    world.clock.advance(1800)
    renewed = under(world, made["client_token"]).auth.token.renew_self(increment="1h")["auth"]
    assert renewed["client_token"] == made["client_token"] and renewed["lease_duration"] == 3600
    assert client.auth.token.renew(made["client_token"], increment="2h")["auth"]["lease_duration"] == 7200
    assert client.auth.token.renew_accessor(made["accessor"], increment="30m")["auth"]["lease_duration"] == 1800


def test_orphans_outlive_their_parent_and_children_can_be_made_orphans(client: Any, world: World) -> None:
    parent = client.auth.token.create(policies=["root"])["auth"]["client_token"]
    orphan = under(world, parent).auth.token.create_orphan(policies=["default"], ttl="1h")["auth"]
    child = under(world, parent).auth.token.create(policies=["default"], ttl="1h")["auth"]
    assert (orphan["orphan"], child["orphan"]) == (True, False)
    client.auth.token.revoke_and_orphan_children(parent)
    assert not under(world, parent).is_authenticated()
    assert under(world, orphan["client_token"]).is_authenticated() and under(world, child["client_token"]).is_authenticated()


def test_tokens_are_made_by_roles(client: Any) -> None:
    client.sys.create_or_update_acl_policy("app", APP)
    client.auth.token.create_or_update_role("worker", allowed_policies=["app"], orphan=True, renewable=False)
    assert client.auth.token.list_roles()["data"]["keys"] == ["worker"]
    role = client.auth.token.read_role("worker")["data"]
    assert (role["name"], role["allowed_policies"], role["orphan"], role["renewable"]) == ("worker", ["app"], True, False)
    made = client.auth.token.create(role_name="worker", policies=["app"], ttl="1h")["auth"]
    assert made["orphan"] is True and "app" in made["policies"]
    client.auth.token.delete_role("worker")
    with pytest.raises(hvac.exceptions.InvalidPath):
        client.auth.token.read_role("worker")


def test_an_answer_is_wrapped_and_unwrapped_once(client: Any, world: World) -> None:
    client.secrets.kv.v2.create_or_update_secret("x", {"k": "v"})
    wrapped = client.read("secret/data/x", wrap_ttl="60s")
    assert wrapped["data"] is None and wrapped["wrap_info"]["ttl"] == 60
    token = wrapped["wrap_info"]["token"]
    assert client.sys.unwrap(token)["data"]["data"] == {"k": "v"}
    with pytest.raises(hvac.exceptions.VaultError):
        client.sys.unwrap(token)
    made = client.auth.token.create(policies=["default"], wrap_ttl="60s")
    unwrapped = under(world, made["wrap_info"]["token"]).sys.unwrap()
    assert under(world, unwrapped["auth"]["client_token"]).is_authenticated()


def test_data_of_the_caller_is_wrapped(client: Any) -> None:
    wrapped = client.sys.wrap({"k": "v"}, ttl=60)
    assert client.sys.unwrap(wrapped["wrap_info"]["token"])["data"] == {"k": "v"}


def test_a_wrapped_answer_is_never_given_in_the_clear(client: Any) -> None:
    client.secrets.kv.v2.create_or_update_secret("x", {"k": "pa55-w0rd"})
    try:
        told = client.read("secret/data/x", wrap_ttl="60s")
    except hvac.exceptions.InvalidRequest as refused:
        told = str(refused)
        assert "wraps no answers" in told
    assert "pa55-w0rd" not in str(told)


def test_a_vault_is_sealed_and_unsealed_by_key_shares(shared: tuple[libvault.Vault, list[str], Any]) -> None:
    vault, shares, client = shared
    client.secrets.kv.v2.create_or_update_secret("x", {"k": "v"})
    assert not client.sys.is_sealed() and client.sys.is_initialized() and client.seal_status["sealed"] is False
    assert client.sys.seal().status_code == 204
    assert client.sys.is_sealed() and client.sys.is_initialized() and vault.sealed
    status = client.sys.submit_unseal_key(shares[0])
    assert (status["sealed"], status["t"], status["n"], status["progress"]) == (True, 2, 3, 1)
    assert client.sys.submit_unseal_key(reset=True)["progress"] == 0
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.submit_unseal_key("no share")
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.submit_unseal_key()
    assert client.sys.submit_unseal_keys(shares)["sealed"] is False
    assert client.sys.submit_unseal_key(shares[2])["sealed"] is False
    assert client.secrets.kv.v2.read_secret("x", raise_on_deleted_version=True)["data"]["data"] == {"k": "v"}
    assert vault.session(client.token).kv("secret").get("x")["k"] == "v"
    client.sys.seal()
    client.sys.submit_unseal_keys(shares[1:])
    assert not vault.sealed


def test_a_vault_that_is_there_cannot_be_initialised(client: Any) -> None:
    assert client.sys.read_init_status() == {"initialized": True}
    with pytest.raises(hvac.exceptions.InvalidRequest, match="already initialized"):
        client.sys.initialize(secret_shares=1, secret_threshold=1)


def test_a_root_token_is_generated_by_key_shares(shared: tuple[libvault.Vault, list[str], Any]) -> None:
    vault, shares, client = shared
    assert client.sys.read_root_generation_progress()["started"] is False
    anyone = libvault.hvac.client(vault)
    begun = anyone.adapter.put("/v1/sys/generate-root/attempt", json={})
    assert begun["started"] is True and begun["required"] == 2
    anyone.sys.generate_root(shares[0], begun["nonce"])
    done = anyone.sys.generate_root(shares[1], begun["nonce"])
    assert done["complete"] is True and done["encoded_token"]
    begun = client.adapter.put("/v1/sys/generate-root/attempt", json={})
    assert client.sys.cancel_root_generation().status_code == 204


def test_key_shares_are_replaced(shared: tuple[libvault.Vault, list[str], Any]) -> None:
    vault, shares, client = shared
    begun = client.sys.start_rekey(secret_shares=1, secret_threshold=1)
    assert begun["started"] is True and begun["required"] == 2
    client.sys.rekey(shares[0], nonce=begun["nonce"])
    done = client.sys.rekey(shares[1], nonce=begun["nonce"])
    assert done["complete"] is True and len(done["keys"]) == 1
    client.sys.seal()
    assert client.sys.submit_unseal_key(done["keys"][0])["sealed"] is False


def test_the_encryption_key_is_rotated(client: Any) -> None:
    before = client.sys.get_encryption_key_status()
    client.sys.rotate_encryption_key()
    after = client.sys.get_encryption_key_status()
    assert after["term"] == after["data"]["term"] == before["term"] + 1


def test_a_value_is_hashed_as_the_audit_log_has_it(client: Any) -> None:
    told = client.sys.calculate_hash("file", "value")
    assert told["hash"] == told["data"]["hash"] and told["hash"].startswith("hmac-")


def test_health_is_told_by_the_status_and_by_the_body(client: Any, world: World) -> None:
    assert client.sys.read_health_status().status_code == 200
    health = client.sys.read_health_status(method="GET")
    assert (health["initialized"], health["sealed"], health["standby"]) == (True, False, False)
    assert client.sys.read_health_status(method="GET", active_code=299).status_code == 299
    world.vault.seal()
    assert client.sys.read_health_status().status_code == 503
    assert client.sys.read_health_status(method="GET").json()["sealed"] is True
    assert client.sys.read_health_status(method="GET", sealed_code=200)["sealed"] is True
    assert client.sys.read_health_status(method="GET", sealed_code=999).status_code == 400


def test_the_vault_is_its_own_leader(client: Any) -> None:
    assert client.sys.read_leader_status()["ha_enabled"] is False

