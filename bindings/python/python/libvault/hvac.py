"""The client library hvac over a vault in the same process: ``pip install libvault[hvac]``.

>>> import libvault
>>> import libvault.hvac
>>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
>>> client = libvault.hvac.client(vault, init.root_token)
>>> made = client.secrets.kv.v2.create_or_update_secret("app/db", {"password": "pa55-w0rd"})
>>> made["data"]["version"]
1
>>> client.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)["data"]["data"]
{'password': 'pa55-w0rd'}
>>> vault.close()
"""

import abc
import io
from collections.abc import Mapping
from typing import Any, ClassVar

import hvac  # type: ignore[import-untyped]
import hvac.adapters  # type: ignore[import-untyped]
import requests
import requests.adapters
import requests.structures

from . import _http
from ._native import SecretStr, Vault
from .errors import InvalidRequest

__all__ = ["Adapter", "adapter", "client"]

# Where requests pretend to go. The name is one that never resolves, so that nothing sent there by mistake arrives anywhere.
_URL = "http://libvault.invalid"


class _Transport(requests.adapters.BaseAdapter):
    """Answers requests from a vault, where others would send them over a network."""

    def __init__(self, vault: Vault) -> None:
        """Answer from this vault."""
        super().__init__()
        self._vault = vault

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Carry out a request; what concerns the network is not looked at."""
        body = request.body.encode() if isinstance(request.body, str) else request.body
        if body is not None and not isinstance(body, bytes):
            raise requests.exceptions.RequestException("a body must be there as a whole: text or bytes")
        status, headers, content = _http.answer(
            self._vault, request.method or "", request.path_url, {name: _text(value) for name, value in request.headers.items()}, body
        )
        response = requests.Response()
        response.status_code = status
        response.headers = requests.structures.CaseInsensitiveDict(headers)
        response.encoding = "utf-8"
        response.raw = io.BytesIO(content)
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Do nothing: the vault is its owner's to close."""


class Adapter(hvac.adapters.JSONAdapter, metaclass=abc.ABCMeta):  # type: ignore[misc]
    """What ``hvac.Client`` takes as its ``adapter``, once it is bound to a vault by ``Adapter.of(vault)``."""

    vault: ClassVar[Vault | None] = None

    @classmethod
    def of(cls, vault: Vault) -> "type[Adapter]":
        """Make the class of adapters of one vault: ``hvac.Client(adapter=Adapter.of(vault))``."""
        if not isinstance(vault, Vault):
            raise TypeError("the vault must be a libvault.Vault")
        return type(cls.__name__, (cls,), {"vault": vault, "__module__": cls.__module__})

    def __init__(self, base_uri: str | None = None, token: str | None = None, **options: Any) -> None:
        """Take what hvac gives its adapters. Address, session, certificates, proxies and timeout are a network's, and not used."""
        if self.vault is None:
            raise InvalidRequest(["the adapter has no vault: make a class of it by Adapter.of(vault)"], 113, "BadArgument")
        session = requests.Session()
        # Nothing of the environment is this vault's: no proxy, no password out of a .netrc.
        session.trust_env = False
        session.mount("https://", _Transport(self.vault))
        session.mount("http://", _Transport(self.vault))
        super().__init__(base_uri=_URL, token=token, **{**options, "session": session})

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse another address and another session: requests would leave the process, with their token."""
        if (name == "session" and "session" in self.__dict__) or (name == "base_uri" and value != _URL):
            raise InvalidRequest(["the adapter of a vault in this process has no other address and session"], 113, "BadArgument")
        super().__setattr__(name, value)


def adapter(vault: Vault) -> type[Adapter]:
    """Make what ``hvac.Client`` takes as its ``adapter``: ``hvac.Client(token=..., adapter=libvault.hvac.adapter(vault))``."""
    return Adapter.of(vault)


def client(vault: Vault, token: str | SecretStr | None = None, namespace: str | None = None) -> Any:
    """Make an ``hvac.Client`` of this vault. Without a token it has none: that of the environment is for another vault."""
    if namespace is not None and not isinstance(namespace, str):
        raise TypeError("a namespace must be str")
    # Looked at here, since hvac takes anything and fails with the first request.
    given = None if token is None else (token if isinstance(token, SecretStr) else SecretStr(token)).expose()
    # With none at all, hvac would look for one in the environment.
    made = hvac.Client(token="", namespace=namespace, adapter=Adapter.of(vault))
    made.token = given or None
    return made


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
