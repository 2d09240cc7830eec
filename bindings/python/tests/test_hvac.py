"""The real hvac over a vault in the same process: secrets, errors, and what the adapter itself does. `test_hvac_system.py` has the rest."""

import doctest
import json
import os
import subprocess
import sys
from typing import Any

import hvac
import hvac.adapters
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import libvault
import libvault.hvac
from libvault import _http
from conftest import World

APP = 'path "secret/data/app/*" { capabilities = ["create", "read", "update"] }'


@pytest.fixture
def client(world: World) -> Any:
    return libvault.hvac.client(world.vault, world.token)


@pytest.fixture
def v1(client: Any) -> Any:
    client.sys.enable_secrets_engine("kv", path="kv1", options={"version": "1"})
    return client.secrets.kv.v1


def test_a_secret_of_version_2_is_written_read_and_checked_by_its_version(client: Any) -> None:
    v2 = client.secrets.kv.v2
    made = v2.create_or_update_secret("app/db", {"password": "pa55-w0rd", "port": 5432, "é": ["ü", None]}, cas=0)
    assert made["data"]["version"] == 1 and made["data"]["destroyed"] is False and made["data"]["deletion_time"] == ""
    assert made["request_id"] and made["lease_id"] == "" and made["wrap_info"] is None and made["auth"] is None
    assert v2.create_or_update_secret("app/db", {"password": "two"}, cas=1)["data"]["version"] == 2
    newest = v2.read_secret("app/db", raise_on_deleted_version=True)
    assert newest["data"]["data"] == {"password": "two"} and newest["data"]["metadata"]["version"] == 2
    first = v2.read_secret_version("app/db", version=1, raise_on_deleted_version=True)
    assert first["data"]["data"] == {"password": "pa55-w0rd", "port": 5432, "é": ["ü", None]}
    with pytest.raises(hvac.exceptions.InvalidRequest) as caught:
        v2.create_or_update_secret("app/db", {}, cas=1)
    assert caught.value.errors and "check-and-set" in str(caught.value)


def test_a_patch_of_hvac_and_one_of_the_server_change_what_they_name(client: Any) -> None:
    v2 = client.secrets.kv.v2
    with pytest.raises(hvac.exceptions.InvalidPath, match="patch only works on existing data"), pytest.warns(DeprecationWarning):
        v2.patch("app", {"a": 1})
    v2.create_or_update_secret("app", {"a": 1, "b": 2})
    with pytest.warns(DeprecationWarning):
        assert v2.patch("app", {"b": 3})["data"]["version"] == 2
    merge = {"Content-Type": "application/merge-patch+json"}
    client.adapter.request("patch", "/v1/secret/data/app", headers=merge, json={"data": {"a": None}})
    assert v2.read_secret("app", raise_on_deleted_version=True)["data"]["data"] == {"b": 3}


def test_versions_are_deleted_undeleted_and_destroyed(client: Any) -> None:
    v2 = client.secrets.kv.v2
    for number in range(3):
        v2.create_or_update_secret("app", {"n": number})
    assert v2.delete_latest_version_of_secret("app").status_code == 204
    with pytest.raises(hvac.exceptions.InvalidPath) as caught:
        v2.read_secret_version("app", raise_on_deleted_version=True)
    assert caught.value.json["data"]["metadata"]["version"] == 3 and caught.value.json["data"]["data"] is None
    shown = v2.read_secret_version("app", raise_on_deleted_version=False)
    assert shown["data"]["metadata"]["deletion_time"] != "" and shown["data"]["data"] is None
    v2.undelete_secret_versions("app", [3])
    assert v2.read_secret_version("app", raise_on_deleted_version=False)["data"]["data"] == {"n": 2}
    v2.delete_secret_versions("app", [1, 2])
    assert v2.destroy_secret_versions("app", [1]).status_code == 204
    rows = v2.read_secret_metadata("app")["data"]["versions"]
    assert [(rows[name]["destroyed"], rows[name]["deletion_time"] != "") for name in "123"] == [(True, True), (False, True), (False, False)]
    with pytest.raises(hvac.exceptions.InvalidPath):
        v2.read_secret_version("app", version=9, raise_on_deleted_version=False)
    v2.delete_metadata_and_all_versions("app")
    with pytest.raises(hvac.exceptions.InvalidPath):
        v2.read_secret_metadata("app")


def test_metadata_and_the_configuration_of_version_2_read_as_they_were_written(client: Any) -> None:
    v2 = client.secrets.kv.v2
    v2.create_or_update_secret("app", {"n": 1})
    v2.update_metadata("app", max_versions=4, cas_required=True, delete_version_after="1h", custom_metadata={"owner": "ops"})
    data = v2.read_secret_metadata("app")["data"]
    assert (data["max_versions"], data["cas_required"], data["delete_version_after"]) == (4, True, "1h0m0s")
    assert data["custom_metadata"] == {"owner": "ops"} and data["current_version"] == 1 and data["oldest_version"] in (0, 1)
    assert set(data) >= {"created_time", "updated_time", "versions"}
    with pytest.raises(hvac.exceptions.InvalidRequest):
        v2.create_or_update_secret("app", {"n": 2})
    assert v2.configure(max_versions=7, cas_required=False, delete_version_after="30m").status_code == 204
    assert v2.read_configuration()["data"] == {"max_versions": 7, "cas_required": False, "delete_version_after": "30m0s"}


def test_names_are_listed_by_either_verb(client: Any, world: World) -> None:
    v2 = client.secrets.kv.v2
    for path in ("app/one", "app/two/three", "b"):
        v2.create_or_update_secret(path, {"k": "v"})
    assert v2.list_secrets("")["data"]["keys"] == ["app/", "b"]
    assert v2.list_secrets("app")["data"]["keys"] == ["one", "two/"]
    assert client.list("secret/metadata/app")["data"]["keys"] == ["one", "two/"]
    strict = hvac.Client(token=world.token.expose(), adapter=libvault.hvac.adapter(world.vault), strict_http=True)
    assert strict.secrets.kv.v2.list_secrets("app")["data"]["keys"] == ["one", "two/"]
    pages = client.adapter.get("/v1/secret/metadata/app", params={"list": "true", "after": "one", "limit": 1})
    assert pages["data"]["keys"] == ["two/"]
    with pytest.raises(hvac.exceptions.InvalidPath):
        v2.list_secrets("nothing")


def test_secrets_of_version_1_are_written_read_listed_and_deleted(client: Any, v1: Any) -> None:
    assert v1.create_or_update_secret("app/db", {"password": "one"}, mount_point="kv1").status_code == 204
    assert v1.create_or_update_secret("app/db", {"password": "two"}, method="PUT", mount_point="kv1").status_code == 204
    read = v1.read_secret("app/db", mount_point="kv1")
    assert read["data"] == {"password": "two"} and read["lease_duration"] > 0 and read["renewable"] is False
    assert v1.list_secrets("app", mount_point="kv1")["data"]["keys"] == ["db"]
    assert v1.delete_secret("app/db", mount_point="kv1").status_code == 204
    with pytest.raises(hvac.exceptions.InvalidPath):
        v1.read_secret("app/db", mount_point="kv1")


def test_the_plain_calls_of_the_client_read_write_list_and_delete(client: Any, v1: Any) -> None:
    client.write_data("kv1/a", data={"path": "p", "wrap_ttl": "w"})
    assert client.read("kv1/a")["data"] == {"path": "p", "wrap_ttl": "w"}
    assert client.list("kv1")["data"]["keys"] == ["a"]
    client.delete("kv1/a")
    assert client.read("kv1/a") is None and client.list("kv1") is None


def test_names_with_characters_that_addresses_escape_are_kept(client: Any, v1: Any) -> None:
    for name in ("a b", "ü", "50%", "q?x=1", "h#1", "a+b", "semi;colon", "a&b=c"):
        client.secrets.kv.v2.create_or_update_secret(name, {"name": name})
        assert client.secrets.kv.v2.read_secret(name, raise_on_deleted_version=True)["data"]["data"] == {"name": name}
    # What is still encoded once it was decoded is refused by the vault: policies must not see another path than the engines.
    with pytest.raises(hvac.exceptions.InvalidRequest, match="percent-encoded"):
        client.secrets.kv.v2.create_or_update_secret("%41", {"k": "v"})


def test_errors_are_those_that_hvac_raises_for_a_server(client: Any, world: World) -> None:
    client.sys.create_or_update_acl_policy("app", APP)
    app = libvault.hvac.client(world.vault, client.write_data("auth/token/create", data={"policies": ["app"]})["auth"]["client_token"])
    with pytest.raises(hvac.exceptions.Forbidden) as forbidden:
        app.secrets.kv.v2.read_secret("other", raise_on_deleted_version=True)
    assert forbidden.value.errors == ["permission denied"] and forbidden.value.method == "get"
    assert forbidden.value.json == {"errors": ["permission denied"]} and "/v1/secret/data/other" in str(forbidden.value)
    for stranger in (libvault.hvac.client(world.vault), libvault.hvac.client(world.vault, "no such token")):
        with pytest.raises(hvac.exceptions.Forbidden):
            stranger.secrets.kv.v2.read_secret("app/x", raise_on_deleted_version=True)
        assert not stranger.is_authenticated()
    assert client.is_authenticated() and app.is_authenticated()
    with pytest.raises(hvac.exceptions.InvalidPath) as absent:
        client.secrets.kv.v2.read_secret("absent", raise_on_deleted_version=True)
    assert absent.value.json is not None and "data" not in absent.value.json
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.create_or_update_acl_policy("broken", 'path "x" {')
    world.vault.seal()
    with pytest.raises(hvac.exceptions.VaultDown):
        client.secrets.kv.v2.read_secret("absent", raise_on_deleted_version=True)


def test_every_class_of_failure_has_the_status_of_a_server() -> None:
    expected = {"InvalidRequest": 400, "PermissionDenied": 403, "NotFound": 404, "Conflict": 409, "RateLimited": 429}
    expected |= {"Sealed": 503, "Unavailable": 503, "Corrupt": 500, "Rollback": 500, "Internal": 500}
    kinds = {name: getattr(libvault.errors, name) for name in libvault.errors.__all__ if name not in ("VaultError", "ConnectorFailed")}
    assert {name: _http._failure(kind(["x"], 1, name))[0] for name, kind in kinds.items()} == expected


def test_a_request_that_makes_no_sense_is_answered_and_not_raised(client: Any) -> None:
    def status(method: str, url: str, **options: Any) -> int:
        return client.adapter.request(method, url, raise_exception=False, **options).status_code

    assert status("get", "/v2/secret/data/x") == 404 and status("get", "/ui") == 404
    assert status("options", "/v1/secret/data/x") == 405
    assert status("post", "/v1/secret/data/x", data="{") == 400
    assert status("post", "/v1/secret/data/x", data="[" * 100_000) == 400
    assert status("post", "/v1/secret/data/x", json=[1]) == 400
    assert status("post", "/v1/secret/data/x", data=b"\xff") == 400
    assert status("post", "/v1/secret/data/x", data='{"data": {"k": "\\ud800"}}') == 400
    assert status("post", "/v1/secret/data/x", data='{"data": {"k": NaN}}') == 400
    assert status("get", "/v1/secret/data/%ff") == 400 and status("get", "/v1/secret/data/%00") == 400
    assert status("get", "/v1/secret/metadata/", params={"list": "maybe"}) == 400
    assert status("get", "/v1/secret/data/x", params={"version": ""}) == 400
    assert status("get", "/v1/") == 404 and status("get", "/v1/sys/nowhere") == 400 and status("get", "/v1/nowhere/x") == 404


WORDS = st.sampled_from(["/v1/", "secret/", "data/", "metadata/", "sys/", "unseal", "health", "init", "x", "?", "&", "list=true", "version=1", "%2e", "%00", "é"])
BODIES = st.sampled_from([b"{}", b"null", b'{"data": {"k": 1e400}}', b'{"key": 1}', b'{"key": "x", "reset": 1}', b'{"data": {"k": "\\ud800"}}'])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "LIST", "POST", "PUT", "PATCH", "DELETE", "", "get"]) | st.text(max_size=8),
    target=st.lists(WORDS | st.text(max_size=4), max_size=8).map("".join),
    headers=st.dictionaries(st.sampled_from(["X-Vault-Namespace", "x-vault-wrap-ttl", "Authorization", "X"]), st.text(max_size=8)),
    body=st.none() | BODIES | st.binary(max_size=16),
    under_root=st.booleans(),
)
def test_whatever_is_asked_is_answered_with_a_status_and_json(
    world: World, method: str, target: str, headers: dict[str, str], body: bytes | None, under_root: bool
) -> None:
    if under_root:
        headers["X-Vault-Token"] = world.token.expose()
    status, _, content = _http.answer(world.vault, method, target, headers, body)
    assert 200 <= status <= 503 and status != 500
    assert content == b"" or isinstance(json.loads(content), dict)


def test_namespaces_are_those_of_the_header(client: Any, world: World) -> None:
    assert client.sys.create_namespace("team")["data"]["path"] == "team/"
    assert client.sys.list_namespaces()["data"]["keys"] == ["team/"]
    for name in ("team", "team/", "/team/"):
        below = libvault.hvac.client(world.vault, world.token, namespace=name)
        below.secrets.kv.v2.create_or_update_secret("x", {"in": name})
        assert client.read("team/secret/data/x")["data"]["data"] == {"in": name}
    with pytest.raises(hvac.exceptions.InvalidPath):
        client.secrets.kv.v2.read_secret("x", raise_on_deleted_version=True)
        # These speak of the whole vault, wherever they are asked; others are not to be had there.
        assert below.sys.is_initialized() and not below.sys.is_sealed()
        with pytest.raises(hvac.exceptions.InvalidRequest):
            below.sys.seal()
        with pytest.raises(hvac.exceptions.VaultError):
            below.sys.submit_unseal_key("a share")
    assert libvault.hvac.client(world.vault, world.token, namespace="/").sys.submit_unseal_key(reset=True)["sealed"] is False
    assert client.sys.delete_namespace("team").status_code in (202, 204)


def test_the_client_of_hvac_itself_takes_the_adapter_as_a_class_or_made_of_another_adapter(world: World) -> None:
    kind = libvault.hvac.Adapter.of(world.vault)
    assert issubclass(kind, hvac.adapters.JSONAdapter)
    by_class = hvac.Client(url="https://vault.example.com:8200", token=world.token.expose(), adapter=kind)
    by_class.secrets.kv.v2.create_or_update_secret("x", {"k": "v"})
    network = hvac.adapters.RawAdapter(base_uri="https://vault.example.com", token=world.token.expose(), namespace="team")
    made = libvault.hvac.adapter(world.vault).from_adapter(network)
    assert (made.token, made.namespace, made.base_uri) == (network.token, "team", "http://libvault.invalid")
    made.namespace = None
    taken = hvac.Client(adapter=lambda **_options: made)
    assert taken.secrets.kv.v2.read_secret("x", raise_on_deleted_version=True)["data"]["data"] == {"k": "v"}
    quiet = hvac.Client(adapter=kind, token="none", ignore_exceptions=True)
    assert quiet.secrets.kv.v2.read_secret("x", raise_on_deleted_version=True).status_code == 403


def test_no_request_leaves_the_process(world: World) -> None:
    client = libvault.hvac.client(world.vault, world.token)
    with pytest.raises(libvault.InvalidRequest):
        client.session = requests.Session()
    with pytest.raises(libvault.InvalidRequest):
        client.url = "https://vault.example.com"
    with pytest.raises(libvault.InvalidRequest):
        libvault.hvac.Adapter()
    network = requests.Session()
    kept = hvac.Client(token=world.token.expose(), adapter=libvault.hvac.adapter(world.vault), session=network)
    assert kept.session is not network and kept.is_authenticated()


def test_the_environment_of_another_vault_is_not_looked_at(world: World) -> None:
    """In a process of its own: hvac reads some of the environment as it is imported."""
    script = """
import libvault, libvault.hvac
vault, init = libvault.create(None, key=libvault.RawKey(bytes(32)))
assert libvault.hvac.client(vault).token is None
client = libvault.hvac.client(vault, init.root_token)
client.secrets.kv.v2.create_or_update_secret("x", {"k": "v"})
print(client.url)
"""
    other = {"VAULT_TOKEN": "another", "VAULT_ADDR": "https://vault.example.com", "VAULT_CACERT": "/none", "HTTP_PROXY": "http://127.0.0.1:9"}
    told = subprocess.run([sys.executable, "-c", script], env={**os.environ, **other}, capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "http://libvault.invalid\n"), told.stderr


def test_the_package_does_without_hvac_until_it_is_asked_for() -> None:
    script = "import sys, libvault; assert 'hvac' not in sys.modules and 'requests' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_hvac_did_is_in_the_audit_log(client: Any, world: World) -> None:
    client.secrets.kv.v2.create_or_update_secret("audited", {"k": "v"})
    events = client.adapter.get("/v1/sys/audit-log/events", params={"limit": 1000})["data"]["events"]
    assert [event["operation"] for event in events if event["path"] == "secret/data/audited"] == ["write"]


def test_the_examples_in_the_docstring_of_the_module_run() -> None:
    outcome = doctest.testmod(libvault.hvac)
    assert outcome.attempted > 0 and outcome.failed == 0
