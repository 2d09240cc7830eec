"""What ``python -m libvault`` does, a file for each group of commands."""

from ._main import main

__all__ = ["main"]
