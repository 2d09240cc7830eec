"""KV version 2 from Python: patches, subkeys, pages, settings and metadata; and the other engines by their paths."""

import pytest

import libvault
from conftest import World


def test_a_patch_merges_and_makes_a_new_version(world: World) -> None:
    kv = world.root.kv("secret")
    with pytest.raises(libvault.NotFound):
        kv.patch("x", {"a": 1})
    kv.put("x", {"a": {"b": 1, "c": 2}, "d": [1]})
    assert kv.patch("x", {"a": {"b": None}, "d": "text"}).version == 2
    assert kv.get("x").expose() == {"a": {"c": 2}, "d": "text"}
    with pytest.raises(libvault.InvalidRequest):
        kv.patch("x", {}, cas=1)
    assert kv.patch("x", {}, cas=2).version == 3
    kv.delete("x")
    with pytest.raises(libvault.NotFound):
        kv.patch("x", {})


def test_subkeys_show_names_and_no_content(world: World) -> None:
    kv = world.root.kv("secret")
    kv.put("x", {"a": {"b": {"c": "CANARY"}}, "d": "CANARY"})
    kv.put("x", {"later": 1})
    assert kv.subkeys("x") == {"later": None}
    assert kv.subkeys("x", 1) == {"a": {"b": {"c": None}}, "d": None}
    assert kv.subkeys("x", version=1, depth=1) == {"a": None, "d": None}


def test_a_listing_comes_by_pages(world: World) -> None:
    kv = world.root.kv("secret")
    for path in ["c", "a", "b/x", "d"]:
        kv.put(path, {})
    assert kv.list() == ["a", "b/", "c", "d"]
    assert kv.list(limit=2) == ["a", "b/"]
    assert kv.list(limit=2, after="b/") == ["c", "d"]
    assert kv.list(after="c") == ["d"]
    assert kv.list("b", limit=5) == ["x"]
    assert kv.list(limit=2, after="d") == []
    for wrong in [0, 100_001]:
        with pytest.raises(libvault.InvalidRequest):
            kv.list(limit=wrong)


def test_settings_of_mount_and_secret_are_written_and_read(world: World) -> None:
    kv = world.root.kv("secret")
    kv.set_config(max_versions=3, delete_version_after="2h")
    kv.set_config(cas_required=False)
    assert kv.config() == {"max_versions": 3, "cas_required": False, "delete_version_after": "2h0m0s"}
    kv.set_metadata("x", delete_version_after="60s", custom_metadata={"owner": "team", "use": "db"})
    kv.patch_custom_metadata("x", {"use": None, "env": "test"})
    version = kv.put("x", {"a": 1})
    assert version.deletion_time != ""
    metadata = kv.metadata("x")
    assert metadata["custom_metadata"] == {"env": "test", "owner": "team"}
    assert (metadata["max_versions"], metadata["delete_version_after"]) == (0, "1m0s")
    assert metadata["created_time"] == metadata["updated_time"] == version.created_time
    world.clock.advance(60)
    with pytest.raises(libvault.NotFound):
        kv.get("x")
    for custom in [{"k": ""}, {"k" * 129: "v"}, {"k": "v" * 513}, {"k": 1}, {str(i): "v" for i in range(65)}]:
        with pytest.raises(libvault.InvalidRequest):
            kv.set_metadata("x", custom_metadata=custom)  # type: ignore[arg-type]
    with pytest.raises(libvault.InvalidRequest):
        kv.set_config(max_versions=10_001)
    with pytest.raises(TypeError):
        kv.set_config(cas_required="yes")  # type: ignore[arg-type]


def test_version_1_and_the_cubbyhole_answer_by_their_paths(world: World) -> None:
    world.root.request("write", "sys/mounts/old", {"type": "kv"})
    world.root.request("write", "old/x", {"a": 1, "ttl": "30m"})
    response = world.root.request("read", "old/x")
    assert response is not None
    assert (response["data"], response["lease_duration"]) == ({"a": 1, "ttl": "30m"}, 1800)
    world.root.request("write", "cubbyhole/x", {"mine": True})
    own = world.root.request("read", "cubbyhole/x")
    assert own is not None and own["data"] == {"mine": True}
    made = world.root.request("write", "auth/token/create", {"policies": ["default"]})
    assert made is not None
    other = world.vault.session(made["auth"]["client_token"])
    with pytest.raises(libvault.NotFound):
        other.request("read", "cubbyhole/x")
    world.root.request("delete", "sys/mounts/old")
    with pytest.raises(libvault.NotFound):
        world.root.request("read", "old/x")
