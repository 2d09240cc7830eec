"""The commands and their options, and how an outcome becomes an exit status."""

import argparse
import os
import sys
from collections.abc import Sequence

from .. import __version__, errors
from . import _kv, _policy, _store
from ._secrets import Refusal

_DONE, _NO, _USAGE, _ABSENT, _DENIED, _FAILED, _BUG = 0, 1, 2, 3, 4, 5, 70
_INTERRUPTED = 130

_STATUS: list[tuple[type[errors.VaultError], int]] = [
    (errors.Corrupt, _NO),
    (errors.Rollback, _NO),
    (errors.InvalidRequest, _USAGE),
    (errors.NotFound, _ABSENT),
    (errors.PermissionDenied, _DENIED),
    (errors.Internal, _BUG),
]

_EPILOG = """\
exit status:
  0   done; allowed; everything verified
  1   the answer is no: denied by the policies, a test failed, or something does not verify
  2   wrong usage, a wrong key, or a request that is refused for its form
  3   nothing is there
  4   permission denied
  5   storage, a key service or a quota stood in the way: try again
  70  a bug in libvault: please report it

No secret is taken as an argument, where other users and the shell's history would see it. A passphrase, a key, a share or a token
is asked for at the terminal, or read from a file that an option or an environment variable names.
"""


def main(words: Sequence[str]) -> int:
    """Carry out one command; its exit status. Answers go to standard output, everything else to standard error."""
    try:
        asked = parser().parse_args(words)
        status: int = asked.run(asked)
        sys.stdout.flush()
    except errors.VaultError as error:
        print(f"libvault: {error}", file=sys.stderr)
        return next((status for kind, status in _STATUS if isinstance(error, kind)), _FAILED)
    except Refusal as refusal:
        print(f"libvault: {refusal}", file=sys.stderr)
        return _USAGE
    except BrokenPipeError:
        # Whoever reads has seen enough; the interpreter would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except OSError as error:
        print(f"libvault: {error.filename or 'the system'}: {error.strerror}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="python -m libvault",
        description="Look into a vault, and test its policies.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"libvault {__version__}")
    groups = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _store.add(groups)
    _kv.add(groups)
    _policy.add(groups)
    return top
