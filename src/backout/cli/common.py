"""What every verb shares: its options, its errors, and where output goes.

Results go to stdout, everything else to stderr. A terminal that went away is no error: the journal has it all.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer
from pydantic import BaseModel

from backout.errors import BackoutError, ExitCode

if TYPE_CHECKING:
    from backout import Backout

P = ParamSpec("P")

WITHOUT_CONFIG = ("init", "demo")
"""Verbs that read no configuration."""


_NAMED: ContextVar[str | None] = ContextVar("named configuration", default=None)


def _or_before_verb(context: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    """Return what was given, after the verb or before it: `backout --config FILE run` means that file."""
    return value or context.find_root().params.get(str(param.name), value)


def _config(context: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    """Remember the configuration that was named, for the commands that are told."""
    value = _or_before_verb(context, param, value)
    _NAMED.set(str(value) if value else None)
    return value


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; else BACKOUT_CONFIG, else backout.yaml here or above.",
        callback=_config,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the result as JSON (docs/reference/json.md).", callback=_or_before_verb
    ),
]
MAX_ROWS = 1_000_000
"""The most rows that a list may be asked for."""
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for machines.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the journal and the report.")
]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="NAME", help="Accept a risk by its name; may be given several times."),
]
SETTINGS = {"help_option_names": ["-h", "--help"]}
"""What every command of the command line shares."""


def verb_group(name: str, about: str) -> typer.Typer:
    """Return the `app` of a verb that has verbs of its own: `@app.command("diff")` above `@guarded` adds one."""
    return typer.Typer(
        name=name,
        help=about,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings=SETTINGS,
    )


def open_backout(config: Path | None, *, look_only: bool = False) -> Backout:
    """Return Backout for the configuration that was named or found."""
    from backout import Backout

    return Backout.from_config(config, look_only=look_only)


def out(text: str = "") -> None:
    """Print a line of a result; commands in it can be typed as they stand."""
    _write(sys.stdout, typed(text) + "\n")


def err(text: str = "") -> None:
    """Print progress, questions and errors; commands in it can be typed as they stand."""
    _write(sys.stderr, typed(text) + "\n")


def out_document(text: str) -> None:
    """Print a whole document (JSON, a report, a runbook), exactly as it is."""
    _write(sys.stdout, text + "\n")


def out_json(document: BaseModel | dict[str, Any]) -> None:
    """Print a result as JSON."""
    value = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    out_document(json.dumps(value, indent=2, ensure_ascii=False))


def typed(text: str) -> str:
    """Return text whose `backout …` commands name the configuration that this command was given. Idempotent.

    Without it they would not work, or act on another environment, when they are typed.
    """
    config = _NAMED.get()
    if config is None:
        return text
    from backout.cli.main import VERBS

    verbs = "|".join(verb for verb in VERBS if verb not in WITHOUT_CONFIG)
    command = rf"(?<![\w/.-])backout(?= (?:{verbs})\b)|(?:^|(?<=&& )|(?<=next   ))backout(?=$|   #)"
    return re.sub(command, lambda _: f"backout --config {shlex.quote(config)}", text)


def leave(code: ExitCode) -> None:
    """End with an exit code."""
    raise typer.Exit(int(code))


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn errors into their message and exit code; show no traceback but for a bug in backout."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json", False))
        try:
            command(*args, **kwargs)
        except BackoutError as error:
            show_error(error, as_json=as_json)
            raise typer.Exit(int(error.exit_code)) from None
        except KeyboardInterrupt:
            err("Interrupted. What was begun is in the journal: backout status")
            raise typer.Exit(int(ExitCode.INTERRUPTED)) from None
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            _silence()
            raise typer.Exit(int(ExitCode.STOPPED)) from None
        except Exception as error:
            _show_bug(error)
            raise typer.Exit(int(ExitCode.BUG)) from None

    return wrapper


def show_error(error: BackoutError, *, as_json: bool) -> None:
    """Show what failed, the state now, and the next command."""
    if as_json:
        out_json(
            {
                "error": {
                    "code": error.code,
                    "exit_code": int(error.exit_code),
                    "what": str(error.what),
                    "state": str(error.state),
                    "next_command": typed(error.next_command),
                }
            }
        )
        return
    err(f"{style('error', 'red')}  {error.what}")
    err(f"{style('now', 'yellow')}    {error.state}")
    err(f"{style('next', 'green')}   {typed(error.next_command)}")


def style(text: str, color: str) -> str:
    """Colour a word on a terminal that wants colours."""
    if not sys.stderr.isatty() or "NO_COLOR" in os.environ:
        return text
    return typer.style(text, fg=color, bold=True)


def _show_bug(error: Exception) -> None:
    # No values of variables, and no text of the error: either could hold a secret. The places are enough to report it.
    err(f"This is a bug in backout ({type(error).__name__}). Please report it with these lines:")
    for frame in traceback.extract_tb(error.__traceback__)[-6:]:
        err(f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}")
    err("What was begun is in the journal: backout status")


def _write(stream: Any, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        _silence()


def _silence() -> None:
    """Send further output nowhere: the terminal, or the reader of the pipe, is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
            os.fstat(descriptor)
        except OSError:
            os.dup2(nowhere, descriptor)
