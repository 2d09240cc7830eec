"""The audit log checked by somebody who has only the vault's public key, and no vault: an auditor, on another machine."""

import json
from typing import Any

import libvault


def told(answer: dict[str, Any] | None) -> Any:
    """Give the data of an answer that has some."""
    assert answer is not None
    return answer["data"]


def audit(public_key: str, older: str, newer: str, consistency: str, inclusion: str) -> None:
    """Check what was handed over, as text, with the public key alone."""
    before, now = (libvault.audit.verify_checkpoint(note, public_key) for note in (older, newer))
    libvault.audit.verify_consistency(older, newer, public_key, json.loads(consistency))
    print(f"the log of {now['size']} events begins with the one of {before['size']}: nothing was removed or changed")
    proof = json.loads(inclusion)
    libvault.audit.verify_inclusion(newer, public_key, proof)
    print("the event is in it")
    for forged in (newer.replace(f"\n{now['size']}\n", f"\n{now['size'] - 1}\n"), older):
        try:
            libvault.audit.verify_inclusion(forged, public_key, proof)
            raise SystemExit("a forged checkpoint was taken for the vault's")
        except libvault.VaultError as error:
            print("forged:", error)


vault, init = libvault.create(None, key=libvault.Passphrase("correct horse battery staple"))
with vault:
    root = vault.session(init.root_token)
    key = told(root.request("read", "sys/audit-log/public-key"))["key"]
    root.kv("secret").put("app/db", {"password": "pa55-w0rd"})
    first = told(root.request("read", "sys/audit-log/checkpoint"))["checkpoint"]
    root.kv("secret").put("app/db", {"password": "n3w"})
    second = told(root.request("read", "sys/audit-log/checkpoint"))["checkpoint"]
    sizes = [libvault.audit.verify_checkpoint(note, key)["size"] for note in (first, second)]
    consistency = told(root.request("read", "sys/audit-log/proof/consistency", {"from": sizes[0], "to": sizes[1]}))
    inclusion = told(root.request("read", "sys/audit-log/proof/inclusion", {"sequence": sizes[0], "size": sizes[1]}))

# The vault is closed: what follows needs nothing of it but these texts.
audit(key, first, second, json.dumps(consistency), json.dumps(inclusion))
