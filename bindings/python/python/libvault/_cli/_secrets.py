"""Where keys, tokens and values come from: a file, or the terminal; never an argument."""

import argparse
import getpass
import os
import stat
import sys

from .. import _options
from .._native import Passphrase, RawKey, SecretStr, Shares, Vault

_FILE_BYTES_MAX = 1 << 20
_SHARES_MAX = 255


class Refusal(Exception):
    """The command cannot be carried out as it was given; why, for whoever gave it."""


def add_key(command: argparse.ArgumentParser) -> None:
    """Add the options that name where the key is."""
    group = command.add_argument_group("the key", "asked for at the terminal unless one of these, or its variable, names a file")
    one = group.add_mutually_exclusive_group()
    one.add_argument("--passphrase-file", metavar="FILE", help="the passphrase; one line break at its end is not part of it (LIBVAULT_PASSPHRASE_FILE)")
    one.add_argument("--raw-key-file", metavar="FILE", help="a raw key: 32 bytes, or 64 hexadecimal digits (LIBVAULT_RAW_KEY_FILE)")
    one.add_argument("--shares-file", metavar="FILE", help="key shares, one a line (LIBVAULT_SHARES_FILE)")


def add_token(command: argparse.ArgumentParser) -> None:
    """Add the option that names where the token is."""
    group = command.add_argument_group("the token", "asked for at the terminal unless this, or its variable, names a file")
    group.add_argument("--token-file", metavar="FILE", help="the token (LIBVAULT_TOKEN_FILE)")


def key_of(asked: argparse.Namespace, vault: Vault) -> _options.OpeningKey:
    """Find the key that opens a sealed vault."""
    options = {"passphrase": asked.passphrase_file, "raw_key": asked.raw_key_file, "shares": asked.shares_file}
    given = {name: file for name, file in options.items() if file is not None}
    if not given:
        names = {name: f"LIBVAULT_{name.upper()}_FILE" for name in options}
        given = {name: os.environ[variable] for name, variable in names.items() if os.environ.get(variable)}
        if len(given) > 1:
            raise Refusal(f"{' and '.join(names[name] for name in given)} are both set: which key is meant?")
    for name, file in given.items():
        if name == "passphrase":
            return Passphrase(_text(file))
        if name == "raw_key":
            return _raw_key(file)
        return Shares([SecretStr(line) for line in _text(file).split()])
    return _asked_key(vault)


def token_of(asked: argparse.Namespace) -> SecretStr:
    """Find the token."""
    file = asked.token_file or os.environ.get("LIBVAULT_TOKEN_FILE")
    return SecretStr(_text(file).strip() if file else ask("Token: ", "--token-file"))


def ask(prompt: str, instead: str) -> str:
    """Ask at the terminal, without showing what is typed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        # getpass would read standard input instead, and show what is typed.
        raise Refusal(f"there is no terminal to ask at: give {instead}") from None
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise Refusal("nothing was typed") from None


def read(file: str) -> bytes:
    """Read a file of at most 1 MiB; ``-`` is standard input."""
    if file == "-":
        content = sys.stdin.buffer.read(_FILE_BYTES_MAX + 1)
    else:
        with open(file, "rb") as source:
            content = source.read(_FILE_BYTES_MAX + 1)
    if len(content) > _FILE_BYTES_MAX:
        raise Refusal(f"{file} is larger than 1 MiB")
    return content


def _asked_key(vault: Vault) -> _options.OpeningKey:
    """Ask for what the vault has slots of."""
    kinds = vault.seal_status()["seal_types"]
    if "passphrase" in kinds:
        return Passphrase(ask("Passphrase: ", "--passphrase-file"))
    if "shamir" in kinds:
        needed = min(vault.seal_status()["t"], _SHARES_MAX)
        return Shares([SecretStr(ask(f"Key share {number} of {needed}: ", "--shares-file")) for number in range(1, needed + 1)])
    if "raw-key" in kinds:
        raise Refusal("the vault is opened by a raw key: give --raw-key-file")
    raise Refusal("the vault is opened by a key service, which this command cannot reach")


def _raw_key(file: str) -> RawKey:
    content = _secret(file)
    digits = content.strip()
    if len(digits) == 64:
        try:
            return RawKey(bytes.fromhex(digits.decode("ascii")))
        except ValueError:
            raise Refusal(f"{file} holds neither 32 bytes nor 64 hexadecimal digits") from None
    return RawKey(content)


def _text(file: str) -> str:
    try:
        text = _secret(file).decode()
    except UnicodeDecodeError:
        raise Refusal(f"{file} is no UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _secret(file: str) -> bytes:
    """Read a file that holds a secret; say so where others could read it too."""
    if file != "-":
        mode = os.stat(file).st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
            print(f"libvault: {file} can be read by others: chmod 600 it", file=sys.stderr)
    return read(file)
