"""Database mounts: a connector of Python's own, the library's at a real PostgreSQL, and a hook that is told of leases."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pg8000.exceptions
import pg8000.native
import pytest
from conftest import KEY, START

import libvault

ROLE = {
    "db_name": "db",
    "creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"],
    "default_ttl": "1h",
    "max_ttl": "24h",
}


class Accounts(libvault.Connector):
    """A target in this process: a dict of accounts, which fails as it is told."""

    name = "accounts"

    def __init__(self) -> None:
        self.accounts: dict[str, str] = {}
        self.fails: dict[str, Exception] = {}
        self.forgotten: list[bytes] = []

    def _may(self, duty: str) -> None:
        if duty in self.fails:
            raise self.fails[duty]

    def check(self, target: libvault.Target, verify: bool) -> None:
        self._may("check")
        assert len(target.id) == 16
        assert target.username == "admin"
        assert target.password.expose() == "admin-pass"
        assert "password" not in target.config

    def create(self, target: libvault.Target, account: libvault.Account) -> None:
        self._may("create")
        assert account.password is not None and account.expires is not None
        assert account.statements == ["make {{name}}"]
        assert account.rollback == ["undo {{name}}"]
        self.accounts[account.username] = account.password.expose()

    def renew(self, target: libvault.Target, account: libvault.Account) -> None:
        self._may("renew")
        assert account.expires is not None and account.password is None

    def revoke(self, target: libvault.Target, account: libvault.Account) -> None:
        self._may("revoke")
        self.accounts.pop(account.username, None)

    def set_password(self, target: libvault.Target, account: libvault.Account) -> None:
        self._may("set-password")
        assert account.password is not None
        self.accounts[account.username] = account.password.expose()

    def test(self, target: libvault.Target, account: libvault.Account) -> None:
        if account.password is None or self.accounts.get(account.username) != account.password.expose():
            raise libvault.ConnectorFailed("unauthenticated", "no such login")

    def forget(self, id: bytes) -> None:
        self.forgotten.append(id)


@dataclass
class World:
    vault: libvault.Vault
    root: libvault.Session
    clock: libvault.ManualClock
    target: Accounts
    notices: list[tuple[str, str, str, float]] = field(default_factory=list)
    rotations: list[tuple[str, str, str, int, str | None]] = field(default_factory=list)

    def ask(self, operation: str, path: str, data: dict[str, Any] | None = None) -> Any:
        return self.root.request(operation, path, data)


@pytest.fixture
def world() -> Iterator[World]:
    clock = libvault.ManualClock(START)
    target = Accounts()
    notices: list[tuple[str, str, str, float]] = []
    rotations: list[tuple[str, str, str, int, str | None]] = []
    vault, init = libvault.create(
        None,
        key=KEY,
        clock=clock,
        connectors=[target, libvault.PostgreSQL(), libvault.MySQL(), libvault.Redis()],
        lease_hook=lambda *notice: notices.append(notice),
        rotation_hook=lambda *notice: rotations.append(notice),
    )
    with vault:
        world = World(vault, vault.session(init.root_token), clock, target, notices, rotations)
        world.ask("write", "sys/mounts/database", {"type": "database"})
        yield world


def configured(world: World) -> None:
    config = {"plugin_name": "accounts", "username": "admin", "password": "admin-pass", "allowed_roles": ["*"], "here": "there"}
    world.ask("write", "database/config/db", config)
    role = {"creation_statements": ["make {{name}}"], "rollback_statements": ["undo {{name}}"]}
    world.ask("write", "database/roles/ro", {**ROLE, **role})


def test_a_connector_of_pythons_makes_and_removes_accounts_and_a_hook_is_told(world: World) -> None:
    configured(world)
    creds = world.ask("read", "database/creds/ro")
    username = creds["data"]["username"]
    assert world.target.accounts == {username: creds["data"]["password"]}
    assert creds["lease_duration"] == 3600
    world.ask("write", "sys/leases/renew", {"lease_id": creds["lease_id"]})
    world.clock.advance(3601)
    world.vault.tick()
    assert world.target.accounts == {}
    assert [(change, lease) for change, lease, _, _ in world.notices if change != "expiring-soon"] == [
        ("granted", creds["lease_id"]),
        ("renewed", creds["lease_id"]),
        ("revoked", creds["lease_id"]),
    ]


def test_what_a_connector_raises_decides_and_only_its_own_failures_are_told(world: World) -> None:
    configured(world)
    world.target.fails["create"] = libvault.ConnectorFailed("refused", "the target is read-only")
    with pytest.raises(libvault.VaultError) as refused:
        world.ask("read", "database/creds/ro")
    assert "the target is read-only" in str(refused.value)
    world.target.fails["create"] = RuntimeError("pass-canary")
    with pytest.raises(libvault.Unavailable) as unknown:
        world.ask("read", "database/creds/ro")
    assert "pass-canary" not in str(unknown.value)
    assert "RuntimeError" in str(unknown.value)
    with pytest.raises(ValueError):
        libvault.ConnectorFailed("sometimes", "no such failure")


def test_only_connectors_and_callables_are_taken() -> None:
    with pytest.raises(TypeError):
        libvault.create(None, key=KEY, connectors=[object()])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        libvault.create(None, key=KEY, lease_hook="no")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="rotation_hook"):
        libvault.create(None, key=KEY, rotation_hook="no")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        libvault.create(None, key=KEY, connectors=[libvault.Connector()])


@dataclass
class Postgres:
    port: int
    username: str
    password: str

    def login(self, username: str, password: str) -> None:
        pg8000.native.Connection(
            username, host="127.0.0.1", port=self.port, database="postgres", password=password, ssl_context=False
        ).close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    program = os.environ["LIBVAULT_TEST_SERVERS"]
    server = subprocess.Popen([program, "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        told = json.loads(server.stdout.readline())
        yield Postgres(told["port"], told["username"], told["password"])
    finally:
        server.stdin.close()
        server.stdout.close()
        assert server.wait(timeout=30) == 0


def test_a_credential_of_postgresql_logs_in_until_its_lease_ends(world: World, postgres: Postgres) -> None:
    config = {
        "plugin_name": "postgresql-database-plugin",
        "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{postgres.port}/postgres?sslmode=disable",
        "username": postgres.username,
        "password": postgres.password,
        "allowed_roles": ["*"],
    }
    with pytest.raises(libvault.VaultError) as wrong:
        world.ask("write", "database/config/db", {**config, "password": "wrong-canary"})
    assert "wrong-canary" not in str(wrong.value)
    world.ask("write", "database/config/db", config)
    assert postgres.password not in json.dumps(world.ask("read", "database/config/db"))
    world.ask("write", "database/roles/ro", {**ROLE, "creation_statements": [ROLE["creation_statements"][0].replace(" VALID UNTIL '{{expiration}}'", "")]})
    creds = world.ask("read", "database/creds/ro")
    postgres.login(creds["data"]["username"], creds["data"]["password"])
    world.ask("write", "sys/leases/revoke", {"lease_id": creds["lease_id"]})
    world.vault.tick()
    with pytest.raises(pg8000.exceptions.DatabaseError):
        postgres.login(creds["data"]["username"], creds["data"]["password"])


def test_a_static_role_is_rotated_rehearsed_rolled_back_and_says_what_stopped_it(world: World) -> None:
    configured(world)
    world.target.accounts["app"] = "from-before"
    world.ask("write", "database/static-roles/app", {"db_name": "db", "username": "app", "rotation_period": "24h"})
    rotation = world.root.rotation()
    first = rotation.creds("app")
    assert (first.username, first.password.expose(), first.version) == ("app", world.target.accounts["app"], 1)
    assert first.ttl == 86400 and first.password.expose() not in repr(first)
    assert rotation.rehearse("app") == {"would_work": True, "found": None, "steps": [["check", None], ["test", None]]}
    rotation.rotate("app")
    second = rotation.creds("app")
    assert second.version > first.version and second.password.expose() == world.target.accounts["app"]
    rotation.roll_back("app")
    assert rotation.creds("app").password == first.password.expose()
    rotation.end_grace("app")
    world.clock.advance(86400)
    world.vault.tick()
    assert rotation.creds("app").version > second.version
    world.target.fails["set-password"] = libvault.ConnectorFailed("misconfigured", "no such statement")
    with pytest.raises(libvault.Unavailable) as stopped:
        rotation.rotate("app")
    assert stopped.value.code == 711
    what_to_do = rotation.status("app")["what_to_do"]
    assert "then retry" in what_to_do
    path = "database/static-roles/app"
    assert ("promoted", path, "", first.version, None) in world.rotations
    assert ("promoted", path, "", second.version, None) in world.rotations
    assert world.rotations[-1][:3] == ("needs-attention", path, "") and world.rotations[-1][4] is not None
    world.target.fails.clear()
    rotation.retry("app")
    assert rotation.status("app")["what_to_do"] is None
    rotation.end_grace("app")
    world.target.accounts["app"] = "by-hand"
    rotation.adopt("app", libvault.SecretStr("by-hand"))
    assert rotation.creds("app").password.expose() == "by-hand"
