"""One project, in a process of its own: `python -m tests.corpus.one NAME FILE [EVERY]`; a line of FILE for each migration."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.corpus import report
from tests.corpus.ground import ground
from tests.corpus.projects import PROJECTS
from tests.corpus.walking import Walk, each

_ROOM = 4 << 30


def main(name: str, file: str, every: str = "1") -> None:
    """Go through a project's history, and write down what is found as it is found."""
    (project,) = [one for one in PROJECTS if one.name == name]
    history = project.history()
    _in_memory()
    with (
        tempfile.TemporaryDirectory(prefix="corpus-") as folder,
        ground(Path(folder)) as made,
        Path(file).open("w") as out,
    ):
        told = {
            "name": name,
            "version": history.version,
            "tool": history.tool,
            "steps": len(history.steps),
            "every": int(every),
            "backout": report.commit(),
            "postgres": made.version,
        }
        print(json.dumps(told), file=out, flush=True)
        for result in Walk(made, history, each(int(every))).results():
            print(json.dumps(asdict(result)), file=out, flush=True)
        print(json.dumps({"complete": True}), file=out, flush=True)


def _in_memory() -> None:
    """Have the server's files in memory where there is room: a database is copied five times for each migration."""
    memory = Path("/dev/shm")
    if "TMPDIR" not in os.environ and memory.is_dir() and shutil.disk_usage(memory).free > _ROOM:
        tempfile.tempdir = str(memory)


if __name__ == "__main__":
    main(*sys.argv[1:])
