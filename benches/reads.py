"""Times reads through libvault's wheel beside Fernet over sqlite3, in rounds that alternate; prints them as JSON."""

import json
import pathlib
import platform
import sqlite3
import sys
import time
from collections.abc import Callable

import cryptography
import libvault
from cryptography.fernet import Fernet

SECRET = "x" * 1024


def wheel(place: pathlib.Path | None, paths: list[str]) -> Callable[[str], object]:
    """Make a vault with the secrets; what reads one of them."""
    vault, init = libvault.create(place, key=libvault.RawKey(bytes([7] * 32)))
    session = vault.session(init.root_token)
    kv = session.kv("secret")
    for path in paths:
        kv.put(path, {"value": SECRET})

    def read(path: str) -> object:
        with kv.get(path) as secret:
            return secret["value"]

    return read


def fernet(place: pathlib.Path, paths: list[str]) -> Callable[[str], object]:
    """Make a table with the secrets, encrypted one by one; what reads one of them."""
    key = Fernet(Fernet.generate_key())
    database = sqlite3.connect(place)
    database.execute("CREATE TABLE secrets (path TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    rows = ((path, key.encrypt(json.dumps({"value": SECRET}).encode())) for path in paths)
    database.executemany("INSERT INTO secrets VALUES (?, ?)", rows)
    database.commit()

    def read(path: str) -> object:
        (value,) = database.execute("SELECT value FROM secrets WHERE path = ?", (path,)).fetchone()
        return json.loads(key.decrypt(value))["value"]

    return read


def main(folder: pathlib.Path, names: pathlib.Path, rounds: int, seconds: float) -> None:
    """Let the contestants take turns."""
    folder.mkdir()
    paths = names.read_text().splitlines()
    contestants = {
        "libvault's wheel, memory": wheel(None, paths),
        "libvault's wheel, sled": wheel(folder / "vault", paths),
        "Fernet + sqlite3": fernet(folder / "fernet.db", paths),
    }
    shuffled = [paths[at * 7919 % len(paths)] for at in range(len(paths))]
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, read in contestants.items():
            reads, start = 0, time.perf_counter_ns()
            while time.perf_counter_ns() - start < seconds * 1e9:
                for path in shuffled:
                    read(path)
                reads += len(shuffled)
            taken[name].append((time.perf_counter_ns() - start) / reads)
    versions = {"Python": platform.python_version(), "cryptography": cryptography.__version__, "SQLite": sqlite3.sqlite_version}
    print(json.dumps({"rounds": taken, "versions": versions}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
