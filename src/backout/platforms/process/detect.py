"""Finds a service that is deployed as folders and a link."""

from __future__ import annotations

import shlex
from pathlib import Path

from backout.env_file import ENV_FILES
from backout.message import msg
from backout.platforms.base import Detection
from backout.platforms.process.options import Layout

_PID_FOLDERS = ("shared/pids", "shared/tmp/pids", "shared/run", "run", "tmp/pids", ".")
_LOG_FOLDERS = ("shared/log", "log")
_START_FILES = ("bin/start", "start.sh", "script/start")


def detect(directory: Path) -> Detection | None:
    """Look for `current` and `releases` below a directory; changes nothing, keeps no secret.

    A start command is only proposed if the release itself names one (Procfile, bin/start, start.sh): the
    arguments of a running process may hold secrets.
    """
    root = directory.resolve()
    layout = Layout(root, root / "-", root / "-", None)
    releases = [p for p in layout.releases.iterdir() if p.is_dir()] if layout.releases.is_dir() else []
    linked = layout.linked()
    if not releases and linked is None:
        return None
    options: dict[str, object] = {"root": "."}
    env_file = next((name for name in ENV_FILES if (root / name).is_file()), None)
    if env_file:
        options["env_file"] = env_file
    for key, folders, pattern in (("pid_file", _PID_FOLDERS, "*.pid"), ("log_file", _LOG_FOLDERS, "*.log")):
        found = [p for name in folders if (root / name).is_dir() for p in sorted((root / name).glob(pattern))]
        if len(found) == 1:
            options[key] = str(found[0].relative_to(root))
    start = _start_command(layout.release(linked)) if linked else None
    if start:
        options["start"] = start
    return Detection(
        kind="process",
        options=options,
        evidence=msg(
            "{count} releases below {root}, current points to {linked}",
            count=len(releases),
            root=str(root),
            linked=linked or "nothing",
        ),
        confidence=0.9 if releases and linked else 0.5,
    )


def _start_command(release: Path) -> list[str] | None:
    for name in _START_FILES:
        if (release / name).is_file():
            return [f"./{name}"]
    try:
        lines = (release / "Procfile").read_text(encoding="utf-8").splitlines()
        web = next(line.partition(":")[2] for line in lines if line.startswith("web:"))
        # A Procfile line is a shell line; exec keeps the pid the service's own.
        return ["sh", "-c", f"exec {web.strip()}"] if "$" in web else shlex.split(web)
    except (OSError, UnicodeDecodeError, StopIteration, ValueError):
        return None
