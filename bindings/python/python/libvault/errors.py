"""The exceptions of libvault: one root, and one class for each kind of failure."""

from typing import Any

__all__ = [
    "Conflict",
    "ConnectorFailed",
    "Corrupt",
    "Internal",
    "InvalidRequest",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "Rollback",
    "Sealed",
    "Unavailable",
    "VaultError",
]


class VaultError(Exception):
    """Anything that a vault refuses or fails at. Messages hold no secret, no token and no path.

    ``code`` is a stable number and ``code_name`` its name; ``errors`` says what is wrong and what to do, a line each;
    ``data`` is what came with the error, such as the metadata of a deleted version.
    """

    code: int
    code_name: str
    errors: list[str]
    data: dict[str, Any] | None

    def __init__(self, errors: list[str], code: int, code_name: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(errors, code, code_name, data)
        self.errors = errors
        self.code = code
        self.code_name = code_name
        self.data = data

    def __str__(self) -> str:
        """The messages in one line."""
        return "; ".join(self.errors)


class InvalidRequest(VaultError):
    """Malformed, refused by validation, or a check-and-set mismatch: change the request."""


class PermissionDenied(VaultError):
    """The token is missing, bad or not allowed; always one and the same answer."""


class NotFound(VaultError):
    """Nothing is there, or it was deleted: then ``data`` has its metadata."""


class Sealed(VaultError):
    """The vault is sealed: unseal it."""


class RateLimited(VaultError):
    """A quota or a lockout: wait."""


class Conflict(VaultError):
    """The request lost a race: try again."""


class Unavailable(VaultError):
    """Storage, audit log, key service or target failed; nothing was acknowledged.

    After ``Poisoned`` (701) it may have been written, after ``AnchorFailed`` (705) it was.
    """


class Corrupt(VaultError):
    """What is on disk does not verify."""


class Rollback(VaultError):
    """The store is older than its anchor."""


class Internal(VaultError):
    """A bug, caught at the boundary."""


class ConnectorFailed(Exception):
    """Raised by a ``Connector`` that could not do what it was asked; the vault decides by ``failure`` what to do next, so it must be true.

    ``failure`` is "refused" (the target answered no, and did nothing), "unauthenticated" (it refused the credential), "unreachable"
    (nothing was asked of it), "unknown" (it may have done it or not) or "misconfigured". ``message`` is shown to operators and logged:
    it must hold no secret.
    """

    failure: str
    message: str

    def __init__(self, failure: str, message: str) -> None:
        if failure not in ("refused", "unauthenticated", "unreachable", "unknown", "misconfigured"):
            raise ValueError("failure is refused, unauthenticated, unreachable, unknown or misconfigured")
        super().__init__(failure, message)
        self.failure = failure
        self.message = message
