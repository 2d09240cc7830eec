"""Checks of an audit log that need only the vault's public key: on another machine, by an auditor, without any vault."""

from ._native import verify_checkpoint, verify_consistency, verify_inclusion

__all__ = ["verify_checkpoint", "verify_consistency", "verify_inclusion"]
