"""Least privilege in Python: a token that may read one folder and no more, narrowed once more for a helper, and gone in time."""

import libvault

POLICY = """# The report may read its own secrets, and nothing else.
path "secret/data/reports/*" { capabilities = ["read"] }
path "auth/token/create"     { capabilities = ["update"] }
"""
HELPER = 'path "secret/data/reports/smtp" { capabilities = ["read"] }'

clock = libvault.ManualClock(1_795_457_040)
vault, init = libvault.create(None, key=libvault.Passphrase("correct horse battery staple"), clock=clock)
with vault, vault.session(init.root_token) as root:
    root.kv("secret").put("reports/smtp", {"password": "pa55-w0rd"})
    root.kv("secret").put("reports/db", {"password": "h0rse"})
    root.kv("secret").put("payroll/db", {"password": "n0t-yours"})
    for name, text in (("reports", POLICY), ("reports-helper", HELPER)):
        root.request("write", f"sys/policies/acl/{name}", {"policy": text})
    made = root.request("write", "auth/token/create", {"policies": ["reports", "reports-helper"], "ttl": "1h", "no_default_policy": True})
    assert made is not None

    with vault.session(made["auth"]["client_token"]) as report:
        print("it reads its own:", report.kv("secret").get("reports/smtp").version)
        for attempt in (
            lambda: report.kv("secret").get("payroll/db"),
            lambda: report.kv("secret").put("reports/smtp", {"password": "mine"}),
            lambda: report.request("read", "sys/audit-log/events"),
        ):
            try:
                attempt()
                raise SystemExit("it may do more than its policy says")
            except libvault.PermissionDenied as error:
                print("refused:", error)

        # Its own child gets less, and ends with it.
        child = report.request("write", "auth/token/create", {"policies": ["reports-helper"], "ttl": "5m", "no_default_policy": True})
        assert child is not None
        helper = vault.session(child["auth"]["client_token"])
        print("the helper reads one secret:", helper.kv("secret").get("reports/smtp").version)
        try:
            helper.kv("secret").get("reports/db")
            raise SystemExit("the helper may do more than its policy says")
        except libvault.PermissionDenied as error:
            print("refused:", error)
        clock.advance(300)
        try:
            helper.kv("secret").get("reports/smtp")
            raise SystemExit("the helper's token did not end")
        except libvault.PermissionDenied as error:
            print("five minutes later:", error)
