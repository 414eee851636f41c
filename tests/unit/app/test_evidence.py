"""Evidence never stops a way back: a source that hangs or breaks is named, and what came so far is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backout.app.evidence import Evidence
from backout.clock import SystemClock
from backout.redact import Redactor


class Talks:
    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        yield "web-1 log", "\n".join(f"line {n}" for n in range(100)) + "\npassword is hunter2-hunter2"
        yield "a name/with: signs", "short"


class Hangs:
    def __init__(self) -> None:
        self.end = threading.Event()

    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        yield "first", "came"
        self.end.wait()


class Breaks:
    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        yield "before", "came"
        raise ZeroDivisionError


def save(tmp_path: Path, **sources: object) -> Any:
    redactor = Redactor()
    redactor.add("hunter2-hunter2")
    keeper = Evidence(sources, tmp_path, redactor, SystemClock())
    return keeper.save("run-1/02-evidence-save", 0.2)


def test_files_are_redacted_and_their_owners_alone(tmp_path: Path) -> None:
    found = save(tmp_path, platform=Talks(), nothing=object())
    folder = tmp_path / "evidence" / "run-1"
    assert found["folder"] == str(folder) and found["unsaved"] == []
    log = folder / "web-1-log.txt"
    assert "hunter2" not in log.read_text() and "line 0" in log.read_text()
    assert (folder.stat().st_mode & 0o777, log.stat().st_mode & 0o777) == (0o700, 0o600)
    assert found["files"]["web-1 log"]["tail"].splitlines()[0] == "line 96"
    assert (folder / "a-name-with-signs.txt").read_text() == "short"


def test_what_hangs_or_breaks_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    hanging = Hangs()
    found = save(tmp_path, slow=hanging, broken=Breaks(), platform=Talks())
    hanging.end.set()
    assert {"first", "before", "web-1 log"} <= set(found["files"])
    assert [text.partition(":")[0] for text in found["unsaved"]] == ["slow", "broken"]
    assert "ZeroDivisionError" in found["unsaved"][1]


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file where the folder should be")
    found = save(tmp_path, platform=Talks())
    assert found["files"] == {} and "platform" in found["unsaved"][0]
