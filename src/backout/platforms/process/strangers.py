"""Processes that may be the service although neither the lock nor the pid file names them.

Asked only when nothing known runs: a service whose pid stands elsewhere must not be taken for "nothing runs".
What a person has open in a release's folder (shell, editor, pager, multiplexer) is no service.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backout.message import Message, msg
from backout.platforms.process.options import Layout
from backout.platforms.process.processes import created_of

if TYPE_CHECKING:
    import psutil

_SHOWN = 5
_OF_PEOPLE = frozenset({
    "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "nu", "pwsh", "rbash", "sh", "tcsh", "xonsh",
    "zsh", "login", "sshd", "sshd-session", "su", "sudo", "screen", "SCREEN", "tmux", "zellij",
    "mosh-server", "script", "ed", "emacs", "emacs-nox", "emacsclient", "helix", "hx", "joe", "kak",
    "mc", "mcedit", "micro", "nano", "nvim", "pico", "vi", "view", "vim", "code", "cursor", "bat",
    "cat", "cp", "du", "find", "fzf", "gdb", "git", "gpg-agent", "grep", "htop", "top", "less", "lsof",
    "man", "more", "most", "mv", "ps", "rg", "rm", "rsync", "scp", "sftp", "ssh", "ssh-agent", "strace",
    "tail", "tar", "tig", "tree", "vimdiff", "watch", "watchman", "xargs",
})  # fmt: skip
"""What people run in a folder. `tmux: server` is the name of a process: only the part before the colon counts."""
_EDITOR_SERVER = re.compile(r"/\.[a-z-]+-server/")


@dataclass(frozen=True, slots=True)
class Stranger:
    """A process that may be the service.

    Attributes:
        created: When it started, in seconds since the epoch.
        ref: The release that it belongs to.
        name: Its program; never its arguments, which may hold secrets.
        why: What speaks for it.
        sure: Whether it runs the declared start command; else it may be something beside the service.
    """

    pid: int
    created: float
    ref: str
    name: str
    why: Message
    sure: bool


def look(layout: Layout, start: Sequence[str], known: Collection[int]) -> tuple[Stranger, ...]:
    """Return the processes of releases that may be the service; of a family the eldest.

    Args:
        layout: Paths of the service.
        start: The declared start command, `{release}` not filled in.
        known: Processes that are known, and need no guess.

    What another user runs is seen only if its arguments name a release: its folder may not be read.
    """
    import psutil

    mine = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found: dict[int, Stranger] = {}
    parents: dict[int, int] = {}
    for process in psutil.process_iter():
        if process.pid in known or process.pid in mine:
            continue
        with suppress(psutil.Error, OSError):
            stranger = _judged(process, layout, start)
            if stranger is not None:
                found[process.pid], parents[process.pid] = stranger, process.ppid()
    return tuple(s for pid, s in found.items() if parents[pid] not in found)


def told(strangers: Sequence[Stranger], layout: Layout) -> tuple[Message, str]:
    """Return what to say of them, and what to type."""
    each = [
        str(msg("process {pid} ({name}) of release {ref}: {why}", pid=s.pid, name=s.name, ref=s.ref, why=str(s.why)))
        for s in strangers[:_SHOWN]
    ]  # fmt: skip
    what = msg(
        "Neither backout's lock nor {file} names a process, but there is {strangers}{more}",
        file=str(layout.pid_file),
        strangers="; ".join(each),
        more=f"; and {len(strangers) - _SHOWN} more" if len(strangers) > _SHOWN else "",
    )
    pids, file = ",".join(str(s.pid) for s in strangers), shlex.quote(str(layout.pid_file))
    other = (
        "end it" if any(s.sure for s in strangers) else "declare platform.ready_url, which tells them apart"
    )
    return what, f"ps -o pid,lstart,args -p {pids}  # the service? echo PID > {file}; something else? {other}"


def _judged(process: psutil.Process, layout: Layout, start: Sequence[str]) -> Stranger | None:
    command = process.cmdline()
    worked_in = _worked_in(process, layout)
    ref = worked_in or next(filter(None, (_named(word, layout) for word in command)), None)
    created = created_of(process) if ref and command else None
    if ref is None or created is None:
        return None
    sure = runs_command(command, start, layout, ref)
    why = msg("it runs the start command") if sure else _hint(process) if worked_in else None
    return Stranger(process.pid, created, ref, process.name(), why, sure) if why else None


def _worked_in(process: psutil.Process, layout: Layout) -> str | None:
    import psutil

    for ask in (process.cwd, process.exe):
        with suppress(psutil.AccessDenied):
            ref = layout.ref_of(Path(ask()))
            if ref:
                return ref
    return None


def _named(word: str, layout: Layout) -> str | None:
    if not word.startswith("/"):
        return None
    path = Path(os.path.normpath(word))
    return layout.ref_of(path) or (layout.linked() if layout.current in path.parents else None)


def _hint(process: psutil.Process) -> Message | None:
    """Return what else speaks for a process; None for what people run."""
    import psutil

    names = {process.name().partition(":")[0]}
    with suppress(psutil.AccessDenied):
        names.add(Path(process.exe()).name)
        if _EDITOR_SERVER.search(process.exe()):
            return None
    if names & _OF_PEOPLE:
        return None
    with suppress(psutil.AccessDenied):
        listening = [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        if listening:
            return msg("it listens on port {port}", port=listening[0].laddr[1])
    # Backout's own session: the deploy script that called it, and what stands beside it in a pipe.
    if not _has_terminal(process) and os.getsid(process.pid) != os.getsid(0):
        return msg("it runs without a terminal")
    return None


def _has_terminal(process: psutil.Process) -> bool:
    # Hazard: psutil names terminals from a list that it makes once; one that was opened later is None.
    # Source: proc_pid_stat(5), man-pages 6.x: tty_nr is the fifth field behind the name in parentheses.
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return process.terminal() is not None
    return stat.rpartition(")")[2].split()[4] != "0"


def runs_command(command: Sequence[str], start: Sequence[str], layout: Layout, ref: str) -> bool:
    """Return whether a command line is the start command: itself, or its script under the script's interpreter."""
    words = [_template(word, layout) for word in command]
    for wanted in _forms(start):
        before = len(words) - len(wanted)
        if before < 0 or words[before + 1 :] != wanted[1:]:
            continue
        if _program(words[before]) != _program(wanted[0]):
            continue
        # `vim bin/start` ends with `bin/start` too, but vim is not what that script names.
        if before == 0 or _program(words[0]) in _interpreters(layout.release(ref), wanted[0]):
            return True
    return False


def _forms(start: Sequence[str]) -> Iterator[list[str]]:
    yield list(start)
    if len(start) == 3 and start[1] == "-c":
        with suppress(ValueError):
            words = shlex.split(start[2])
            if words[:1] == ["exec"] and len(words) > 1:
                yield words[1:]


def _template(word: str, layout: Layout) -> str:
    folder = rf"{re.escape(str(layout.root))}/(?:current|releases/[^/]+)(?=/|$)"
    return re.sub(f"^{folder}", "{release}", word)


def _program(word: str) -> str:
    name = Path(word).name
    return re.sub(r"[\d.]+$", "", name) or name


def _interpreters(release: Path, script: str) -> set[str]:
    path = release / script.replace("{release}", str(release))
    try:
        with path.open("rb") as file:
            line = file.readline(256).decode(errors="replace")
    except OSError:
        return set()
    return {_program(word) for word in line[2:].split()} if line.startswith("#!") else set()
