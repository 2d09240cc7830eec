"""Vault's HTTP API as calls of a vault in the same process: what a method, a path and headers ask, and how an answer looks on the wire."""

import inspect
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

from . import errors
from ._native import Vault

__all__ = ["answer"]

_API = "/v1/"
_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store"}

# How each class of failure is told, as `vault_core::types::Class::http_status` has it.
_STATUS = {
    errors.InvalidRequest: 400,
    errors.PermissionDenied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.RateLimited: 429,
    errors.Sealed: 503,
    errors.Unavailable: 503,
}

_OPERATIONS = {
    "GET": "read",
    "HEAD": "read",
    "LIST": "list",
    "POST": "write",
    "PUT": "write",
    "PATCH": "patch",
    "DELETE": "delete",
}

# Asked without a token: these answer their members at the top, with no envelope around them.
_BARE = {
    "sys/init",
    "sys/seal-status",
    "sys/unseal",
    "sys/health",
    "sys/leader",
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/rekey/init",
    "sys/rekey/update",
    "sys/rekey/verify",
}

# Asked in any namespace: they speak of the whole vault, and hide nothing that a namespace must not know.
_OF_ALL = {"sys/init", "sys/seal-status", "sys/health", "sys/leader"}

# Answered since the first versions without an envelope: the members of the data are at the top too.
_DOUBLED = {
    "sys/auth",
    "sys/capabilities",
    "sys/capabilities-accessor",
    "sys/capabilities-self",
    "sys/key-status",
    "sys/mounts",
    "sys/policy",
    "sys/remount",
    "sys/rotate",
    "sys/wrapping/wrap",
}
_DOUBLED_BELOW = ("sys/audit-hash/", "sys/auth/", "sys/mounts/", "sys/policy/")

_ENVELOPE: dict[str, Any] = {
    "request_id": "",
    "lease_id": "",
    "renewable": False,
    "lease_duration": 0,
    "data": None,
    "wrap_info": None,
    "warnings": None,
    "auth": None,
}

Answer = tuple[int, dict[str, str], bytes]


class _Refused(Exception):
    """The request is none that the vault could be asked; its status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def answer(vault: Vault, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    """Carry out a request: status, headers and body of the answer. ``target`` is the path with its query, percent-encoded.

    A failure is an answer too, as it is of a server; nothing is raised. The names of ``headers`` are compared in any case.
    """
    method = method.upper()
    try:
        status, told, content = _carry_out(vault, method, target, {name.lower(): text for name, text in headers.items()}, body)
    except errors.VaultError as error:
        status, told, content = _failure(error)
    except _Refused as refused:
        status, told, content = _reply(refused.status, {"errors": [str(refused)]})
    return status, told, b"" if method == "HEAD" else content


def _carry_out(vault: Vault, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    encoded, _, query = target.partition("?")
    path = _path(encoded)
    asked = urllib.parse.parse_qs(query, keep_blank_values=True)
    operation = _operation(method, asked)
    plain = path.rstrip("/")
    namespace = "" if plain in _OF_ALL else headers.get("x-vault-namespace", "").strip("/")
    special = not namespace
    if special and plain == "sys/health" and operation == "read":
        return _health(vault, asked)
    data = _body(body) if operation in ("write", "patch") else _parameters(asked)
    if special and plain == "sys/init" and operation == "write":
        raise _Refused(400, "Vault is already initialized")
    if special and plain == "sys/unseal" and operation == "write":
        return _reply(200, _unseal(vault, data or {}))
    wrapping: dict[str, Any] = {}
    if wrap_ttl := headers.get("x-vault-wrap-ttl"):
        wrapping["wrap_ttl"] = _wrap_ttl(vault, wrap_ttl)
    found = vault.request(
        operation,
        path,
        data,
        token=_token(headers),
        namespace=namespace or None,
        **wrapping,
    )
    if found is None:
        return 204, {"Cache-Control": "no-store"}, b""
    if special and plain in _BARE:
        return _reply(200, found["data"])
    return _reply(200, _doubled(found, plain))


def _path(encoded: str) -> str:
    if not encoded.startswith(_API):
        raise _Refused(404, "paths of this API begin with /v1/")
    try:
        return urllib.parse.unquote(encoded[len(_API) :], errors="strict")
    except UnicodeDecodeError:
        raise _Refused(400, "the path is not UTF-8") from None


def _operation(method: str, asked: dict[str, list[str]]) -> str:
    """What a method asks for; of a GET, the query may say that it is a listing."""
    operation = _OPERATIONS.get(method)
    if operation is None:
        raise _Refused(405, "unsupported operation")
    if method == "GET":
        listing = asked.pop("list", ["false"])[0].lower()
        if listing in ("true", "1", "t"):
            return "list"
        if listing not in ("false", "0", "f", ""):
            raise _Refused(400, "the query parameter \"list\" must be true or false")
    elif method == "LIST":
        asked.pop("list", None)
    return operation


def _parameters(asked: Mapping[str, list[str]]) -> dict[str, Any] | None:
    """The members that a query gives: texts, since a query has no types, and several of one name as a list."""
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in asked.items()} or None


def _body(body: bytes | None) -> dict[str, Any] | None:
    if not body:
        return None
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise _Refused(400, "failed to parse JSON input: the body is no JSON") from None
    if data is not None and not isinstance(data, dict):
        raise _Refused(400, "failed to parse JSON input: the body must be an object")
    return data


def _token(headers: Mapping[str, str]) -> str | None:
    if token := headers.get("x-vault-token"):
        return token
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    return rest.strip() or None if scheme.lower() == "bearer" else None


def _wrap_ttl(vault: Vault, text: str) -> str:
    if "wrap_ttl" not in inspect.signature(vault.request).parameters:
        # Never answered in the clear instead: whoever asks for wrapping does not want to see it.
        raise _Refused(400, "this version of libvault wraps no answers: leave the wrapping TTL out")
    return text


def _doubled(found: dict[str, Any], path: str) -> dict[str, Any]:
    data = found.get("data")
    if isinstance(data, dict) and (path in _DOUBLED or path.startswith(_DOUBLED_BELOW)):
        return {**data, **found}
    return found


def _unseal(vault: Vault, data: dict[str, Any]) -> dict[str, Any]:
    """Take a key share, or forget those given so far; the status of the seal then."""
    if data.get("migrate"):
        raise _Refused(400, "there is no seal migration here: key slots are changed under sys/seals")
    if data.get("reset"):
        if vault.sealed:
            vault.reset_unseal()
    elif not isinstance(data.get("key"), str) or not data["key"]:
        raise _Refused(400, "'key' must be specified in request body as JSON, or 'reset' set to true")
    elif vault.sealed:
        vault.unseal_share(data["key"])
    status = vault.request("read", "sys/seal-status")
    return status["data"] if status is not None else {}


def _health(vault: Vault, asked: Mapping[str, list[str]]) -> Answer:
    """The health, whose status tells of the seal: for those who look at nothing else."""
    found = vault.request("read", "sys/health")
    data: dict[str, Any] = {} if found is None else found["data"]
    sealed = data.get("sealed", False)
    wanted = asked.get("sealedcode" if sealed else "activecode", [""])[0]
    status = 503 if sealed else 200
    if wanted:
        if not (wanted.isascii() and wanted.isdigit() and 100 <= int(wanted) <= 599):
            raise _Refused(400, "the status to answer with must be a number from 100 to 599")
        status = int(wanted)
    return _reply(status, data)


def _failure(error: errors.VaultError) -> Answer:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    if error.data is not None:
        # A version that was deleted: not found, and yet an answer, with its metadata.
        return _reply(status, {**_ENVELOPE, "data": error.data, "errors": error.errors})
    return _reply(status, {"errors": error.errors})


def _reply(status: int, content: Any) -> Answer:
    return status, _JSON, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
