"""The command `backout`."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import threading

_exit_code = 1


def main() -> None:
    """Run the command line; `--version` alone answers before anything heavy is imported."""
    _prepare_streams()
    if sys.argv[1:] == ["--version"]:
        from backout import __version__

        sys.stdout.write(f"backout {__version__}\n")
        return
    # What a command imports lives as long as it does: looking for garbage in it would be a seventh of a cold
    # start (docs/reference/performance.md). Long runs still collect; at the end the system takes it all back.
    gc.set_threshold(100_000)
    atexit.register(_leave_without_them)  # First in, so last out.
    atexit.register(gc.freeze)
    from backout.cli.main import app

    global _exit_code
    try:
        app(prog_name="backout")
    except SystemExit as end:
        _exit_code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


def _prepare_streams() -> None:
    """Make every stream one that can be written to: a lost terminal or an old encoding must not stop a way back.

    Hazard: a descriptor that the caller closed would be given to the next file that is opened, the state file say.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest that is free: this one.
    for descriptor, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if descriptor == 0 else "w"
            stream = os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper) and descriptor:
            stream.reconfigure(errors="replace")


def _leave_without_them() -> None:
    """End the process at once while a source that was asked has not answered.

    Hazard: its thread is inside a C library; the interpreter taken down under it can crash, and a crash would
    stand where the exit code should.
    """
    if any(t.daemon for t in threading.enumerate() if t is not threading.main_thread()):
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue  # The terminal, or the reader of the pipe, is gone.
        os._exit(_exit_code)


if __name__ == "__main__":
    main()
