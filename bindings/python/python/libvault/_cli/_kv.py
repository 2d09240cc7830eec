"""``kv``: secrets, whose values are shown only where that is asked for."""

import argparse
import json
from typing import Any

from ._secrets import Refusal, add_key, add_token, ask, read
from ._store import Groups, add_place, session


def add(groups: Groups) -> None:
    """Add the commands."""
    kv = groups.add_parser("kv", help="read, write, list and delete secrets").add_subparsers(title="commands", metavar="COMMAND", required=True)

    get = _command(kv, "get", "read a secret; its values are shown with --show or --field only")
    get.add_argument("path")
    get.add_argument("--version", type=int, metavar="NUMBER", help="an older version")
    shown = get.add_mutually_exclusive_group()
    shown.add_argument("--show", action="store_true", help="answer all members as one JSON object")
    shown.add_argument("--field", metavar="NAME", help="answer this member's value and nothing else")
    get.set_defaults(run=_get)

    put = _command(kv, "put", "write a new version of a secret")
    put.add_argument("path")
    put.add_argument("members", nargs="*", metavar="NAME[=@FILE]", help="a member; its value is asked for at the terminal, or is the text of a file (- is standard input)")
    put.add_argument("--json-file", metavar="FILE", help="all members as one JSON object; - is standard input")
    put.add_argument("--cas", type=int, metavar="NUMBER", help="only if this is the number of the current version (0: none yet)")
    put.set_defaults(run=_put)

    names = _command(kv, "list", "list the names directly below a folder")
    names.add_argument("folder", nargs="?", default="")
    names.set_defaults(run=_list)

    delete = _command(kv, "delete", "delete the newest version, or those that are named; they can be undeleted")
    delete.add_argument("path")
    delete.add_argument("--version", type=int, action="append", metavar="NUMBER", help="a version; may be given several times")
    delete.set_defaults(run=_delete)


def _command(kv: Groups, name: str, told: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = kv.add_parser(name, help=told, description=told, allow_abbrev=False)
    add_place(command)
    add_key(command)
    add_token(command)
    command.add_argument("--mount", default="secret", help="where the KV version 2 engine is mounted (secret)")
    command.add_argument("--namespace", metavar="PATH", help="a namespace below the token's own")
    return command


def _get(asked: argparse.Namespace) -> int:
    with session(asked) as made, made.kv(asked.mount).get(asked.path, asked.version) as secret:
        if asked.show:
            print(json.dumps(secret.expose(), ensure_ascii=False))
        elif asked.field is not None:
            if asked.field not in secret:
                raise Refusal("the secret has no member of that name; without --field its names are shown")
            value = secret[asked.field]
            print(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        else:
            print(f"version {secret.version}, written {secret.metadata.created_time}")
            for name in secret:
                print(f"{name}: [hidden]")
    return 0


def _put(asked: argparse.Namespace) -> int:
    data = _data(asked)
    with session(asked) as made:
        version = made.kv(asked.mount).put(asked.path, data, asked.cas)
    print(f"version {version.version}, written {version.created_time}")
    return 0


def _list(asked: argparse.Namespace) -> int:
    with session(asked) as made:
        for name in made.kv(asked.mount).list(asked.folder):
            print(name)
    return 0


def _delete(asked: argparse.Namespace) -> int:
    with session(asked) as made:
        kv = made.kv(asked.mount)
        if asked.version:
            kv.delete_versions(asked.path, asked.version)
        else:
            kv.delete(asked.path)
    return 0


def _data(asked: argparse.Namespace) -> dict[str, Any]:
    """Gather the members from files and the terminal."""
    if (asked.json_file is None) == (not asked.members):
        raise Refusal("give the members: their names, or all of them by --json-file")
    if asked.json_file is not None:
        try:
            data = json.loads(read(asked.json_file))
        except (ValueError, RecursionError):
            raise Refusal(f"{asked.json_file} holds no JSON") from None
        if not isinstance(data, dict):
            raise Refusal(f"{asked.json_file} holds no JSON object")
        return data
    members: dict[str, Any] = {}
    for member in asked.members:
        name, given, file = member.partition("=")
        if given and not file.startswith("@"):
            # The value is not repeated: it may be a secret.
            raise Refusal("a value is never an argument, where others could see it: give NAME to be asked, or NAME=@FILE")
        if name in members:
            raise Refusal("a member is given twice")
        members[name] = _text(file[1:]) if given else ask(f"{name}: ", f"{name}=@FILE")
    return members


def _text(file: str) -> str:
    try:
        return read(file).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Refusal(f"{file} is no UTF-8 text") from None
