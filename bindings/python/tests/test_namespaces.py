"""Namespaces from Python: by a keyword, by a session of their own, by the path."""

from typing import Any

import pytest

import libvault
from conftest import World

ADMIN = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'


def answered(reply: dict[str, Any] | None) -> Any:
    assert reply is not None
    return reply


def test_each_namespace_has_its_own_secrets_however_it_is_named(world: World) -> None:
    root = world.root
    made = answered(root.request("write", "sys/namespaces/team-a", {"custom_metadata": {"owner": "ops"}}))
    assert made["data"]["path"] == "team-a/"
    team = root.namespace("team-a")
    team.request("write", "sys/namespaces/dev")
    root.kv("secret").put("app/db", {"of": "root"})
    team.kv("secret").put("app/db", {"of": "team"})
    team.namespace("dev").kv("secret").put("app/db", {"of": "dev"})
    for namespace, of in [(None, "root"), ("", "root"), ("root", "root"), ("team-a", "team"), ("/team-a/dev/", "dev")]:
        path = "secret/data/app/db"
        assert answered(root.request("read", path, namespace=namespace))["data"]["data"]["of"] == of
        assert answered(world.vault.request("read", path, token=world.token, namespace=namespace))["data"]["data"]["of"] == of
    assert answered(root.request("read", "team-a/dev/secret/data/app/db"))["data"]["data"]["of"] == "dev"
    assert answered(team.request("read", "secret/data/app/db", namespace="dev"))["data"]["data"]["of"] == "dev"
    assert answered(root.request("list", "sys/namespaces"))["data"]["keys"] == ["team-a/"]
    assert answered(root.request("read", "sys/namespaces/team-a"))["data"]["custom_metadata"] == {"owner": "ops"}


def test_a_token_of_a_namespace_stays_in_it_and_ends_with_it(world: World) -> None:
    root = world.root
    root.request("write", "sys/namespaces/team-a")
    root.request("write", "sys/namespaces/team")
    team = root.namespace("team-a")
    team.request("write", "sys/policies/acl/admin", {"policy": ADMIN})
    token = answered(team.request("write", "auth/token/create", {"policies": ["admin"]}))["auth"]["client_token"]
    admin = world.vault.session(token)
    inside = admin.namespace("team-a")
    inside.kv("secret").put("x", {"a": 1})
    for namespace in [None, "team", "nope", "Team-A"]:
        with pytest.raises(libvault.PermissionDenied):
            admin.request("read", "secret/data/x", namespace=namespace)
    with pytest.raises(libvault.InvalidRequest):
        inside.request("write", "sys/seal")
    admin.close()
    assert inside.kv("secret").get("x").get("a") == 1
    root.request("delete", "sys/namespaces/team-a")
    root.request("write", "sys/namespaces/team-a")
    with pytest.raises(libvault.PermissionDenied):
        inside.kv("secret").get("x")
    with pytest.raises(libvault.NotFound):
        team.kv("secret").get("x")
    world.vault.tick()
    world.vault.verify()


@pytest.mark.parametrize("namespace", ["..", "a/..", "%2e%2e", "sys", "a//b", "a b", "ü"])
def test_what_can_be_no_namespace_is_refused(world: World, namespace: str) -> None:
    with pytest.raises(libvault.InvalidRequest):
        world.root.namespace(namespace)
    with pytest.raises(libvault.InvalidRequest):
        world.root.request("read", "sys/mounts", namespace=namespace)


def test_wrong_types_are_type_errors(world: World) -> None:
    with pytest.raises(TypeError):
        world.root.namespace(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        world.root.request("read", "sys/mounts", namespace=b"a")  # type: ignore[arg-type]
    world.root.close()
    with pytest.raises(libvault.InvalidRequest):
        world.root.namespace("a")
