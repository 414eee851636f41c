"""What doctor can tell of a start command without starting anything."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from backout.clock import SystemClock
from backout.platforms.base import Diagnosis, Site
from backout.platforms.process import ProcessOptions, ProcessPlatform
from backout.redact import Redactor

SECRET = "tok-5c1e-very-secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two releases; only the newer has bin/start, its server and its own interpreter."""
    for ref in ("v1", "v2"):
        (tmp_path / "releases" / ref / "bin").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/v2")
    script(tmp_path / "releases/v2/bin/start", "#!/bin/sh\ntouch ../../started\n")
    (tmp_path / "releases/v2/server.py").write_text("open('../../started', 'w')\n")
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(text, newline="")
    path.chmod(0o755)


def start_lines(root: Path, start: str | list[str], **extra: object) -> list[Diagnosis]:
    site = Site("web", "production", root, dict(os.environ), SystemClock(), Redactor())
    options = ProcessOptions.model_validate({"root": ".", "start": start, **extra})
    lines = [line for line in ProcessPlatform.create(options, site).doctor() if line.subject == "start"]
    assert not (root / "started").exists(), "nothing is started"
    assert all(line.remedy for line in lines if not line.ok)
    return lines


def only_v1(root: Path, start: str | list[str]) -> str:
    [line] = start_lines(root, start)
    assert line.ok is False and "would not start from release v1" in str(line.evidence)
    return str(line.evidence)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        ("bin/start --now", "bin/start is not found, or not executable"),
        ("{release}/bin/start", "releases/v1/bin/start is not found"),
        ("python3 server.py", "server.py, which python3 is given, is not there"),
        ("python3 -u ./server.py --port 80", "./server.py, which python3 is given, is not there"),
        (["sh", "-c", "exec bin/start"], "bin/start is not found"),
        (["sh", "-c", "PORT=80 exec python3 server.py >> ../../log"], ""),
        (["sh", "-c", "PORT=80 exec python3 server.py"], "server.py, which python3 is given, is not there"),
    ],
)
def test_a_release_without_what_the_command_names(root: Path, start: str | list[str], what: str) -> None:
    if not what:  # more than one command: what the text does is not looked into
        assert [line.ok for line in start_lines(root, start)] == [True]
        return
    assert what in only_v1(root, start)


@pytest.mark.parametrize(
    "start", ["python3 -m http.server", "env", "true --import tsx server.js", "sh -c 'cd x && ./y'"]
)
def test_what_works_from_every_release(root: Path, start: str) -> None:
    [line] = start_lines(root, start)
    assert line.ok is True
    assert str(line.evidence) == f"{shlex.split(start)[0]} is found from release v2, and from 1 more"


@pytest.mark.parametrize(
    ("first", "what"),
    [
        ("#!/no/such/python", "needs /no/such/python, which is not there"),
        ("#!/usr/bin/env no-such-ruby", "needs no-such-ruby, which is not there"),
        ("#!/usr/bin/env -S no-such-ruby -w", "needs no-such-ruby, which is not there"),
        ("#!/bin/sh\r", "lines that end as on Windows"),
    ],
)
def test_an_interpreter_that_is_not_there(root: Path, first: str, what: str) -> None:
    script(root / "releases/v1/bin/start", f"{first}\n")
    assert what in only_v1(root, "bin/start")


def test_a_script_that_is_not_executable(root: Path) -> None:
    (root / "releases/v1/bin/start").write_text("#!/bin/sh\n")
    assert "bin/start is not found, or not executable" in only_v1(root, "bin/start")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_script_that_is_not_readable(root: Path) -> None:
    (root / "releases/v1/server.py").touch(mode=0o000)
    assert "is not readable" in only_v1(root, "python3 server.py")


@pytest.mark.parametrize(
    ("start", "what"),
    [
        ("bin/start && true", "&& is passed on as it is"),
        ("bin/start > log", "> is passed on as it is"),
        ("bin/start --port=$PORT", "--port=$PORT is passed on as it is"),
        ("~/bin/start", "~/bin/start is passed on as it is"),
        ("PORT=80 bin/start", "PORT is no program"),
        (["sh", "-c", "exec bin/start 'open"], "sh cannot read its text"),
        (["bash", "-c", "if true; then"], "bash cannot read its text"),
    ],
)
def test_what_needs_a_shell_is_understood(root: Path, start: str | list[str], what: str) -> None:
    script(root / "releases/v1/bin/start", "#!/bin/sh\n")
    lines = start_lines(root, start)
    assert lines[0].ok is False and what in " ".join(str(line.evidence) for line in lines)
    assert not any("is found from" in str(line.evidence) for line in lines)


def test_no_secret_in_what_it_says(root: Path) -> None:
    (root / "env").write_text(f"API_TOKEN={SECRET}\n")
    lines = start_lines(root, ["sh", "-c", f"run {SECRET} 'open"], env_file="env")
    lines += start_lines(root, [f"./{SECRET}"], env_file="env")
    lines += start_lines(root, ["bin/start", f"${{X}}{SECRET}"], env_file="env")
    assert lines and not any(SECRET in f"{line.evidence}{line.remedy}" for line in lines)
