"""The command `backout`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; `--version` alone answers before anything heavy is imported."""
    if sys.argv[1:] == ["--version"]:
        from backout import __version__

        sys.stdout.write(f"backout {__version__}\n")
        return
    from backout.cli.main import app

    app(prog_name="backout")


if __name__ == "__main__":
    main()
