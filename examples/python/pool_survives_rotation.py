"""A connection pool in Python whose password is rotated under it, again and again, at a real PostgreSQL: no query fails, no login is refused.

The vault has two accounts in turn (docs/rotation.md): the old one works on through a grace while the pool moves to the new one, which a live
secret tells it of (docs/live-secrets.md).

PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the server, as for psql; or have one started for it:
`cargo run -p test-servers -- postgres python examples/python/pool_survives_rotation.py`. It needs psycopg.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg
import shop

import libvault

WORKERS = 4
ROTATIONS = 3
# Pools let connections go after a while, so that there are logins at any time.
USES_MAX = 20
QUERY = "SELECT sum(cents) FROM libvault_shop.orders"
POLICY = 'path "database/static-creds/pool" { capabilities = ["read"] }'
# The clock rotates once a day; here somebody else does, so that nobody has to wait.
ROLE = {"db_name": "shop", "usernames": ["libvault_shop_a", "libvault_shop_b"], "rotation_period": "24h", "grace": "1h"}


@dataclass
class Connection:
    """A connection, with the number of the password that it was opened with."""

    client: psycopg.Connection[tuple[Any, ...]]
    password: int | None
    uses: int = 0


class Pool:
    """A pool that asks a live secret for its account. A real one is bounded too; this one has as many connections as are used at one time."""

    def __init__(self, account: libvault.LiveSecret) -> None:
        self.counts: Counter[str] = Counter()
        self._account = account
        self._idle: list[Connection] = []
        self._told = 0
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def query(self) -> None:
        """Do a query on a connection that was opened with the password as it is now."""
        # While nothing has changed the store is not asked.
        current = self._account.get().version
        with self._lock:
            taken = self._idle.pop() if self._idle else None
        if taken is None or taken.password != current or taken.uses >= USES_MAX:
            if taken is not None:
                taken.client.close()
            # A refusal is tried once more with what a fresh read gives: it may have been rotated between the read and the login.
            taken = self._account.with_retry(self._open, shop.LoginRefused)
        taken.client.execute(QUERY)
        taken.uses += 1
        with self._lock:
            self._idle.append(taken)

    def _open(self, account: libvault.SecretSnapshot) -> Connection:
        self.count("logins")
        try:
            client = shop.log_in(account["username"], account["password"])
        except shop.LoginRefused:
            self.count("refused")
            raise
        version = account.version or 0
        with self._lock:
            is_new, self._told = version > self._told, max(version, self._told)
        if is_new:
            self.say("pool", f"first connection as {account['username']} with password {version}")
        return Connection(client, account.version)

    def work(self, is_over: threading.Event) -> None:
        """Query until it is over."""
        while not is_over.wait(0.002):
            self.count("queries")
            try:
                self.query()
            except Exception as error:
                self.count("failed")
                self.say("pool", f"A QUERY FAILED: {error}")

    def close(self) -> None:
        """Close the connections that are idle."""
        for connection in self._idle:
            connection.client.close()

    def count(self, what: str) -> None:
        """Count one more of these."""
        with self._lock:
            self.counts[what] += 1

    def say(self, who: str, what: str) -> None:
        """Print a line of the timeline."""
        print(f"{time.monotonic() - self._began:7.3f} s  {who:<6} {what}", flush=True)

    def tell(self) -> None:
        """Print how the pool fares."""
        of = self.counts
        self.say("pool", f"{of['queries']} queries, {of['failed']} failed; {of['logins']} logins, {of['refused']} refused")


def works(account: libvault.StaticCreds) -> bool:
    """Whether the server lets this account in."""
    return shop.lets_in(account.username, account.password.expose())


def rotate(root: libvault.Session, pool: Pool) -> None:
    """Replace the password while the pool works, and close the old account once the pool had time to leave it."""
    rotation = root.rotation("database")
    time.sleep(0.3)
    for _ in range(ROTATIONS):
        pool.tell()
        old = rotation.creds("pool")
        rotation.rotate("pool")
        new = rotation.creds("pool")
        assert works(old)
        pool.say("vault", f"rotated: {new.username}, password {new.version}; {old.username} works on through its grace")
        time.sleep(0.3)
        rotation.end_grace("pool")
        assert not works(old)
        pool.say("vault", f"the grace is over: {old.username} with password {old.version} is refused")
        time.sleep(0.2)
    pool.tell()


with shop.opened() as place:
    place.write("database/static-roles/pool", ROLE)
    with place.session(POLICY).live("database/static-creds/pool") as live:
        the_pool = Pool(live)
        over = threading.Event()
        workers = [threading.Thread(target=the_pool.work, args=[over]) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        try:
            rotate(place.root, the_pool)
        finally:
            over.set()
            for worker in workers:
                worker.join()
            the_pool.close()
    assert the_pool.counts["failed"] == the_pool.counts["refused"] == 0
