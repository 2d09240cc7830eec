"""The client library hvac over a vault in this process: a program written for a server runs in its tests, or for good, without one."""

from typing import Any

import hvac  # type: ignore[import-untyped]

import libvault
import libvault.hvac


def rotate_password(client: Any, path: str, password: str) -> int:
    """Is written for a server, and knows nothing of libvault."""
    secrets = client.secrets.kv.v2
    try:
        before = secrets.read_secret_version(path, raise_on_deleted_version=True)["data"]
    except hvac.exceptions.InvalidPath:
        before = {"data": {}, "metadata": {"version": 0}}
    content = {**before["data"], "password": password}
    written = secrets.create_or_update_secret(path, content, cas=before["metadata"]["version"])
    return int(written["data"]["version"])


vault, init = libvault.create(None, key=libvault.Shamir(shares=3, threshold=2))
with vault:
    root = libvault.hvac.client(vault, init.root_token)
    root.sys.create_or_update_acl_policy("app", 'path "secret/data/app/*" { capabilities = ["create", "read", "update"] }')
    made = root.write_data("auth/token/create", data={"policies": ["app"], "ttl": "1h"})

    # As a program makes its client; what is added is the adapter.
    client = hvac.Client(token=made["auth"]["client_token"], adapter=libvault.hvac.adapter(vault))
    print("versions", rotate_password(client, "app/db", "one"), "and", rotate_password(client, "app/db", "two"))
    try:
        rotate_password(client, "payroll", "three")
    except hvac.exceptions.Forbidden as error:
        print("refused:", error.errors)

    root.sys.seal()
    try:
        rotate_password(client, "app/db", "four")
    except hvac.exceptions.VaultDown as error:
        print("sealed:", error.errors)
    status = root.sys.submit_unseal_keys([share.expose() for share in init.shares])
    print("sealed" if status["sealed"] else "unsealed by", status["t"], "of", status["n"], "shares")
