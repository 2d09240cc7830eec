"""Response wrapping in Python: a token that is handed to another, who alone sees it, and can tell whether somebody was there before."""

import os

import libvault

vault, init = libvault.create(None, key=libvault.RawKey(os.urandom(32)))
with vault:
    root = vault.session(init.root_token)
    # The operator makes a token for the application, and gets a wrapping token in its place.
    made = root.request("write", "auth/token/create", {"policies": ["default"], "ttl": "1h"}, wrap_ttl=300)
    assert made is not None and made["auth"] is None
    handed = made["wrap_info"]
    print("handed over: a token that lasts", handed["ttl"], "s and holds what", handed["creation_path"], "answered")
    # The application unwraps it with nothing but the wrapping token.
    answer = vault.request("write", "sys/wrapping/unwrap", token=handed["token"])
    assert answer is not None
    app = vault.session(answer["auth"]["client_token"])
    own = app.request("read", "auth/token/lookup-self")
    print("the application's policies:", own["data"]["policies"] if own else None)
    try:
        root.request("write", "sys/wrapping/unwrap", {"token": handed["token"]})
    except libvault.InvalidRequest as error:
        print("unwrapped again:", error)
