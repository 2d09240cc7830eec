"""``status``, ``audit`` and ``backup``: what concerns a store as a whole."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from .. import open as open_vault
from .. import verify_backup
from .._native import Session, Vault
from ._secrets import Refusal, add_key, add_token, key_of, token_of

Groups = Any
"""What argparse's ``add_subparsers`` answers, whose type has no public name."""


def add(groups: Groups) -> None:
    """Add the commands."""
    status = groups.add_parser("status", help="tell whether a store opens and what its key slots are; needs no key", allow_abbrev=False)
    add_place(status)
    status.add_argument("--json", action="store_true", help="answer one JSON object")
    status.set_defaults(run=_status)

    audit = groups.add_parser("audit", help="check the audit log").add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = audit.add_parser("verify", help="read every record and the whole audit log anew; needs the key", allow_abbrev=False)
    add_place(verify)
    add_key(verify)
    verify.set_defaults(run=_verify)

    backup = groups.add_parser("backup", help="write and check backups").add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = backup.add_parser("create", help="write a backup into a new file, under the vault's own key slots", allow_abbrev=False)
    add_place(create)
    add_key(create)
    add_token(create)
    create.add_argument("file", help="a file that is not there yet")
    create.set_defaults(run=_create)
    check = backup.add_parser("verify", help="tell whether a backup is whole; needs no key", allow_abbrev=False)
    check.add_argument("file", help="the backup; - is standard input")
    check.set_defaults(run=_check)


def add_place(command: argparse.ArgumentParser) -> None:
    """Add the options that name the store."""
    command.add_argument("--vault", metavar="DIRECTORY", help="the vault's directory (LIBVAULT_PATH)")
    command.add_argument("--anchor", metavar="FILE", help="the anchor that the vault is opened with")


@contextlib.contextmanager
def unsealed(asked: argparse.Namespace) -> Iterator[Vault]:
    """Open the vault and unseal it, for the length of a block."""
    with _opened(asked) as vault:
        vault.unseal(key_of(asked, vault))
        yield vault


@contextlib.contextmanager
def session(asked: argparse.Namespace) -> Iterator[Session]:
    """Open the vault and a session under the token, for the length of a block."""
    with unsealed(asked) as vault, vault.session(token_of(asked)) as made:
        namespace = getattr(asked, "namespace", None)
        yield made if namespace is None else made.namespace(namespace)


def _opened(asked: argparse.Namespace) -> Vault:
    place = asked.vault or os.environ.get("LIBVAULT_PATH")
    if not place:
        raise Refusal("which vault? Give --vault DIRECTORY, or set LIBVAULT_PATH")
    return open_vault(place, anchor=asked.anchor)


def _status(asked: argparse.Namespace) -> int:
    with _opened(asked) as vault:
        status = vault.seal_status()
    if asked.json:
        print(json.dumps(status))
        return 0
    print(f"the store opens: format {status['format']}, libvault {status['version']}")
    for slot in status["slots"]:
        needed = f", {status['t']} of {status['n']} shares" if slot["type"] == "shamir" else ""
        service = f", service {slot['wrapper']}" if slot["wrapper"] else ""
        old = f", superseded by {slot['superseded_by']}" if slot["superseded_by"] else ""
        print(f"key slot {slot['id']}: {slot['type']}{needed}{service}{old}")
    return 0


def _verify(asked: argparse.Namespace) -> int:
    with unsealed(asked) as vault:
        found = vault.verify()
    print(f"verified: {found['records']} records, {found['audit_records']} of the audit log")
    return 0


def _create(asked: argparse.Namespace) -> int:
    with session(asked) as root:
        # Never over a file that is there, and readable by its owner alone.
        file = os.open(asked.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "wb") as sink:
                info = root.backup(sink)
                sink.flush()
                os.fsync(sink.fileno())
        except BaseException:
            # Half a backup must not be taken for one.
            os.unlink(asked.file)
            raise
    print(f"written: {_told(info)}")
    return 0


def _check(asked: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        source = sys.stdin.buffer if asked.file == "-" else stack.enter_context(open(asked.file, "rb"))
        info = verify_backup(source)
    print(f"whole: {_told(info)}")
    return 0


def _told(info: dict[str, Any]) -> str:
    return f"vault {info['vault']}, made {info['made']}, commit {info['commit']}, {info['records']} records, {info['bytes']} bytes"
