"""`python -m libvault` as a shell runs it: answers, exit statuses, and secrets that are neither arguments nor shown unasked."""

import json
import os
import pathlib
import pty
import subprocess
import sys
from dataclasses import dataclass

import pytest

import libvault
from libvault._cli import main

PASSPHRASE = "correct horse"
POLICY = 'path "secret/data/app/*" { capabilities = ["read"] }\npath "secret/+/app/*" { capabilities = ["list"] }\n'


@dataclass
class Shell:
    """A vault on disk, its secrets in files, and a way to run commands."""

    folder: pathlib.Path
    token: str

    def run(self, *words: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command with the files named by variables; in a session of its own, so that there is no terminal."""
        known = {"LIBVAULT_PATH": "vault", "LIBVAULT_PASSPHRASE_FILE": "passphrase", "LIBVAULT_TOKEN_FILE": "token"}
        return subprocess.run(
            [sys.executable, "-m", "libvault", *words],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **known, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,
        )

    def file(self, name: str, text: str | bytes, mode: int = 0o600) -> str:
        """Write a file; its name."""
        place = self.folder / name
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        place.chmod(mode)
        return name


@pytest.fixture
def shell(tmp_path: pathlib.Path) -> Shell:
    key = libvault.Passphrase(PASSPHRASE, memory_kib=19456, iterations=2, lanes=1)
    vault, init = libvault.create(tmp_path / "vault", key=key)
    with vault:
        vault.session(init.root_token).kv("secret").put("app/db", {"password": "CANARY", "port": 5432, "name": "ü"})
    made = Shell(tmp_path, init.root_token.expose())
    made.file("passphrase", PASSPHRASE + "\n")
    made.file("token", made.token + "\n")
    return made


def test_status_needs_no_key_and_tells_the_slots(shell: Shell) -> None:
    told = shell.run("status", LIBVAULT_PASSPHRASE_FILE="", LIBVAULT_TOKEN_FILE="")
    assert told.returncode == 0 and "key slot 1: passphrase" in told.stdout and told.stderr == ""
    status = json.loads(shell.run("status", "--json", "--vault", "vault", LIBVAULT_PATH="").stdout)
    assert status["sealed"] is True and status["seal_types"] == ["passphrase"]
    assert shell.run("status", "--vault", "missing").returncode == 2
    unnamed = shell.run("status", LIBVAULT_PATH="")
    assert unnamed.returncode == 2 and "LIBVAULT_PATH" in unnamed.stderr


def test_values_are_shown_on_demand_only(shell: Shell) -> None:
    hidden = shell.run("kv", "get", "app/db")
    assert hidden.returncode == 0 and "password: [hidden]" in hidden.stdout and "version 1" in hidden.stdout
    assert "CANARY" not in hidden.stdout + hidden.stderr and "5432" not in hidden.stdout
    assert shell.run("kv", "get", "app/db", "--field", "password").stdout == "CANARY\n"
    assert shell.run("kv", "get", "app/db", "--field", "port").stdout == "5432\n"
    assert json.loads(shell.run("kv", "get", "app/db", "--show").stdout) == {"password": "CANARY", "port": 5432, "name": "ü"}
    missing = shell.run("kv", "get", "app/db", "--field", "other")
    assert missing.returncode == 2 and missing.stdout == ""


def test_secrets_are_written_listed_and_deleted(shell: Shell) -> None:
    shell.file("password", "two\n")
    assert "version 2" in shell.run("kv", "put", "app/db", "password=@password", "user=@-", "--cas", "1", stdin="ann").stdout
    assert json.loads(shell.run("kv", "get", "app/db", "--show").stdout) == {"password": "two", "user": "ann"}
    assert shell.run("kv", "put", "new", "--json-file", "-", stdin='{"a": {"b": [1]}}').returncode == 0
    assert json.loads(shell.run("kv", "get", "new", "--show").stdout) == {"a": {"b": [1]}}
    assert shell.run("kv", "list").stdout == "app/\nnew\n" and shell.run("kv", "list", "app").stdout == "db\n"
    assert shell.run("kv", "delete", "app/db").returncode == 0
    gone = shell.run("kv", "get", "app/db")
    assert gone.returncode == 3 and gone.stdout == "" and "app/db" not in gone.stderr
    assert shell.run("kv", "delete", "app/db", "--version", "1").returncode == 0
    assert shell.run("kv", "get", "app/db", "--version", "1").returncode == 3
    assert shell.run("kv", "get", "nothing").returncode == 3
    assert shell.run("kv", "put", "app/db", "a=@password", "--cas", "1").returncode == 2
    assert shell.run("kv", "list", "--mount", "other").returncode in (3, 4)
    assert shell.run("kv", "list", "--namespace", "other").returncode in (2, 3, 4)


def test_a_value_as_an_argument_is_refused_and_not_repeated(shell: Shell) -> None:
    refused = shell.run("kv", "put", "app/db", "password=CANARY")
    assert refused.returncode == 2 and "CANARY" not in refused.stderr + refused.stdout and "NAME=@FILE" in refused.stderr
    for words in ([], ["a=@passphrase", "--json-file", "-"], ["a=@passphrase", "a=@token"], ["a=@missing"]):
        assert shell.run("kv", "put", "app/db", *words).returncode in (2, 5)
    for text in ("[1]", "{", "\x00", '{"a": NaN}', "[" * 100_000):
        assert shell.run("kv", "put", "app/db", "--json-file", "-", stdin=text).returncode == 2
    assert shell.run("kv", "get", "app/db").stdout.startswith("version 1,")


def test_a_wrong_key_or_token_is_told_by_the_exit_status(shell: Shell) -> None:
    shell.file("wrong", "a guess")
    wrong = shell.run("kv", "list", "--passphrase-file", "wrong")
    assert wrong.returncode == 2 and wrong.stderr.startswith("libvault: ")
    denied = shell.run("kv", "list", "--token-file", "wrong")
    assert denied.returncode == 4 and "permission denied" in denied.stderr
    absent = shell.run("kv", "list", "--passphrase-file", "missing")
    assert absent.returncode == 5 and "missing" in absent.stderr
    assert "no terminal" in shell.run("kv", "list", LIBVAULT_TOKEN_FILE="").stderr
    assert "no terminal" in shell.run("kv", "put", "app/db", "password").stderr
    assert "both set" in shell.run("kv", "list", LIBVAULT_RAW_KEY_FILE="wrong").stderr
    shell.file("binary", b"\xff\xfe")
    assert shell.run("kv", "list", "--passphrase-file", "binary").returncode == 2


def test_a_file_that_others_can_read_is_told_of(shell: Shell) -> None:
    shell.file("open", PASSPHRASE, mode=0o644)
    told = shell.run("kv", "list", "--passphrase-file", "open")
    assert told.returncode == 0 and told.stdout == "app/\n" and "chmod 600" in told.stderr


def test_raw_keys_and_shares_open_too(shell: Shell) -> None:
    raw = libvault.RawKey(bytes(range(32)))
    vault, init = libvault.create(shell.folder / "raw", key=[raw, libvault.Shamir(3, 2)])
    vault.close()
    shell.file("bytes", bytes(range(32)))
    shell.file("digits", bytes(range(32)).hex() + "\n")
    shell.file("not-digits", "z" * 64)
    shell.file("shares", "\n".join(share.expose() for share in init.shares[:2]))
    assert "2 of 3 shares" in shell.run("status", "--vault", "raw").stdout
    for option, file, status in (
        ("--raw-key-file", "bytes", 0),
        ("--raw-key-file", "digits", 0),
        ("--shares-file", "shares", 0),
        ("--raw-key-file", "not-digits", 2),
        ("--shares-file", "passphrase", 2),
        ("--passphrase-file", "passphrase", 2),
    ):
        assert shell.run("audit", "verify", "--vault", "raw", option, file).returncode == status, (option, file)


def test_the_store_and_its_audit_log_are_verified(shell: Shell) -> None:
    found = shell.run("audit", "verify", LIBVAULT_TOKEN_FILE="")
    assert found.returncode == 0 and found.stdout.startswith("verified: ")
    log = next((shell.folder / "vault").glob("g-*")) / "db"
    content = bytearray(log.read_bytes())
    content[len(content.rstrip(b"\0")) - 17] ^= 1
    log.write_bytes(content)
    damaged = shell.run("audit", "verify")
    assert damaged.returncode == 1 and damaged.stdout == "" and damaged.stderr.startswith("libvault: ")


def test_a_backup_is_written_once_and_verified_without_a_key(shell: Shell) -> None:
    assert shell.run("backup", "create", "copy").returncode == 0
    copy = shell.folder / "copy"
    assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.read_bytes()
    assert shell.run("backup", "create", "copy").returncode == 5 and copy.read_bytes() == before
    nameless = {"LIBVAULT_PATH": "", "LIBVAULT_PASSPHRASE_FILE": "", "LIBVAULT_TOKEN_FILE": ""}
    whole = shell.run("backup", "verify", "copy", **nameless)
    assert whole.returncode == 0 and whole.stdout.startswith("whole: vault ")
    copy.write_bytes(before[:-1])
    cut = shell.run("backup", "verify", "copy", **nameless)
    assert cut.returncode == 2 and cut.stdout == ""
    assert shell.run("backup", "create", "denied", "--token-file", "passphrase").returncode == 4
    assert not (shell.folder / "denied").exists()


def test_policies_are_explained_and_tested(shell: Shell) -> None:
    shell.file("app.hcl", POLICY)
    allowed = shell.run("policy", "explain", "read", "secret/data/app/db", "app.hcl")
    assert allowed.returncode == 0 and allowed.stdout.startswith("ALLOWED read secret/data/app/db")
    assert 'path "secret/+/app/*" did not decide: ' in allowed.stdout
    denied = shell.run("policy", "explain", "delete", "secret/data/app/db", "app.hcl")
    assert denied.returncode == 1 and denied.stdout.startswith("DENIED")
    shell.file("narrow.json", '{"path": {"a": {"capabilities": ["update"], "allowed_parameters": {"ttl": ["1h"]}}}}')
    shell.file("data", '{"ttl": "24h"}')
    assert shell.run("policy", "explain", "update", "a", "narrow.json", "--data-file", "data").returncode == 1
    assert shell.run("policy", "explain", "update", "a", "narrow.json", "--data-file", "-", stdin='{"ttl": "1h"}').returncode == 0
    shell.file("own.hcl", 'path "people/{{identity.entity.name}}" { capabilities = ["read"] }')
    assert "matches nothing" in shell.run("policy", "explain", "read", "people/ann", "own.hcl").stdout
    shell.file("ann", '{"entity": {"name": "ann"}}')
    assert shell.run("policy", "explain", "read", "people/ann", "own.hcl", "--caller-file", "ann").returncode == 0
    for words in (["steal", "a", "app.hcl"], ["read", "a", "passphrase"], ["read", "a", "app.hcl", "--data-file", "passphrase"]):
        assert shell.run("policy", "explain", *words).returncode == 2, words
    shell.file("app.json", '{"policies": ["app.hcl"], "cases": [{"operation": "read", "path": "secret/data/app/db", "allowed": true}]}')
    assert shell.run("policy", "test", "app.json").stdout == "1 passed, 0 failed\n"


COMMANDS = ["", "status", "kv", "kv get", "kv put", "kv list", "kv delete", "policy", "policy explain", "policy test", "policy-test"]
COMMANDS += ["audit", "audit verify", "backup", "backup create", "backup verify"]


def test_help_is_there_for_every_command(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    def status(*words: str) -> object:
        with pytest.raises(SystemExit) as ended:
            main(words)
        return ended.value.code

    for command in COMMANDS:
        assert status(*command.split(), "--help") == 0
        assert capsys.readouterr().out.startswith(f"usage: python -m libvault {command}".rstrip()), command
        assert status(*command.split(), "--no-such-option") == 2
    for command in ("", "kv", "kv get", "policy", "policy explain", "policy-test", "audit", "backup create"):
        assert status(*command.split()) == 2, command
    assert shell.run().returncode == 2 and "exit status" in shell.run("--help").stdout
    assert shell.run("--version").stdout == f"libvault {libvault.__version__}\n"
    # Options are never guessed from their beginnings: what follows might be a secret.
    assert shell.run("kv", "get", "x", "--passphrase", "CANARY").returncode == 2


def test_whoever_reads_no_further_is_no_error_message(shell: Shell) -> None:
    for number in range(3):
        shell.run("kv", "put", f"n{number}", "--json-file", "-", stdin="{}")
    done = subprocess.run(
        f"{sys.executable} -m libvault kv list --vault vault --passphrase-file passphrase --token-file token | true",
        shell=True,
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_what_is_asked_for_at_a_terminal_is_not_shown_there(shell: Shell) -> None:
    words = [sys.executable, "-m", "libvault", "kv", "put", "asked", "password", "--vault", "vault"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(shell.folder)
        os.execve(sys.executable, words, {"PATH": os.environ["PATH"]})
    seen = b""
    for prompt, typed in ((b"password: ", "CANARY"), (b"Passphrase: ", PASSPHRASE), (b"Token: ", shell.token)):
        while prompt not in seen:
            seen += os.read(terminal, 1024)
        os.write(terminal, typed.encode() + b"\n")
    try:
        while more := os.read(terminal, 1024):
            seen += more
    except OSError:
        pass  # The other side is gone: Linux says so by an error.
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert b"version 1" in seen
    for secret in ("CANARY", PASSPHRASE, shell.token):
        assert secret.encode() not in seen
    assert shell.run("kv", "get", "asked", "--field", "password").stdout == "CANARY\n"
