"""Whether the start command could work in a release, as far as that can be seen without starting anything."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from backout.launch import ask
from backout.message import Message, msg

_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})
_INTERPRETERS = _SHELLS | {"bun", "deno", "node", "perl", "php", "pypy", "python", "ruby", "ts-node", "tsx"}
_NO_SCRIPT = frozenset({"-c", "-e", "-m", "-p", "--eval", "--print"})
_SCRIPT = re.compile(r"/|\.(?:c?js|mjs|m?ts|py|pyz|rb|pl|php|sh|jar)$")
"""Only what looks like a file is taken for one: `node --import tsx server.js` has a value before its script."""
_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>", "&>"})
_EXPANDED = re.compile(r"\$(?:[A-Za-z_]|\{|\()|`|^~/")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_SYNTAX_TIMEOUT_S = 2.0


def mistakes_of_form(start: Sequence[str]) -> Iterator[Message]:
    """Yield what a shell would understand in these words: none is started, and each word is passed on as it is."""
    if _ASSIGNED.match(start[0]):
        yield msg(
            "{word} is no program: without a shell nothing sets a variable", word=start[0].partition("=")[0]
        )
    if _is_shell_text(start):
        return
    for word in start:
        if word in _SHELL_WORDS or _EXPANDED.search(word):
            yield msg("{word} is passed on as it is: only a shell would understand it", word=word)


def mistakes_in(release: Path, words: Sequence[str], env: Mapping[str, str]) -> Iterator[Message]:
    """Yield why the command could not start in a release; reads, and lets a shell parse, nothing else.

    Args:
        release: Folder that it would start in.
        words: The command, `{release}` filled in.
        env: The service's environment.
    """
    program, path = words[0], env.get("PATH")
    found = _executable(release, program, path)
    if found is None:
        yield msg("{program} is not found, or not executable", program=program)
        return
    yield from _mistakes_of_first_line(found, program, path)
    if _is_shell_text(words):
        answer = ask([str(found), "-n", "-c", words[2]], cwd=release, env=env, timeout_s=_SYNTAX_TIMEOUT_S)
        if answer.exit not in (0, None):
            yield msg("{shell} cannot read its text: {why}", shell=program, why=answer.trouble.strip())
        elif inner := _simple(words[2]):
            yield from mistakes_in(release, inner, env)
        return
    script = _script_of(words)
    if script is None:
        return
    file = release / script
    if not file.is_file():
        yield msg("{script}, which {program} is given, is not there", script=script, program=program)
    elif not os.access(file, os.R_OK):
        yield msg("{script}, which {program} is given, is not readable", script=script, program=program)


def _executable(release: Path, program: str, path: str | None) -> Path | None:
    if "/" not in program:
        found = shutil.which(program, path=path)
        return Path(found) if found else None
    here = release / program
    return here if here.is_file() and os.access(here, os.X_OK) else None


def _mistakes_of_first_line(file: Path, program: str, path: str | None) -> Iterator[Message]:
    try:
        with file.open("rb") as opened:
            first = opened.readline(256).decode(errors="replace")
    except OSError:
        return  # a program that may be executed and not read: no script
    if not first.startswith("#!"):
        return
    if first.endswith("\r\n"):
        yield msg("{program} has lines that end as on Windows: its interpreter is not found", program=program)
        return
    words = first[2:].split()
    if words and Path(words[0]).name == "env":
        wanted = next((w for w in words[1:] if not w.startswith("-") and "=" not in w), None)
        there = wanted is None or shutil.which(wanted, path=path) is not None
    else:
        wanted = words[0] if words else ""
        there = os.access(wanted, os.X_OK)
    if not there:
        yield msg("{program} needs {wanted}, which is not there", program=program, wanted=str(wanted))


def _is_shell_text(words: Sequence[str]) -> bool:
    return len(words) > 2 and words[1] == "-c" and _name(words[0]) in _SHELLS


def _simple(text: str) -> list[str]:
    """Return the words of a shell text that is one command; else nothing."""
    words: list[str] = []
    with suppress(ValueError):
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    if any(set(word) <= set("();<>|&") for word in words):
        return []
    while words and (words[0] == "exec" or _ASSIGNED.match(words[0])):
        words = words[1:]
    return [] if words and _EXPANDED.search(words[0]) else words


def _script_of(words: Sequence[str]) -> str | None:
    if _name(words[0]) == "java":
        return next((b for a, b in pairwise(words) if a == "-jar"), None)
    if _name(words[0]) not in _INTERPRETERS:
        return None
    for word in words[1:]:
        if word in _NO_SCRIPT:
            return None
        if not word.startswith("-"):
            return word if _SCRIPT.search(word) and not _EXPANDED.search(word) else None
    return None


def _name(program: str) -> str:
    name = Path(program).name
    return re.sub(r"[\d.]+$", "", name) or name
