"""Key shares in Python: a vault that any 3 of 5 people open together, and a key service that opens it when nobody is there."""

import os

import libvault


class Service(libvault.KeyWrapper):
    """Stands for a KMS or an HSM: it keeps a pad and gives it to nobody."""

    name = "example-service"

    def __init__(self) -> None:
        self._pad = os.urandom(32)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(key, self._pad)) + context

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if wrapped[32:] != context:
            raise ValueError("wrapped for something else")
        return bytes(a ^ b for a, b in zip(wrapped[:32], self._pad))


service = Service()
vault, init = libvault.create(None, key=[libvault.Shamir(shares=5, threshold=3), service])
with vault:
    print([slot["type"] for slot in vault.seal_status()["slots"]], "and", len(init.shares), "shares")
    vault.seal()
    try:
        vault.unseal_share("lvs1not-a-share")
    except libvault.InvalidRequest as error:
        print("a mistyped share:", error)
    for share in init.shares[1:4]:
        unsealed = vault.unseal_share(share)
        print("unsealed" if unsealed else f"{vault.seal_status()['progress']} of 3 shares were given")
    vault.seal()
    vault.unseal(service)
    print("unsealed by the key service, with nobody there")
    token = vault.generate_root(libvault.Shares(init.shares[:3]))
    answer = vault.session(token).request("read", "auth/token/lookup-self")
    print("a root token from three shares:", answer["data"]["policies"] if answer else None)
