"""An emergency drill: a password is out. Who has read it, what would be done, and the end of it, with a page for the postmortem."""

import os

import libvault

vault, init = libvault.create(None, key=libvault.RawKey(os.urandom(32)))
with vault:
    root = vault.session(init.root_token)
    kv = root.kv("secret")
    kv.put("app/db", {"password": "first"})
    root.request("write", "sys/policies/acl/app", {"policy": 'path "secret/data/app/*" { capabilities = ["read"] }'})
    made = root.request("write", "auth/token/create", {"policies": ["app"], "display_name": "shop"})
    assert made is not None
    shop = vault.session(made["auth"]["client_token"])
    shop.kv("secret").get("app/db")

    # Safe to type in any state of mind: it changes nothing.
    emergency = root.emergency()
    exposure = emergency.look("secret/data/app")
    print("The look:", *exposure["timeline"], sep="\n  ")

    # The rehearsal, and the end of those who have read it.
    planned = emergency.contain("secret/data/app", before=exposure["looked"], dry_run=True)
    print("The rehearsal:", *planned["timeline"], sep="\n  ")
    ended = emergency.contain("secret/data/app", before=exposure["looked"])
    print("The end:", *ended["timeline"], sep="\n  ")
    assert ended["left"] == 0 and ended["failed"] == 0

    # Only now comes the new one: a reader that lived on would be handed it.
    kv.put("app/db", {"password": "second"})
    try:
        shop.kv("secret").get("app/db")
    except libvault.PermissionDenied as error:
        print("the shop now:", error)
