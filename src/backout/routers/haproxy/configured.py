"""Whether haproxy.cfg has a backend's servers read from a state file: HAProxy's runtime API does not tell.

Source: HAProxy 2.6 configuration manual, `server-state-file`, `server-state-base`, `load-server-state-from-file`,
`server-state-file-name`; management guide, 3 (`-f`, `-C`).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

_PROC = Path("/proc")
_SECTIONS = (
    "global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "program",
    "cache", "http-errors", "ring", "log-forward", "fcgi-app",
)  # fmt: skip


def read_by(text: str, backend: str, folder: Path) -> Path | None:
    """Return the file that the servers of a backend are read from; None: from none.

    Args:
        text: haproxy.cfg, or all its files one after the other.
        backend: The backend's name.
        folder: What a path starts at that is not absolute.

    Raises:
        ValueError: It cannot be told: conditions, variables, no such backend.
    """
    sections = _sections(text)
    own = next(
        (
            at
            for at, (head, _) in enumerate(sections)
            if head[:2] in (["backend", backend], ["listen", backend])
        ),
        None,
    )
    if own is None:
        raise ValueError(f"no backend {backend}")
    head, settings = sections[own]
    named = head[3] if head[2:3] == ["from"] else None
    before = [
        (h, s) for h, s in sections[:own] if h[0] == "defaults" and (named is None or h[1:2] == [named])
    ]
    inherited = before[-1][1] if before else {}
    common: dict[str, list[str]] = {}
    for section, found in sections:
        if section[0] == "global":
            common |= found
    how = (
        settings.get("load-server-state-from-file")
        or inherited.get("load-server-state-from-file")
        or ["none"]
    )[0]
    base = folder / _first(common, "server-state-base", "")
    if how == "none":
        return None
    if how == "local":
        name = settings.get("server-state-file-name", [])
        # `use-backend-name` is what it is without the setting.
        return base / (name[0] if name and name[0] != "use-backend-name" else backend)
    file = _first(common, "server-state-file", "")
    return base / file if file else None


def text_of(pid: int) -> tuple[str, Path]:
    """Return the configuration files that a process of HAProxy was started with, and its folder.

    Raises:
        ValueError: Its command line names none.
        OSError: They may not be read.
    """
    words = (_PROC / str(pid) / "cmdline").read_text().split("\0")
    folder = (_PROC / str(pid) / "cwd").readlink()
    named: dict[str, list[str]] = {"-f": [], "-C": []}
    for word, following in pairwise(words):
        if word in named:
            named[word].append(following)
    if named["-C"]:
        folder = folder / named["-C"][-1]
    paths = [folder / one for one in named["-f"]]
    if not paths:
        raise ValueError("no -f on its command line")
    files = [one for path in paths for one in (sorted(path.glob("*.cfg")) if path.is_dir() else [path])]
    return "\n".join(one.read_text(errors="replace") for one in files), folder


def _sections(text: str) -> list[tuple[list[str], dict[str, list[str]]]]:
    found: list[tuple[list[str], dict[str, list[str]]]] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = line.split()[0]
        if first.startswith("."):
            raise ValueError("it has conditions")
        if first in _SECTIONS:
            found.append((shlex.split(line, comments=True), {}))
        elif found and "server-state" in first:
            found[-1][1][first] = _plain(shlex.split(line, comments=True)[1:])
        elif found and first == "no" and "server-state" in line:
            raise ValueError("it takes a setting back")
    return found


def _plain(words: list[str]) -> list[str]:
    if any("$" in one for one in words):
        raise ValueError("it has variables")
    return words


def _first(settings: Mapping[str, list[str]], name: str, otherwise: str) -> str:
    return next(iter(settings.get(name, [])), otherwise)
