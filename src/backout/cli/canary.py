"""`backout canary …`: a release gets a share of the requests, in steps; and loses all of them by one command."""

from __future__ import annotations

from typing import Annotated

import typer

from backout.cli.common import (
    AcceptOption,
    ConfigOption,
    JsonOption,
    ReasonOption,
    err,
    guarded,
    open_backout,
    out,
    out_json,
    verb_group,
)
from backout.cli.outcome import show_outcome
from backout.cli.progress import Progress, stop_safely
from backout.errors import UsageError
from backout.message import msg

app = verb_group(
    "canary",
    "Give a release a share of the requests, in steps, and take all of them from it by one command.",
    example="backout canary status",
)


def _accepted(names: list[str] | None, known: str, words: str) -> tuple[str, ...]:
    """Return what is accepted; a slip would be asked for again without a word on it."""
    for name in names or ():
        if name != known:
            raise UsageError(
                msg("There is no risk {name} to accept here; known is {known}.", name=name, known=known),
                state=msg("Nothing was changed."),
                next_command=f"backout canary {words}   # where it has to be, it asks for --accept {known}",
            )
    return tuple(names or ())


@app.command("start")
@guarded
def start(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="The version, as recorded or as a side says it runs.")
    ],
    reason: ReasonOption = None,
    accept: AcceptOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a release that runs on a side the first share of the requests.

    Example: backout canary start 5.4.0
    """
    from backout.app.canary import BACKED_OUT
    from backout.app.run import Conduct

    accepted = _accepted(accept, BACKED_OUT, f"start {release}")
    with open_backout(config) as backout:
        conduct = Conduct(reason=reason, watch=Progress(dict(backout.parts.kinds)), interrupt=stop_safely())
        run = backout.canary_start(release, accepted, conduct)
    show_outcome(run, as_json=as_json)


@app.command("next")
@guarded
def next_(
    resume: Annotated[bool, typer.Option("--resume", help="End a pause first.")] = False,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give the canary the next share, from what the router says it has now; at 100 % the other side runs on.

    Example: backout canary next
    """
    from backout.app.run import Conduct

    with open_backout(config) as backout:
        conduct = Conduct(reason=reason, watch=Progress(dict(backout.parts.kinds)), interrupt=stop_safely())
        run = backout.canary_next(conduct, resume=resume)
    show_outcome(run, as_json=as_json)


@app.command("pause")
@guarded
def pause(reason: ReasonOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Keep the canary's share as it is: nothing gives it more until `backout canary next --resume`.

    Example: backout canary pause --reason "the p95 looks odd"
    """
    with open_backout(config) as backout:
        found = backout.canary_pause(reason)
    if as_json:
        out_json(found)
        return
    assert found.meant is not None
    out(
        str(
            msg(
                "The canary {version} is paused: its share stays, and nothing gives it more.",
                version=found.meant.version,
            )
        )
    )
    err("next   backout canary next --resume   # or: backout canary stop")


@app.command("stop")
@guarded
def stop(
    side: Annotated[
        str | None,
        typer.Option("--side", metavar="SIDE", help="The canary's side; else as journal or shares tell."),
    ] = None,
    reason: ReasonOption = None,
    accept: AcceptOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take all requests from the canary, at once: asks nobody, waits for no other run, needs the router alone.

    Example: backout canary stop --reason "orders are charged twice"
    """
    from backout import Backout

    with Backout.for_requests(config) as backout:
        found = backout.canary_stop(side, tuple(accept or ()), reason, lambda message: err(str(message)))
    if as_json:
        out_json(found)
        return
    out(
        str(
            msg(
                "Stopped: {side}{version} gets no request ({because}). {ended} ended.",
                side=found.side,
                version=f" with {found.version}" if found.version else "",
                because=str(found.because),
                ended="Whatever was inside was" if found.ended is None else f"{found.ended} connections were",
            )
        )
    )
    for run in found.closed:
        err(str(msg("Run {run} was under way and does not go on; if its process hangs, end it.", run=run)))
    if found.noted is not None:
        err(str(found.noted))
    err("next   backout canary status")


@app.command("retire")
@guarded
def retire(
    side: Annotated[str, typer.Argument(metavar="SIDE", help="A side that gets no requests.")],
    reason: ReasonOption = None,
    accept: AcceptOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a side that gets no requests, with all that acts on it, once it need not be kept for going back.

    Example: backout canary retire blue
    """
    from backout.app.run import Conduct
    from backout.app.warm import STILL_WARM

    accepted = _accepted(accept, STILL_WARM, f"retire {side}")
    with open_backout(config) as backout:
        conduct = Conduct(reason=reason, watch=Progress(dict(backout.parts.kinds)), interrupt=stop_safely())
        run = backout.canary_retire(side, accepted, conduct)
    show_outcome(run, as_json=as_json)


@app.command("status")
@guarded
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show how requests are divided, as the router says, what was meant, and what to type next.

    Example: backout canary status
    """
    from backout import Backout
    from backout.report.canary import canary_lines

    with Backout.for_requests(config) as backout:
        found = backout.canary_status()
    if as_json:
        out_json(found)
        return
    for line in canary_lines(found):
        out(line)
