"""An emergency: who has had what is out, a rehearsal of its end, and its end."""

from typing import Any

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


def test_an_entity_that_is_not_heard_of_loses_its_tokens() -> None:
    clock = libvault.ManualClock(1_800_000_000)
    vault, init = libvault.create(None, key=libvault.RawKey(bytes(32)), clock=clock)
    with vault:
        root = vault.session(init.root_token)

        def write(path: str, **data: object) -> dict[str, Any]:
            answer = root.request("write", path, data)
            return {} if answer is None else answer

        entity = write("identity/entity", name="ann", deadman_period="1h")["data"]["id"]
        write("identity/entity-alias", name="ann", canonical_id=entity, mount_accessor="auth_token")
        write("auth/token/roles/login", allowed_entity_aliases="*")

        def log_in() -> libvault.Session:
            return vault.session(write("auth/token/create/login", entity_alias="ann")["auth"]["client_token"])

        ann = log_in()
        for _ in range(3):
            clock.advance(3600)
            ann.request("read", "auth/token/lookup-self")
        clock.advance(3600 * 1.25)
        with pytest.raises(libvault.PermissionDenied):
            ann.request("read", "auth/token/lookup-self")
        with pytest.raises(libvault.InvalidRequest, match="lost"):
            log_in()
        vault.tick()
        shown = root.request("read", "identity/entity/name/ann")
        assert shown is not None and shown["data"]["lost"] == shown["data"]["deadman_deadline"]
        write("identity/entity/name/ann", lost=False)
        log_in().request("read", "auth/token/lookup-self")
        with pytest.raises(libvault.PermissionDenied):
            ann.request("read", "auth/token/lookup-self")


def test_what_is_asked_wrongly_is_refused(world: World) -> None:
    emergency = world.root.emergency()
    for wrong in ({}, {"path": "a", "prefix": "b"}, {"path": "a", "accessor": "b"}, {"path": "a", "entity": "b"}):
        with pytest.raises(libvault.InvalidRequest):
            emergency.look(**wrong)
    with pytest.raises(libvault.InvalidRequest):
        emergency.contain("a", tokens="burn")
