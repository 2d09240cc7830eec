"""``policy``: decisions explained and tested without any vault."""

import argparse
import json
import pathlib
from typing import Any

from .. import policy
from ._secrets import Refusal, read
from ._store import Groups


def add(groups: Groups) -> None:
    """Add the commands."""
    commands = groups.add_parser("policy", help="explain and test policies; needs no vault").add_subparsers(
        title="commands", metavar="COMMAND", required=True
    )
    explain = commands.add_parser("explain", help="decide a request by policies, and tell which rule decided and why others did not", allow_abbrev=False)
    explain.add_argument("operation", help="the capability asked for: create, read, update, patch, delete or list")
    explain.add_argument("path", help="where, such as secret/data/app/db")
    explain.add_argument("policies", nargs="+", metavar="POLICY", help="a file with a policy, HCL or JSON; several count together")
    explain.add_argument("--data-file", metavar="FILE", help="the request's parameters as one JSON object; - is standard input")
    explain.add_argument("--caller-file", metavar="FILE", help="what is known of the caller, for templates, as one JSON object")
    explain.add_argument("--wrap-ttl", metavar="TIME", help='for how long the answer is to be wrapped, such as "5m"')
    explain.add_argument("--dialect", choices=["vault", "openbao"], default="vault")
    explain.add_argument("--absolute-deny", action="store_true", help="the deny of any rule that matches wins")
    explain.set_defaults(run=_explain)
    for parent, name in ((commands, "test"), (groups, "policy-test")):
        test = parent.add_parser(name, help="run files of policy tests", allow_abbrev=False)
        test.add_argument("files", nargs="+", metavar="FILE")
        test.set_defaults(run=_test)


def _explain(asked: argparse.Namespace) -> int:
    texts = [_policy(file) for file in asked.policies]
    decision = policy.evaluate(
        texts,
        asked.operation,
        asked.path,
        _object(asked.data_file),
        wrap_ttl=asked.wrap_ttl,
        dialect=asked.dialect,
        absolute_deny=asked.absolute_deny,
        caller=_object(asked.caller_file),
    )
    print(decision)
    for number, file in enumerate(asked.policies, start=1):
        print(f"policy {number} is {file}")
    for rule, reason in decision.losers:
        print(f'path "{rule}" did not decide: {reason}')
    for rule, name, line, reason in decision.void:
        print(f'path "{rule}" of {name}, line {line}, matches nothing: {reason}')
    return 0 if decision else 1


def _test(asked: argparse.Namespace) -> int:
    reports = [policy.run_tests(pathlib.Path(file)) for file in asked.files]
    for report in reports:
        print(report)
    return 0 if all(reports) else 1


def _policy(file: str) -> str:
    try:
        return read(file).decode()
    except UnicodeDecodeError:
        raise Refusal(f"{file} is no UTF-8 text") from None


def _object(file: str | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found = json.loads(read(file))
    except (ValueError, RecursionError):
        raise Refusal(f"{file} holds no JSON") from None
    if not isinstance(found, dict):
        raise Refusal(f"{file} holds no JSON object")
    return found
