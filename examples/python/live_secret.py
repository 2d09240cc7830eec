"""A password that is rotated under a running program: it sees the new version at its next request, and logs in again when it was refused."""

import os

import libvault


class LoginRefused(Exception):
    """What a driver raises when the database refuses a password."""


at_the_database = "first"


def log_in(secret: libvault.SecretSnapshot) -> str:
    """Open a connection with a password."""
    if secret["password"] != at_the_database:
        raise LoginRefused
    return f"a connection with version {secret.version}"


vault, init = libvault.create(None, key=libvault.RawKey(os.urandom(32)))
with vault:
    root = vault.session(init.root_token)
    kv = root.kv("secret")
    kv.put("app/db", {"password": "first"})

    # One for as long as the program runs; any thread may use it.
    password = kv.live("app/db")
    print(log_in(password.get()))
    for _ in range(100_000):
        password.get()
    print("asked 100,000 times more, and current:", password.is_current)

    # The database has the new password a moment before the vault does.
    at_the_database = "second"

    def rotate_and_log_in(secret: libvault.SecretSnapshot) -> str:
        """Log in just while somebody rotates the password."""
        if secret.version == 1:
            kv.put("app/db", {"password": "second"})
        return log_in(secret)

    print("refused once, then", password.with_retry(rotate_and_log_in, LoginRefused))

    def told(news: libvault.SecretSnapshot | libvault.VaultError) -> None:
        """What a connection pool does to open its connections anew."""
        print("told by tick:", type(news).__name__ if isinstance(news, libvault.VaultError) else f"version {news.version}")

    password.on_change(told)
    kv.put("app/db", {"password": "third"})
    vault.tick()
    kv.delete("app/db")
    vault.tick()
