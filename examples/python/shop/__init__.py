"""What the examples at a PostgreSQL share: a shop's table there, an account for the vault, and a vault that manages accounts with it.

The server is found as psql finds it: by PGHOST (a name, or the folder of a Unix socket), PGPORT, PGDATABASE, PGUSER and PGPASSWORD, of an account
that may make schemas and roles. Nobody encrypts the way to it here, so it is to be on this machine: docs/connectors.md has what a connection over
a network needs. What is laid there begins with libvault_shop, and is removed at the end. `pip install 'psycopg[binary]'` brings the driver.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

import libvault

CLEAN = """
    DROP SCHEMA IF EXISTS libvault_shop CASCADE;
    DROP ROLE IF EXISTS libvault_shop_vault, libvault_shop_a, libvault_shop_b"""
# The accounts a and b are there for a pool; their passwords nobody knows until the vault has set them.
LAY = """
    CREATE SCHEMA libvault_shop;
    CREATE TABLE libvault_shop.orders AS SELECT number, 650 * number AS cents FROM generate_series(1, 12) AS number;
    CREATE ROLE libvault_shop_a LOGIN; CREATE ROLE libvault_shop_b LOGIN;
    GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_a, libvault_shop_b;
    GRANT SELECT ON libvault_shop.orders TO libvault_shop_a, libvault_shop_b;
    CREATE ROLE libvault_shop_vault LOGIN CREATEROLE;
    GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_vault WITH GRANT OPTION;
    GRANT SELECT ON libvault_shop.orders TO libvault_shop_vault WITH GRANT OPTION;
    GRANT libvault_shop_a, libvault_shop_b TO libvault_shop_vault WITH ADMIN OPTION"""


class LoginRefused(Exception):
    """The server refuses a password, or the account."""


@dataclass
class Shop:
    """The shop's database, and a vault that has its mount `database` and the connection `shop` to it."""

    vault: libvault.Vault
    root: libvault.Session
    admin: psycopg.Connection[tuple[Any, ...]]

    def write(self, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """Write at a path of the vault."""
        return self.root.request("write", path, data)

    def session(self, policy: str) -> libvault.Session:
        """Make a session of a new token that this policy gives its rights."""
        self.write("sys/policies/acl/service", {"policy": policy})
        made = self.write("auth/token/create", {"policies": ["service"], "display_name": "shop"})
        return self.vault.session(made["auth"]["client_token"])

    def connect_the_vault(self) -> None:
        """Give the vault an account of its own, whose password it changes to one that nobody is shown."""
        password = self.write("sys/tools/random/24", {"format": "hex"})["data"]["random_bytes"]
        self.admin.execute(f"ALTER ROLE libvault_shop_vault PASSWORD '{password}'".encode())
        self.write("sys/mounts/database", {"type": "database"})
        of = os.environ.get
        url = f"host={of('PGHOST', '127.0.0.1')} port={of('PGPORT', '5432')} dbname={of('PGDATABASE', 'postgres')}"
        connection = {
            "plugin_name": "postgresql-database-plugin",
            "connection_url": url + " user={{username}} password='{{password}}' sslmode=disable",
            "username": "libvault_shop_vault",
            "password": password,
            "allowed_roles": "*",
        }
        self.write("database/config/shop", connection)
        self.write("database/rotate-root/shop")


@contextmanager
def opened() -> Generator[Shop, None, None]:
    """Lay the shop's table, and remove all of it again at the end."""
    key = libvault.Passphrase("correct horse battery staple")
    with log_in(os.environ.get("PGUSER", "postgres"), os.environ.get("PGPASSWORD", "")) as admin:
        admin.execute(CLEAN)
        try:
            admin.execute(LAY)
            vault, init = libvault.create(None, key=key, connectors=[libvault.PostgreSQL()])
            with vault:
                shop = Shop(vault, vault.session(init.root_token), admin)
                shop.connect_the_vault()
                yield shop
        finally:
            admin.execute(CLEAN)


def log_in(username: str, password: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection; LoginRefused when the server refuses the password or the account."""
    try:
        return psycopg.connect(user=username, password=password, sslmode="disable", autocommit=True)
    except psycopg.OperationalError as error:
        # libpq gives no SQLSTATE of a login, but the words of the server.
        if "authentication failed" in str(error) or "is not permitted to log in" in str(error):
            raise LoginRefused from None
        raise


def lets_in(username: str, password: str) -> bool:
    """Whether the server lets somebody in."""
    try:
        log_in(username, password).close()
    except LoginRefused:
        return False
    return True
