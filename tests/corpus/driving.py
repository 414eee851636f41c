"""Programs that run steps: one that stays for Alembic and for texts, one for each run of a class in JavaScript."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.corpus.history import Driver, Step

PROGRAMS = Path(__file__).parent / "drivers"
_ASKED_S = 300


class NotRun(Exception):
    """A step failed; says what the tool said."""


class Staying:
    """A program that stays, and runs a step when it is told to.

    Args:
        interpreter: Of the package, or our own.
        program: In the folder of the drivers.
        options: What it is to know, as JSON.
        environment: Besides our own.
    """

    def __init__(
        self, interpreter: Path, program: str, options: object, environment: dict[str, str] | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="corpus-")
        self._path = str(Path(self._folder.name) / "door")
        file = Path(self._folder.name) / "options.json"
        file.write_text(json.dumps(options))
        self._said = (Path(self._folder.name) / "said").open("w+")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DATABASE_URL", "VIRTUAL_ENV"))}
        self._child = subprocess.Popen(
            [interpreter, PROGRAMS / program, self._path, str(file)],
            env=env | (environment or {}),
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line == "ready\n":
                return
        self._child.wait()
        self._said.seek(0)
        raise NotRun(self._said.read()[-3000:])

    def ask(self, what: str, step: str = "", url: str = "") -> str:
        """Have something done, plainly; return what is said.

        Raises:
            NotRun: It failed.
        """
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(_ASKED_S)
            door.connect(self._path)
            with door.makefile("rw") as talk:
                talk.write(json.dumps({"what": what, "step": step, "url": url}) + "\n")
                talk.flush()
                told = json.loads(
                    talk.readline() or '{"status": 1, "said": "the program that stays has ended"}'
                )
        if told["status"]:
            raise NotRun(told["said"])
        return str(told["said"])

    def argv(self, step: Step, direction: str) -> list[str]:
        return [sys.executable, "-I", "-S", str(PROGRAMS / "asking.py"), self._path, direction, step.name]

    def close(self) -> None:
        if self._child.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as door:
                door.connect(self._path)
                door.sendall(b'{"what": "end"}\n')
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._said.close()
        self._folder.cleanup()


class Texts(Staying):
    """Runs steps that are texts."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(
            Path(sys.executable), "sql_worker.py", [asdict(one) for one in steps if one.up is not None]
        )


class Classes:
    """Runs steps that are JavaScript classes.

    Args:
        kind: `mikroorm` or `pairs`.
        files: By the step's name.
        client: The folder of the client library `pg`.
        loads: What the classes import, and need, by the import's name.
    """

    def __init__(self, kind: str, files: dict[str, Path], client: Path, loads: dict[str, Path]) -> None:
        self._kind, self._files = kind, files
        told = json.dumps({name: str(file) for name, file in loads.items()})
        self._env = (f"CORPUS_PG={client}", f"CORPUS_LOADS={told}")

    def argv(self, step: Step, direction: str) -> list[str]:
        program = str(PROGRAMS / "classes.cjs")
        return ["env", *self._env, "node", program, self._kind, str(self._files[step.name]), direction]

    def close(self) -> None:
        """Nothing runs."""


def run_plainly(driver: Driver, step: Step, direction: str, url: str) -> None:
    """Run a step as if backout were not there.

    Raises:
        NotRun: It failed.
    """
    if isinstance(driver, Staying):
        driver.ask(direction, step.name, url)
    else:
        _run(driver.argv(step, direction), url)


def _run(argv: Sequence[str], url: str) -> None:
    done = subprocess.run(
        argv,
        env={**os.environ, "DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_ASKED_S,
        check=False,
    )
    if done.returncode:
        raise NotRun(f"{done.stdout}{done.stderr}"[-6000:])
