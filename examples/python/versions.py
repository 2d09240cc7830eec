"""Versions in Python: writers who never overwrite each other (cas), what was there before, and what is gone for good."""

import threading

import libvault


def add_user(kv: libvault.Kv, path: str, name: str) -> int:
    """Change what is there, however many do so at once; how many attempts it took."""
    attempt = 0
    while True:
        attempt += 1
        with kv.get(path) as secret:
            changed, read = {**secret.expose(), name: "welcome"}, secret.version
        try:
            kv.put(path, changed, cas=read)
            return attempt
        except libvault.InvalidRequest as error:
            if error.code_name != "CasMismatch":
                raise


vault, init = libvault.create(None, key=libvault.Passphrase("correct horse battery staple"))
with vault:
    kv = vault.session(init.root_token).kv("secret")
    print("created:", kv.put("users", {"root": "toor"}, cas=0).version)
    try:
        kv.put("users", {}, cas=0)
    except libvault.InvalidRequest as error:
        print("created again:", error)

    threads = [threading.Thread(target=add_user, args=(kv, "users", f"user-{number}")) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with kv.get("users") as secret:
        print("version", secret.version, "has", ", ".join(secret))
        assert secret.version == 5 and len(secret) == 5

    print("version 1 had", ", ".join(kv.get("users", version=1)))
    kv.delete("users")
    try:
        kv.get("users")
    except libvault.NotFound as error:
        print("deleted:", error.data["metadata"]["deletion_time"] != "" if error.data else None)
    kv.undelete_versions("users", [5])
    kv.destroy_versions("users", [1])
    print("back again: version", kv.get("users").version)
    print("destroyed:", [row.version for row in kv.metadata("users")["versions"] if row.destroyed])
