"""A service on asyncio in Python that reads its secrets with each request, so that a new password counts at once and none is kept."""

import asyncio
import hashlib
import hmac

import libvault
import libvault.aio

POLICY = 'path "secret/data/signer/*" { capabilities = ["read"] }'


class Signer:
    """Signs what it is sent, line by line, with a key that it never keeps."""

    def __init__(self, session: libvault.aio.Session) -> None:
        self._kv = session.kv("secret")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes."""
        while line := await reader.readline():
            writer.write(await self._answer(line.rstrip(b"\n")))
            await writer.drain()
        writer.close()

    async def _answer(self, message: bytes) -> bytes:
        try:
            with await self._kv.get("signer/key") as secret, secret.secret_bytes("key") as key:
                signature = hmac.new(key.expose(), message, hashlib.sha256).hexdigest()
                return f"{secret.version} {signature}\n".encode()
        except libvault.VaultError as error:
            # What the vault says may be shown: it holds no secret, no token and no path.
            return f"error {error}\n".encode()


async def client(port: int, message: str) -> str:
    """Ask the service once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{message}\n".encode())
    answer = (await reader.readline()).decode().strip()
    writer.close()
    await writer.wait_closed()
    return answer


async def main() -> None:
    """Run the service, ask it from many clients, and change its key meanwhile."""
    vault, init = await libvault.aio.create(None, key=libvault.Passphrase("correct horse battery staple"))
    async with vault, vault.session(init.root_token) as root:
        await root.kv("secret").put("signer/key", {"key": "first"})
        await root.request("write", "sys/policies/acl/signer", {"policy": POLICY})
        made = await root.request("write", "auth/token/create", {"policies": ["signer"], "ttl": "1h", "no_default_policy": True})
        assert made is not None
        signer = Signer(vault.session(made["auth"]["client_token"]))
        server = await asyncio.start_server(signer.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            answers = await asyncio.gather(*(client(port, f"message {number}") for number in range(20)))
            print(len(set(answers)), "messages signed under version", {answer.split()[0] for answer in answers})
            await root.kv("secret").put("signer/key", {"key": "second"})
            print("after the change: version", (await client(port, "message")).split()[0])
            await root.request("write", "auth/token/revoke", {"token": made["auth"]["client_token"]})
            print("after the revocation:", await client(port, "message"))


asyncio.run(main())
