"""What a person types at nginx to do the same as backout. Pure."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from backout.routers.nginx.included import HOLDS, LETS, Division, path_of, text, told
from backout.routers.nginx.options import NginxOptions


def writing(division: Division, options: NginxOptions, path: str) -> str:
    """Return the command that writes the file for a division; whether it holds stays as it is there."""
    lines = " ".join(map(shlex.quote, text(division, options).splitlines()))
    where = shlex.quote(path)
    held = f"held=$(grep -sohm1 -e {HOLDS} -e {LETS} {where} | head -n 1)"
    return f"{held}; printf '%s\\n' {lines} | sed \"s/{LETS}/${{held:-{LETS}}}/\" > {where}"


def holding(path: str, *, held: bool) -> str:
    """Return the command that has the file hold, or let through."""
    before, after = (LETS, HOLDS) if held else (HOLDS, LETS)
    return f"sed -i s/{before}/{after}/ {shlex.quote(path)}"


def loading(options: NginxOptions, words: str) -> tuple[str, str]:
    """Return the commands that have nginx read its configuration, and wait until it runs what these words say."""
    asking = (
        f'until curl -fsS http://{options.status}{path_of(options)} | grep -qF "{words}"; do sleep 0.2; done'
    )
    return f"{_nginx(options, '-t')} && {_nginx(options, '-s', 'reload')}", _within(options.timeout_s, asking)


def emptying(options: NginxOptions, pid_file: str) -> str:
    """Return the command that waits until no old worker is left."""
    children = f'pgrep -P "$(cat {shlex.quote(pid_file)})" -f "is shutting down" >/dev/null'
    return _within(options.drain_timeout_s, f"while {children}; do sleep 0.2; done")


def shifting(division: Division, options: NginxOptions, path: str) -> tuple[str, ...]:
    """Return the commands that divide requests so."""
    words = told(division, options).partition(f" {LETS}")[0]
    return (writing(division, options, path), *loading(options, f"{words} "))


def _nginx(options: NginxOptions, *words: str) -> str:
    return shlex.join((*options.command, *words))


def _within(seconds: float, command: str) -> str:
    return shlex.join(_words(seconds, command))


def _words(seconds: float, command: str) -> Sequence[str]:
    return ("timeout", str(math.ceil(seconds)), "sh", "-c", command)
