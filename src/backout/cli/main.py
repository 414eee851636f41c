"""The verbs, put together. `backout` alone is the overview."""

from __future__ import annotations

import typer

from backout.cli import (
    abort,
    demo,
    doctor,
    history,
    hold,
    init,
    overview,
    plan,
    record,
    release_hold,
    releases,
    report,
    resume,
    run,
    status,
    verify,
)

app = typer.Typer(
    name="backout",
    help="Take a production release back, code and database together.",
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.callback(invoke_without_command=True)(overview.command)
for name, module in (
    ("init", init),
    ("doctor", doctor),
    ("record", record),
    ("releases", releases),
    ("plan", plan),
    ("run", run),
    ("status", status),
    ("resume", resume),
    ("abort", abort),
    ("verify", verify),
    ("history", history),
    ("report", report),
    ("hold", hold),
    ("release-hold", release_hold),
    ("demo", demo),
):
    app.command(name)(module.command)
