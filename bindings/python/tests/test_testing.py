"""What the package brings for its users' tests: the plugin of pytest, and the same without pytest."""

import pathlib
import subprocess
import sys

import pytest

import libvault
from libvault.testing import START, MemoryVault, memory_vault

pytest_plugins = ["pytester"]

APP = 'path "secret/data/app/*" { capabilities = ["create", "read"] }'


def test_the_fixture_is_there_without_an_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_expiry(memory_vault):
            app = memory_vault.session_with('path "secret/data/app/*" { capabilities = ["create", "read"] }', ttl=60)
            app.kv("secret").put("app/db", {"password": "x"})
            memory_vault.clock.advance(59)
            assert app.kv("secret").get("app/db")["password"] == "x"
            memory_vault.clock.advance(1)
            with pytest.raises(Exception, match="permission denied"):
                app.kv("secret").get("app/db")

        def test_each_test_has_its_own(memory_vault):
            assert not memory_vault.vault.sealed
            with pytest.raises(Exception, match="nothing"):
                memory_vault.root.kv("secret").get("app/db")
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_fixture_is_listed_with_its_text_and_can_be_left_out(pytester: pytest.Pytester) -> None:
    listed = pytester.runpytest_subprocess("--fixtures", "-p", "no:cacheprovider")
    listed.stdout.fnmatch_lines(["memory_vault*", "*A libvault vault in memory with a manual clock*"])
    left_out = pytester.runpytest_subprocess("--fixtures", "-p", "no:libvault", "-p", "no:cacheprovider")
    left_out.stdout.no_fnmatch_line("memory_vault*")


def test_a_failing_test_shows_no_secret(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_fails(memory_vault):
            token = memory_vault.token.expose()
            memory_vault.root.kv("secret").put("a", {"password": "CANARY" + "CANARY"})
            secret = memory_vault.root.kv("secret").get("a")
            assert secret is memory_vault
        """
    )
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(failed=1)
    assert "[redacted]" in outcome.stdout.str() and "CANARYCANARY" not in outcome.stdout.str()


def test_a_session_may_do_what_its_policies_say_and_no_more(memory_vault: MemoryVault) -> None:
    both = memory_vault.session_with(APP, 'path "secret/metadata/app/*" { capabilities = ["list"] }')
    both.kv("secret").put("app/db", {"k": "v"})
    assert both.kv("secret").list("app") == ["db"]
    with pytest.raises(libvault.PermissionDenied):
        both.kv("secret").put("app/db", {"k": "v"})
    with pytest.raises(libvault.PermissionDenied):
        both.request("read", "auth/token/lookup-self")
    with pytest.raises(libvault.InvalidRequest):
        memory_vault.session_with("path")
    with pytest.raises(TypeError):
        memory_vault.session_with()  # type: ignore[call-arg]


def test_audit_events_are_all_there_however_many(memory_vault: MemoryVault) -> None:
    kv = memory_vault.root.kv("secret")
    kv.put("a", {"k": "v"})
    for _ in range(2100):
        kv.get("a").close()
    events = memory_vault.audit_events("secret/data/a")
    assert [event["operation"] for event in events] == ["write"] + ["read"] * 2100
    numbers = [event["sequence"] for event in memory_vault.audit_events()]
    assert numbers == sorted(set(numbers)) and len(numbers) > 2101


def test_the_vault_is_closed_at_the_end_and_its_clock_stands_where_told() -> None:
    with memory_vault(start=1000.5, audit="strict") as world:
        assert world.clock.now() == 1000.5
        world.vault.seal()
        world.vault.unseal(world.key)
        assert world.vault.session(world.token).request("read", "auth/token/lookup-self")
    assert world.vault.seal_status()["closed"]
    with pytest.raises(libvault.InvalidRequest):
        world.root.request("read", "sys/mounts")
    with memory_vault() as usual:
        assert usual.clock.now() == START


def test_without_pytest_the_module_works_all_the_same(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "sys.modules['pytest'] = None\n"
        "from libvault.testing import memory_vault\n"
        "with memory_vault() as world:\n"
        "    print(world.root.kv('secret').put('a', {'k': 'v'}).version)\n"
    )
    assert subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout == "1\n"
