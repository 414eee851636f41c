"""Sides and clients in processes of their own: in the one that is measured they would wait for each other's threads.

As a script: `sides NAME…` prints their ports; `load PORT` asks without pause, prints a line for each line that it reads once 40
more requests are answered, and what came of all of them at the end. Both end with their standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@contextmanager
def sides_apart(*names: str) -> Iterator[dict[str, int]]:
    """Give the ports of running sides by name."""
    with _running("sides", *names) as process:
        yield json.loads(_line(process))


class LoadApart:
    """A steady load on a port, from the beginning to the end of a `with`; `seen` tells what came of it afterwards."""

    def __init__(self, port: int) -> None:
        self._context = _running("load", str(port))
        self.seen: dict[str, Any] = {}

    def __enter__(self) -> LoadApart:
        self._process = self._context.__enter__()
        return self

    def goes_on(self) -> None:
        """Wait until 40 more requests are answered."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        _line(self._process)

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.seen = json.loads(_line(self._process))
        self._context.__exit__(None, None, None)


@contextmanager
def _running(*words: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, __file__, *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def main() -> None:
    sys.path.insert(0, str(ROOT))

    from tests.sides import sides

    from backout.testing.traffic import SteadyLoad

    if sys.argv[1] == "sides":
        with sides(*sys.argv[2:]) as running:
            print(json.dumps({name: one.port for name, one in running.items()}), flush=True)
            sys.stdin.read()
        return
    with SteadyLoad(int(sys.argv[2])) as load:
        for _ in sys.stdin:
            load.goes_on()
            print(flush=True)
    seen = load.total
    requests = seen.by.total() + len(seen.failed)
    print(json.dumps({"requests": requests, "failed": len(seen.failed), "again": seen.again}), flush=True)


if __name__ == "__main__":
    main()
