"""Policies without a vault: parameters, wrapping, dialects, templates, and test files."""

import pathlib
import subprocess
import sys

import pytest

import libvault
from libvault import policy

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "policies" / "app.tests.json"
TOKENS = """
path "auth/token/create" {
  capabilities       = ["update"]
  allowed_parameters = { "ttl" = ["1h"], "tags" = ["a", "b"], "count" = [5] }
}
"""


def test_parameters_are_checked_and_named_but_never_their_values() -> None:
    assert policy.evaluate([TOKENS], "update", "auth/token/create", {"ttl": "1h", "count": 5})
    assert policy.evaluate([TOKENS], "update", "auth/token/create", {"count": 5.0})
    assert not policy.evaluate([TOKENS], "update", "auth/token/create", {"count": "5"})
    denied = policy.evaluate([TOKENS], "update", "auth/token/create", {"ttl": "CANARY"})
    assert not denied and denied.parameter == "ttl" and "parameter's value" in denied.step
    assert "CANARY" not in str(denied) and "CANARY" not in repr(denied)


def test_dialects_differ_over_lists() -> None:
    data = {"tags": ["a", "b"]}
    assert policy.evaluate([TOKENS], "update", "auth/token/create", data)
    assert not policy.evaluate([TOKENS], "update", "auth/token/create", data, dialect="openbao")


def test_a_wrapping_ttl_is_seconds_or_text() -> None:
    rules = ['path "a" { capabilities = ["read"] min_wrapping_ttl = 60 max_wrapping_ttl = "1h" }']
    assert policy.evaluate(rules, "read", "a", wrap_ttl=60) and policy.evaluate(rules, "read", "a", wrap_ttl="1h")
    for ttl in (None, 0, 59, "1h1s"):
        assert not policy.evaluate(rules, "read", "a", wrap_ttl=ttl)


def test_a_deny_may_be_absolute() -> None:
    rules = ['path "a/*" { policy = "deny" } path "a/b" { policy = "read" }']
    assert policy.evaluate(rules, "read", "a/b")
    assert not policy.evaluate(rules, "read", "a/b", absolute_deny=True)


def test_templates_are_filled_in_by_the_caller() -> None:
    rules = ['path "people/{{identity.entity.name}}/*" { capabilities = ["read"] }']
    ann = {"entity": {"name": "ann"}}
    assert policy.evaluate(rules, "read", "people/ann/key", caller=ann)
    for caller in (None, {}, {"entity": {"name": "*"}}):
        decision = policy.evaluate(rules, "read", "people/ann/key", caller=caller)
        assert not decision and decision.rule is None
        assert [(rule, name, line) for rule, name, line, _ in decision.void] == [
            ("people/{{identity.entity.name}}/*", "policy 1", 1)
        ]


def test_a_test_file_is_run_from_python_and_from_a_shell(tmp_path: pathlib.Path) -> None:
    report = policy.run_tests(EXAMPLE)
    assert report and report.failed == 0 and str(report) == f"{report.passed} passed, 0 failed"
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"policies": [], "cases": [{"operation": "read", "path": "a", "allowed": true}]}')
    assert not policy.run_tests(wrong) and "FAILED case 1: expected ALLOWED" in str(policy.run_tests(wrong))

    def shell(*words: str) -> tuple[int, str]:
        done = subprocess.run([sys.executable, "-m", "libvault", *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert shell("policy-test", str(EXAMPLE)) == (0, f"{report}\n")
    status, text = shell("policy-test", str(EXAMPLE), str(wrong))
    assert status == 1 and "FAILED case 1" in text
    assert shell()[0] == 2 and shell("policy-test")[0] == 2
    status, text = shell("policy-test", str(tmp_path / "missing.json"))
    assert status == 2 and "missing.json" in text


def test_a_policy_that_does_not_parse_tells_where() -> None:
    with pytest.raises(libvault.InvalidRequest) as caught:
        policy.evaluate(['path "a" {\n  capabilites = ["read"]\n}'], "read", "a")
    assert "line 2, column 3" in str(caught.value) and 'did you mean "capabilities"' in str(caught.value)
