"""`backout record`: note a release when it is deployed."""

from __future__ import annotations

from typing import Annotated

import typer

from backout.cli.common import (
    AcceptOption,
    ConfigOption,
    JsonOption,
    err,
    guarded,
    leave,
    open_backout,
    out,
    out_json,
)
from backout.errors import ExitCode
from backout.release import ReleaseState


@guarded
def command(
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="The version; else what the platform runs."),
    ] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", metavar="SHA", help="Its commit; else the git tag of that name.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="TEXT", help="What it brings; else the tag's subject.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who deployed it; else you.")] = None,
    state: Annotated[
        ReleaseState | None,
        typer.Option(
            "--state", help="What the deploy script knows (deploying, failed); else the checks decide."
        ),
    ] = None,
    checks: Annotated[
        bool,
        typer.Option(
            "--checks/--no-checks",
            help="Whether to run the checks, so that the record says if it serves well.",
        ),
    ] = True,
    accept: AcceptOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Note the release that was just deployed, on which schema, and whether it serves well.

    Waits until the service is ready before the checks decide. A proof that needs more: backout verify goes on.

    Example: backout record    (as the last line of your deploy script)
    """
    from backout.app.record import Recording
    from backout.checks.base import Outcome

    told = Recording(
        version=version,
        commit=commit,
        subject=subject,
        by=by,
        state=state,
        checks=checks,
        accept=tuple(accept or ()),
    )
    with open_backout(config) as backout:
        recorded = backout.record(told, lambda message: err(str(message)))
    release, found = recorded.release, recorded.verification
    if as_json:
        out_json(recorded)
    else:
        out(f"recorded {release.version} as {release.state.value}")
    if recorded.canary is not None:
        err(f"  not judged: the canary {recorded.canary} shares the requests: the checks would meet both")
        err("next   backout canary status")
        leave(ExitCode.INCONCLUSIVE)
    if recorded.held:
        err(f"  not judged: the checks would meet the hold ({', '.join(recorded.held)})")
        err("next   backout release-hold   # then: backout verify")
        leave(ExitCode.INCONCLUSIVE)
    if found is None or found.outcome is Outcome.PASS:
        return
    for result in found.results:
        if result.outcome is not Outcome.PASS:
            more = f". {result.more}" if result.more else ""
            err(f"  {result.outcome.value}: {result.name}: {result.evidence}{more}")
    if found.outcome is Outcome.FAIL:
        err("next   backout   # the checks fail: is going back safe?")
        leave(ExitCode.PROOF_FAILED)
    err("next   backout verify   # goes on with the proof; once it passes, the record says good")
    leave(ExitCode.INCONCLUSIVE)
