"""What a shell asks of libvault: ``python -m libvault --help``."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
