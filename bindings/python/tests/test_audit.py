"""Checkpoints and proofs, checked with nothing but the vault's public key; and the tree by another implementation."""

import base64
import hashlib
from typing import Any

import pytest

import libvault
from conftest import World


def read(world: World, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = world.root.request("read", f"sys/audit-log/{path}", data)
    assert answer is not None
    found: dict[str, Any] = answer["data"]
    return found


def tree(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, straight from its definition."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0]).digest() if leaves else hashlib.sha256().digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def test_an_auditor_needs_only_the_public_key(world: World) -> None:
    for i in range(20):
        world.root.kv("secret").put(f"a/{i}", {"k": "v"})
    key = read(world, "public-key")["key"]
    older = read(world, "checkpoint")["checkpoint"]
    world.root.kv("secret").put("b", {"k": "v"})
    newer = read(world, "checkpoint")["checkpoint"]
    sizes = [libvault.audit.verify_checkpoint(note, key)["size"] for note in (older, newer)]
    assert sizes[0] < sizes[1]
    consistent = read(world, "proof/consistency", {"from": sizes[0], "to": sizes[1]})
    libvault.audit.verify_consistency(older, newer, key, consistent)
    events = []
    for sequence in range(1, sizes[1] + 1):
        proof = read(world, "proof/inclusion", {"sequence": sequence, "size": sizes[1]})
        libvault.audit.verify_inclusion(newer, key, proof)
        events.append(base64.b64decode(proof["event"]))
    assert tree(events).hex() == libvault.audit.verify_checkpoint(newer, key)["root"]
    proof["event"] = base64.b64encode(b"another").decode()
    with pytest.raises(libvault.Corrupt):
        libvault.audit.verify_inclusion(newer, key, proof)
    with pytest.raises(libvault.Corrupt):
        libvault.audit.verify_consistency(newer, older, key, consistent)
    with pytest.raises(libvault.Corrupt):
        libvault.audit.verify_checkpoint(newer.replace("\n", "1\n", 2), key)
    for bad in ("", "x", key[:-3]):
        with pytest.raises(libvault.InvalidRequest):
            libvault.audit.verify_checkpoint(newer, bad)
    with pytest.raises(libvault.InvalidRequest):
        libvault.audit.verify_inclusion(newer, key, {})
