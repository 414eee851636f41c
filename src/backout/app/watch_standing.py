"""What has to be known before the guard acts: whether the way back loses nothing, and what a person said."""

from __future__ import annotations

from backout.app.back import brought_back
from backout.app.parts import Parts
from backout.app.plan import plan
from backout.app.run import check_free
from backout.app.watch_marks import acted, frozen, paused
from backout.assess.model import Request
from backout.errors import BackoutError, Refused, RunInProgress
from backout.guard.action import Standing
from backout.message import Message, msg
from backout.plan.model import Plan, Verdict
from backout.plan.refusal import refusal
from backout.release import Release


def standing(
    parts: Parts, release: Release, *, canary: bool, stale: Message | None = None
) -> tuple[Standing, Plan | None, str | None]:
    """Return what stands for and against acting, the plan of the way back, and what to type first where something is in its way.

    Args:
        parts: The service.
        release: That is watched.
        canary: Others serve beside it, on the schema as it is: its way back is that it gets no more requests, and loses nothing.
        stale: Why the harm that was found may be over, or another release's.
    """
    now = parts.clock.now()
    unsafe: Message | None = None
    unknown: Message | None = None
    made, first = None, None
    if not canary:
        try:
            unsafe, unknown, made = _way_back(parts, release)
        except BackoutError as error:
            unknown, first = error.what, error.next_command
    try:
        check_free(parts)
    except RunInProgress as error:
        unknown, first = error.what, error.next_command
    back = brought_back(parts, release.version).at
    stands = Standing(
        automatic=parts.guard.action == "automatic",
        paused=paused(parts),
        age_s=(now - release.deployed_at).total_seconds(),
        within_s=parts.guard.automatic_within_s,
        last_automatic_at=acted(parts),
        came_by_way_back=back is not None and back > release.deployed_at,
        unsafe=unsafe,
        unknown=unknown,
        stale=stale,
        frozen=frozen(parts),
    )
    return stands, made, first


def _way_back(parts: Parts, release: Release) -> tuple[Message | None, Message | None, Plan | None]:
    """Return why the way back is none that loses nothing, why that is not known, and the plan; raises what keeps it from being known."""
    try:
        made = plan(parts, Request())
    except Refused as error:
        return error.what, None, None
    if made.from_version != release.version:
        other = msg(
            "{version} runs, and not {release}.", version=str(made.from_version), release=release.version
        )
        return None, other, None
    stops = refusal(made, parts.clock.now())
    if stops is not None:
        return stops.what, None, made
    if made.losses or made.data is not None or made.verdict is not Verdict.REVERSIBLE:
        why = made.losses[0] if made.losses else made.why
        return msg("The way back is not one that loses nothing: {why}", why=str(why)), None, made
    return None, None, made
