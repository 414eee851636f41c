"""What every verb shares: its options, its errors, and where output goes.

Results go to stdout, everything else to stderr. A terminal that went away is no error: the journal has it all.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer
from pydantic import BaseModel

from backout.errors import BackoutError, ExitCode, NotPossible, UsageError
from backout.message import msg

if TYPE_CHECKING:
    from backout import Backout

P = ParamSpec("P")

WITHOUT_CONFIG = ("init", "demo", "db")
"""Verbs that read no configuration; of `db` none but `finalize` does, which is given it after its name."""


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


def verb_group(name: str, about: str, *, example: str) -> typer.Typer:
    """Return the `app` of a verb that has verbs of its own: `@app.command("diff")` above `@guarded` adds one."""
    return typer.Typer(
        name=name,
        help=f"{about}\n\nExample: {example}",
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
    _write(sys.stdout, _calm(typed(text)) + "\n")


def err(text: str = "") -> None:
    """Print progress, questions and errors; commands in it can be typed as they stand."""
    _write(sys.stderr, _calm(typed(text)) + "\n")


def out_document(text: str) -> None:
    """Print a whole document (JSON, a report, a runbook), exactly as it is."""
    _write(sys.stdout, text + "\n")


def out_json(document: BaseModel | dict[str, Any]) -> None:
    """Print a result as JSON."""
    value = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    # Where the stream cannot take every character, JSON has its own way to write them.
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    out_document(json.dumps(value, indent=2, ensure_ascii=not unicode))


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
            _refuse_unreadable(kwargs)
            command(*args, **kwargs)
            _tell_unwritten()
        except BackoutError as error:
            show_error(error, as_json=as_json)
            raise typer.Exit(int(error.exit_code)) from None
        except KeyboardInterrupt:
            err("Interrupted. What was begun is in the journal: backout status")
            raise typer.Exit(int(ExitCode.INTERRUPTED)) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:
            _silence(sys.stdout)
            _silence(sys.stderr)
            raise typer.Exit(int(ExitCode.STOPPED)) from None
        except Exception as error:
            _show_bug(error, as_json=as_json)
            raise typer.Exit(int(ExitCode.BUG)) from None

    return wrapper


def _refuse_unreadable(options: Mapping[str, object]) -> None:
    """Raise `UsageError` for a word that is no text: it could be neither compared, nor journalled, nor shown."""
    for name, value in options.items():
        for word in value if isinstance(value, list) else [value]:
            text = str(word)
            if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                raise UsageError(
                    msg(
                        "{name}: {word} is not valid UTF-8.",
                        name=name.strip("_").replace("_", "-"),
                        word=ascii(text),
                    ),
                    state=msg("Nothing was changed."),
                    next_command="locale   # a UTF-8 one is needed for letters that are not ASCII",
                )


def _tell_unwritten() -> None:
    """Leave if the result did not reach who asked for it: what nobody could read is no success."""
    if reason := unwritten():
        error = NotPossible(
            msg("The result could not be written: {reason}.", reason=reason),
            state=msg("What the command did is done; only what it had to say is lost."),
            next_command="df -h; backout status",
        )
        show_error(error, as_json=False)
        leave(error.exit_code)


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


def _show_bug(error: Exception, *, as_json: bool) -> None:
    # No values of variables, and no text of the error: either could hold a secret. The places are enough to report it.
    what = msg(
        "This is a bug in backout ({kind}). Please report it with these lines:", kind=type(error).__name__
    )
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
    if as_json:
        out_json(
            {
                "error": {
                    "code": "bug",
                    "exit_code": int(ExitCode.BUG),
                    "what": " ".join([str(what), "; ".join(places)]),
                    "state": "What was begun is in the journal.",
                    "next_command": "backout status",
                }
            }
        )
        return
    err(str(what))
    for place in places:
        err(f"  {place}")
    err("What was begun is in the journal: backout status")


_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""The reader, or the terminal, went away: nobody waits for the rest."""
_lost: list[str] = []


def unwritten() -> str | None:
    """Return why the result could not be written, once; None if it was, or if nobody reads it any more."""
    return _lost.pop() if _lost else None


_COLOUR = r"\x1b\[[0-9;]*m"
_STEERS = re.compile(f"({_COLOUR})|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _calm(text: str) -> str:
    """Return the text without what steers a terminal but for colours: a subject or a script's output may hold anything."""
    return _STEERS.sub(lambda found: found[1] or "\ufffd", text)


def _write(stream: Any, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:
        if stream is sys.stdout and isinstance(error, OSError) and error.errno not in _GONE and not _lost:
            _lost.append(error.strerror or type(error).__name__)
        _silence(stream)


def _silence(stream: Any) -> None:
    """Send what a stream still gets nowhere: whoever read it is gone, or it takes no more."""
    with suppress(OSError, ValueError):  # It has no descriptor, or is closed: then it goes nowhere already.
        os.dup2(nowhere := os.open(os.devnull, os.O_WRONLY), stream.fileno())
        os.close(nowhere)
