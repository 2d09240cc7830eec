"""Checks of an audit log that need only the vault's public key: on another machine, by an auditor, without any vault.

>>> import libvault
>>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
>>> session = vault.session(init.root_token)
>>> key = session.request("read", "sys/audit-log/public-key")["data"]["key"]
>>> note = session.request("read", "sys/audit-log/checkpoint")["data"]["checkpoint"]
>>> vault.close()
>>> libvault.audit.verify_checkpoint(note, key)["size"] > 0
True
>>> try:
...     libvault.audit.verify_checkpoint("another " + note, key)
... except libvault.VaultError as error:
...     print(error)
the checkpoint is not signed by this key: it was altered, or is another vault's
"""

from ._native import verify_checkpoint, verify_consistency, verify_inclusion

__all__ = ["verify_checkpoint", "verify_consistency", "verify_inclusion"]
