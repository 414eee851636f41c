"""The command `backout`."""

from __future__ import annotations

import atexit
import gc
import sys


def main() -> None:
    """Run the command line; `--version` alone answers before anything heavy is imported."""
    if sys.argv[1:] == ["--version"]:
        from backout import __version__

        sys.stdout.write(f"backout {__version__}\n")
        return
    # What a command imports lives as long as it does: looking for garbage in it would be a seventh of a cold
    # start (docs/reference/performance.md). Long runs still collect; at the end the system takes it all back.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    from backout.cli.main import app

    app(prog_name="backout")


if __name__ == "__main__":
    main()
