"""The verbs, put together. `backout` alone is the overview; a verb is imported when it is typed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from backout.cli import overview
from backout.cli.common import SETTINGS

VERBS = (
    "init",
    "doctor",
    "record",
    "releases",
    "plan",
    "run",
    "status",
    "resume",
    "abort",
    "verify",
    "watch",
    "history",
    "report",
    "hold",
    "release-hold",
    "canary",
    "backup",
    "data",
    "check",
    "migrate",
    "db",
    "demo",
)
"""In the order of a first day with the tool; each is the file of that name."""


class _Verbs(TyperGroup):
    """Imports only the verb that was typed: importing all of them costs more than most of them take."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs, for help and completion."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one verb's command, or None; a module that offers `app` has verbs of its own below it."""
        if cmd_name not in VERBS:
            return None
        module = import_module(f"backout.cli.{cmd_name.replace('-', '_')}")
        if hasattr(module, "app"):
            return typer.main.get_group(module.app)
        single = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
        single.command(cmd_name, context_settings=SETTINGS)(module.command)
        return typer.main.get_command(single)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb that was typed and the words behind it; of a slip of the keyboard say what was meant."""
        if args[0] not in VERBS:
            from difflib import get_close_matches

            if near := get_close_matches(args[0], VERBS):
                meant = ", ".join(repr(verb) for verb in near)
                ctx.fail(f"No such command {args[0]!r}. Did you mean {meant}?")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="backout",
    cls=_Verbs,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)
app.callback(invoke_without_command=True)(overview.command)
