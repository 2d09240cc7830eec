"""A service in Python that logs in at PostgreSQL with an account of its own for each request: made for it, gone after it, and gone by itself
when the request dies.

PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the server, as for psql; or have one started for it:
`cargo run -p test-servers -- postgres python examples/python/postgres_per_request.py`. It needs psycopg.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
import shop

import libvault

POLICY = """
    path "database/creds/orders" { capabilities = ["read"] }
    path "sys/leases/*" { capabilities = ["update"] }"""
ROLE = {
    "db_name": "shop",
    "default_ttl": "1m",
    "max_ttl": "5m",
    "creation_statements": [
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
        'GRANT USAGE ON SCHEMA libvault_shop TO "{{name}}"',
        'GRANT SELECT ON libvault_shop.orders TO "{{name}}"',
    ],
}
QUERY = "SELECT count(*), sum(cents) / 100.0 FROM libvault_shop.orders"


class Account:
    """An account that the vault has made for one request, with the lease that holds it."""

    def __init__(self, service: libvault.Session) -> None:
        made: Any = service.request("read", "database/creds/orders")
        self.username: str = made["data"]["username"]
        self._password: str = made["data"]["password"]
        self._lease_id: str = made["lease_id"]
        self._service = service

    def lease(self, what: str, **more: Any) -> Any:
        """Ask something of its lease."""
        return self._service.request("write", f"sys/leases/{what}", {"lease_id": self._lease_id, **more})

    def log_in(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection as this account."""
        return shop.log_in(self.username, self._password)

    def login(self) -> str:
        """What a login is answered."""
        return "LET IN" if shop.lets_in(self.username, self._password) else "refused"


@contextmanager
def account_of_a_request(service: libvault.Session) -> Generator[Account, None, None]:
    """Have an account for as long as the block lasts."""
    account = Account(service)
    try:
        yield account
    finally:
        # With `sync` the account is gone when this returns; without, the next tick removes it.
        account.lease("revoke", sync=True)


def serve(service: libvault.Session, number: int) -> None:
    """Answer one request."""
    began = time.monotonic()
    with account_of_a_request(service) as account:
        lease = account.lease("lookup")["data"]
        print(f"request {number} is {account.username}")
        print(f"    lease     from {lease['issue_time'][11:19]} to {lease['expire_time'][11:19]}, {lease['ttl']} s")
        with account.log_in() as client:
            orders, total = client.execute(QUERY).fetchall()[0]
            print(f"    answer    {orders} orders, {total:.2f} in all")
            try:
                client.execute("DELETE FROM libvault_shop.orders")
            except psycopg.errors.InsufficientPrivilege as refused:
                print("    a DELETE ", refused.diag.message_primary)
            else:
                raise AssertionError("the account may do more than read")
    login = account.login()
    print(f"    given back after {(time.monotonic() - began) * 1000:.0f} ms; a login then: {login}")
    assert login == "refused"


def die(vault: libvault.Vault, service: libvault.Session) -> None:
    """Begin a request and end in the middle: nobody gives its account back, and the lease's time ends it."""
    account = Account(service)
    hung = account.log_in()
    lasts = account.lease("renew", increment=1)["lease_duration"]
    print(f"request 4 is {account.username}\n    lease     {lasts} s are enough, it says; then it hangs")
    began = time.monotonic()
    try:
        while time.monotonic() < began + 30:
            hung.execute(QUERY)
            # A service calls this about once a second, or when it asks for it.
            vault.tick()
            time.sleep(0.05)
        raise AssertionError("the connection outlived its lease")
    except psycopg.OperationalError:
        login = account.login()
        print(f"    cut off after {(time.monotonic() - began) * 1000:.0f} ms by a tick; a login then: {login}")
    assert login == "refused"


with shop.opened() as place:
    place.write("database/roles/orders", ROLE)
    of_service = place.session(POLICY)
    for request in range(1, 4):
        serve(of_service, request)
    die(place.vault, of_service)
    left = place.admin.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%-orders-%'").fetchall()[0][0]
    print("accounts of the service left at the server:", left)
    assert left == 0
