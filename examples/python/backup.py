"""Backup and restore in Python; and what an auditor checks with only the vault's public key."""

import pathlib
import tempfile

import libvault

with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / "vault.backup"
    vault, init = libvault.create(pathlib.Path(folder) / "vault", key=libvault.Passphrase("open sesame"))
    with vault:
        root = vault.session(init.root_token)
        root.kv("secret").put("app/db", {"password": "pa55-w0rd"})
        key = (root.request("read", "sys/audit-log/public-key") or {})["data"]["key"]
        older = (root.request("read", "sys/audit-log/checkpoint") or {})["data"]["checkpoint"]
        with file.open("wb") as sink:
            info = root.backup(sink, key=libvault.Passphrase("for the safe"))
        print("a backup of", info["records"], "records")
        root.kv("secret").put("app/db", {"password": "n3w"})
        newer = (root.request("read", "sys/audit-log/checkpoint") or {})["data"]["checkpoint"]
        sizes = [libvault.audit.verify_checkpoint(note, key)["size"] for note in (older, newer)]
        proof = (root.request("read", "sys/audit-log/proof/consistency", {"from": sizes[0], "to": sizes[1]}) or {})["data"]
        libvault.audit.verify_consistency(older, newer, key, proof)
        print(f"the log of {sizes[1]} records is the continuation of the one of {sizes[0]}")
    with file.open("rb") as source:
        print("it is whole, which needs no key to tell:", libvault.verify_backup(source)["digest"] == info["digest"])
    with file.open("rb") as source:
        copy = libvault.restore(pathlib.Path(folder) / "restored", source, key=libvault.Passphrase("for the safe"))
    with copy:
        restored = copy.session(init.root_token)
        print("restored and frozen:", copy.frozen, "- a password of", len(restored.kv("secret").get("app/db")["password"]), "characters")
        restored.request("write", "sys/storage/adopt")
        restored.kv("secret").put("x", {"k": "v"})
        print("adopted, it goes on")
