"""Policies explained and tested in Python: what continuous integration runs before a policy reaches any vault."""

import json
import pathlib
import subprocess
import sys
import tempfile

from libvault import policy

CARELESS = """path "secret/data/billing/*" {
  capabilities = ["create", "read", "update"]
}

# Meant to keep the provider's key out of reach. It does not: the rule above is the more specific one.
path "secret/+/billing/provider/*" {
  capabilities = ["deny"]
}
"""
CORRECTED = CARELESS.replace("# Meant to keep the provider's key out of reach. It does not: the rule above is the more specific one.\n", "").replace("+", "data")
CASES = [
    {"name": "its own", "operation": "read", "path": "secret/data/billing/db", "allowed": True, "rule": "secret/data/billing/*"},
    {"name": "not the provider's", "operation": "read", "path": "secret/data/billing/provider/key", "allowed": False},
    {"name": "not those of others", "operation": "read", "path": "secret/data/payroll/db", "allowed": False, "rule": None},
]

for text in (CARELESS, CORRECTED):
    print(policy.evaluate([text], "read", "secret/data/billing/provider/key"))

with tempfile.TemporaryDirectory() as name:
    tests = pathlib.Path(name) / "billing.tests.json"
    tests.write_text(json.dumps({"policies": ["billing.hcl"], "cases": CASES}))
    # A step of continuous integration: its exit status says whether the policy may go on.
    step = [sys.executable, "-m", "libvault", "policy", "test", str(tests)]
    for text, expected in ((CARELESS, 1), (CORRECTED, 0)):
        tests.with_name("billing.hcl").write_text(text)
        done = subprocess.run(step, check=False, capture_output=True, text=True)
        print(f"status {done.returncode}: {done.stdout.strip().splitlines()[-1]}")
        assert done.returncode == expected
    assert policy.run_tests(tests), "the same from Python"
