"""What a shell asks of libvault: ``python -m libvault policy-test FILE...``."""

import sys

from . import VaultError, policy

USAGE = "usage: python -m libvault policy-test FILE..."


def main(words: list[str]) -> int:
    """Run the tests in these files; 0 when all passed, 1 when one failed, 2 when there was nothing that could be run."""
    if len(words) < 2 or words[0] != "policy-test":
        print(USAGE, file=sys.stderr)
        return 2
    try:
        reports = [policy.run_tests(path) for path in words[1:]]
    except VaultError as error:
        print(error, file=sys.stderr)
        return 2
    for report in reports:
        print(report)
    return 0 if all(reports) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
