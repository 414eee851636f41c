"""`backout watch`: look after a release, and say what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import (
    ConfigOption,
    JsonOption,
    ReasonOption,
    err,
    guarded,
    leave,
    open_backout,
    out,
    out_json,
    style,
)
from backout.errors import ExitCode, UsageError
from backout.message import msg

if TYPE_CHECKING:
    from backout.app.watch import Seen
    from backout.guard import Verdict

_MOST_S = 7 * 86_400.0


@guarded
def command(
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            metavar="VERSION",
            help="Which release; else the canary, or what was recorded after it began.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="SECONDS",
            min=0,
            max=_MOST_S,
            help="Go on for so long; else until the release is guard.automatic_within_s old.",
        ),
    ] = None,
    pause: Annotated[
        bool, typer.Option("--pause", help="Let no guard of this environment act, until --resume.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Let guards act again, and releases go on that were frozen.")
    ] = False,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look after a release until it is surely harmful, or the time is over, and say what was seen.

    Exit codes: 0 it is fine, 9 it cannot be told yet, 4 it does harm and a person has to decide, 8 it does harm and its way back
    would too, 6 it did harm and was backed out.

    Example: backout watch --release 5.5.0
    """
    from backout.app.watch import Watching
    from backout.cli.progress import stop_safely

    if pause and resume:
        raise UsageError(
            msg("--pause and --resume at once."),
            state=msg("Nothing was changed."),
            next_command="backout watch --pause",
        )
    with open_backout(config) as backout:
        if pause or resume:
            backout.pause_watch(reason) if pause else backout.resume_watch(reason)
            _tell_switched(paused=pause, as_json=as_json)
            return
        said: list[str] = []

        def tell(seen: Seen) -> None:
            text = _line(seen)
            if said[-1:] != [text] and not as_json:
                err(f"{seen.at:%H:%M:%S}  {text}")
            said[:] = [text]

        seen = backout.watch(
            Watching(release=release, once=once, for_s=for_s, tell=tell, interrupt=stop_safely())
        )
    if as_json:
        out_json(seen)
    else:
        _show(seen)
    if (code := _exit_code(seen)) is not ExitCode.DONE:
        leave(code)


def _tell_switched(*, paused: bool, as_json: bool) -> None:
    if as_json:
        out_json({"paused": paused})
        return
    if paused:
        out(
            "Guards of this environment look on, and do nothing. To let them act again: backout watch --resume"
        )
    else:
        out("Guards of this environment act again, and no release is frozen.")


def _line(seen: Seen) -> str:
    verdict = seen.verdict
    why = "; ".join(str(one) for one in verdict.reasons)
    return f"{seen.release}: {verdict.say.value}{f' ({why})' if why else ''}"


_TONES = {"continue": "green", "back out": "red", "cannot tell yet": "yellow"}


def _show(seen: Seen) -> None:
    verdict = seen.verdict
    out(f"{seen.release}: {style(verdict.say.value, _TONES[verdict.say.value])}")
    evidence = (finding.evidence for finding in verdict.findings)
    # What decided stands first, and each sentence once.
    for line in dict.fromkeys(map(str, (*verdict.reasons, *evidence, *verdict.notes, *seen.notes))):
        out(f"  {line}")
    if verdict.needed is not None:
        out(f"  {_needed(verdict)}")
    for one in seen.decision.reasons:
        out(f"  {one}")
    if seen.taken_back is not None:
        out(f"  {seen.taken_back}")
        if seen.exit_code:
            out(f"  What runs now is not proven to be well: the run ended with exit code {seen.exit_code}.")
    if seen.next_command is not None:
        out(f"next   {seen.next_command}")


def _needed(verdict: Verdict) -> str:
    needed = verdict.needed
    assert needed is not None
    if needed.requests is None:
        return f"more requests do not help: {needed.assuming}"
    within = f", about {verdict.within_s:.0f} s at this pace" if verdict.within_s is not None else ""
    return f"{needed.requests} more requests are needed{within}, assuming {needed.assuming}"


def _exit_code(seen: Seen) -> ExitCode:
    from backout.guard import Say
    from backout.guard.action import Act

    if seen.verdict.say is Say.CONTINUE:
        return ExitCode.DONE
    if seen.verdict.say is Say.CANNOT_TELL:
        return ExitCode.INCONCLUSIVE
    if seen.taken_back is not None:
        return ExitCode.PROOF_FAILED
    return ExitCode.REFUSED if seen.decision.act is Act.FREEZE else ExitCode.NEEDS_APPROVAL
