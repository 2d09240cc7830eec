"""An emergency: who has had what is out, a rehearsal of its end, and its end."""

import pytest

import libvault
from conftest import World

READER = 'path "secret/data/app/*" { capabilities = ["read"] }'


def reader(world: World) -> tuple[libvault.Session, str]:
    """Make a token that reads the secret, and has."""
    world.root.kv("secret").put("app/db", {"password": "x"})
    world.root.request("write", "sys/policies/acl/reader", {"policy": READER})
    made = world.root.request("write", "auth/token/create", {"policies": ["reader"]})
    assert made is not None
    session = world.vault.session(made["auth"]["client_token"])
    session.kv("secret").get("app/db")
    return session, made["auth"]["accessor"]


def test_a_look_tells_who_and_a_containment_ends_it(world: World) -> None:
    session, accessor = reader(world)
    emergency = world.root.emergency()
    exposure = emergency.look("secret/data/app")
    assert [found["accessor"] for found in exposure["readers"]] == [accessor]
    assert exposure["by_hand"] == ["secret/data/app/db"] and exposure["is_complete"]
    planned = emergency.contain("secret/data/app", before=exposure["looked"], dry_run=True)
    assert [(step["what"], step["outcome"]) for step in planned["steps"]] == [(accessor, "planned")]
    session.kv("secret").get("app/db")
    ended = emergency.contain("secret/data/app", before=exposure["looked"])
    assert ended["left"] == 0 and ended["failed"] == 0 and ended["is_complete"] is True
    assert any(accessor in line and "revoked" in line for line in ended["timeline"])
    with pytest.raises(libvault.PermissionDenied):
        session.kv("secret").get("app/db")


def test_a_token_in_quarantine_is_released(world: World) -> None:
    session, accessor = reader(world)
    emergency = world.root.emergency()
    assert emergency.look(accessor=accessor)["paths"][0]["path"] == "secret/data/app/db"
    emergency.contain(accessor=accessor, tokens="quarantine")
    with pytest.raises(libvault.PermissionDenied):
        session.kv("secret").get("app/db")
    emergency.release(accessor)
    session.kv("secret").get("app/db")
    emergency.quarantine(accessor)
    with pytest.raises(libvault.PermissionDenied):
        session.kv("secret").get("app/db")


def test_an_entity_is_looked_for_and_held_still_with_all_its_tokens(world: World) -> None:
    _, accessor = reader(world)
    made = world.root.request("write", "identity/entity", {"name": "ann", "policies": ["reader"]})
    assert made is not None
    alias = {"name": "ann", "canonical_id": made["data"]["id"], "mount_accessor": "auth_token"}
    world.root.request("write", "identity/entity-alias", alias)
    world.root.request("write", "auth/token/roles/login", {"allowed_entity_aliases": "*"})
    token = world.root.request("write", "auth/token/create/login", {"entity_alias": "ann"})
    assert token is not None
    session = world.vault.session(token["auth"]["client_token"])
    session.kv("secret").get("app/db")
    emergency = world.root.emergency()
    exposure = emergency.look(entity="ann")
    assert [found["accessor"] for found in exposure["readers"]] == [token["auth"]["accessor"]]
    assert exposure["entity"] == made["data"]["id"] and exposure["next"] is None
    assert emergency.look("secret/data/app", after=1_000_000)["readers"] == []
    emergency.quarantine(entity="ann")
    with pytest.raises(libvault.PermissionDenied):
        session.kv("secret").get("app/db")
    emergency.release(entity="ann")
    session.kv("secret").get("app/db")
    for wrong in ({}, {"accessor": accessor, "entity": "ann"}, {"entity": "nobody"}):
        with pytest.raises(libvault.InvalidRequest):
            emergency.quarantine(**wrong)


def test_what_is_asked_wrongly_is_refused(world: World) -> None:
    emergency = world.root.emergency()
    for wrong in ({}, {"path": "a", "prefix": "b"}, {"path": "a", "accessor": "b"}, {"path": "a", "entity": "b"}):
        with pytest.raises(libvault.InvalidRequest):
            emergency.look(**wrong)
    with pytest.raises(libvault.InvalidRequest):
        emergency.contain("a", tokens="burn")
