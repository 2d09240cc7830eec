"""The quickstart in Python: a vault on disk from its creation to the byte that somebody flips in a copy of it."""

import pathlib
import shutil
import tempfile

import libvault

PASSPHRASE = libvault.Passphrase("correct horse battery staple")
POLICY = """# What the billing service may do: its own secrets, nothing else.
path "secret/data/billing/*" {
    capabilities = ["create", "read", "update"]
}
"""


def step(title: str) -> None:
    """Print the heading of the story's next part."""
    print(f"\n== {title}")


def flip_newest_byte(store: pathlib.Path) -> int:
    """Flip a byte in the part of the log that was written last; where in the file it was."""
    log = next(store.glob("g-*")) / "db"
    content = bytearray(log.read_bytes())
    at = len(content.rstrip(b"\0")) - 17
    content[at] ^= 1
    log.write_bytes(content)
    return at


def main(folder: pathlib.Path) -> None:
    """Tell the story with a vault in this folder."""
    place = folder / "vault"

    step("Create a vault on disk")
    vault, init = libvault.create(place, key=PASSPHRASE)
    print("   a store with one key slot (Argon2id, 64 MiB) and a root token, shown once")
    vault.close()

    step("Open it again, sealed, and unseal it")
    vault = libvault.open(place)
    print(f"   sealed: {vault.sealed}")
    try:
        vault.unseal(libvault.Passphrase("a guess"))
    except libvault.InvalidRequest as error:
        print(f"   a wrong passphrase: {error}")
    vault.unseal(PASSPHRASE)
    print(f"   sealed: {vault.sealed}")

    step("Write a policy, and mint a token that may do that and no more")
    root = vault.session(init.root_token)
    root.request("write", "sys/policies/acl/billing", {"policy": POLICY})
    made = root.request("write", "auth/token/create", {"policies": ["billing"], "ttl": "1h", "display_name": "billing-service"})
    assert made is not None
    print(f"   policies {made['auth']['policies']}, for {made['auth']['lease_duration']} s")
    billing = vault.session(made["auth"]["client_token"])

    step("Store a secret and read it back")
    kv = billing.kv("secret")
    print(f"   wrote version {kv.put('billing/db', {'user': 'billing', 'password': 'pa55-w0rd'}).version} of secret/billing/db")
    with kv.get("billing/db") as secret:
        print(f"   read version {secret.version}: user {secret['user']}, a password of {len(secret['password'])} characters")

    step("Be denied elsewhere, and learn which rule decided")
    try:
        kv.get("payroll/db")
    except libvault.PermissionDenied as error:
        print(f"   the caller learns only: {error}")
    log = root.request("read", "sys/audit-log/events", {"limit": 1000})
    assert log is not None
    event = next(event for event in log["data"]["events"] if event["path"] == "secret/data/payroll/db")
    print(f"   the audit log knows: {event['operation']} by {event['display_name']}: {event['decision']['step']}")
    for path in ("secret/data/payroll/db", "secret/data/billing/db"):
        print(f"   explain: {libvault.policy.evaluate([POLICY], 'read', path)}")

    step("Revoke the token")
    billing.request("write", "auth/token/revoke-self")
    try:
        kv.get("billing/db")
    except libvault.PermissionDenied as error:
        print(f"   the next read: {error}")

    step("Verify the audit log and the store")
    report = root.request("read", "sys/audit-log/verify")
    assert report is not None
    print(f"   {report['data']['records']} audit records lead to the head {report['data']['head'][:16]}...")
    print(f"   {vault.verify()['records']} records of the store agree with the digest in the root record")
    vault.close()

    step("Flip one byte in a copy")
    copy = folder / "copy"
    shutil.copytree(place, copy)
    print(f"   flipped byte {flip_newest_byte(copy)} of the copy's log")
    try:
        with libvault.open(copy, key=PASSPHRASE) as tampered:
            tampered.verify()
        raise SystemExit("the flipped byte was not found")
    except libvault.Corrupt as error:
        print(f"   found: {error}")
    with libvault.open(place, key=PASSPHRASE) as original:
        original.verify()
    print("   the original still verifies")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(pathlib.Path(name))
