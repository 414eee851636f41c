"""How a release is brought: by its recorded artefact while that is there, else built anew from git."""

from __future__ import annotations

import shlex

from backout.document import Json
from backout.errors import NothingToGoBackTo, TargetUnreachable
from backout.git.repository import Repository
from backout.git.source import source_of
from backout.message import Message, msg
from backout.observed import Answer, Workload
from backout.platforms.command.options import filled
from backout.platforms.command.scripts import Scripts
from backout.release import Release
from backout.revision import Source

BUILT = "built_from"
"""In a workload's detail: the commit that a release is built from, by its ref."""
_NO_ANSWER = 126
"""From this exit status on a shell says that what it was told to do could not be started, or was killed."""


def find_source(scripts: Scripts, release: Release, deadline_s: float) -> Source | None:
    """Return how a release would be brought; None: there is one way only.

    Raises:
        NothingToGoBackTo: Its artefact is not known to be there, and git has not its commit.
        TargetUnreachable: Git did not answer.
    """
    if scripts.options.rebuild is None:
        return None
    there, why = artefact_there(scripts, ref_of(release), deadline_s)
    if there is Answer.YES:
        return Source(why=why)
    try:
        return source_of(Repository(scripts.cwd, deadline_s), release.version, release.commit, why)
    except (NothingToGoBackTo, TargetUnreachable) as error:
        what = msg("{version} cannot be brought: {why}. {git}",
                   version=release.version, why=str(why), git=str(error.what))  # fmt: skip
        raise type(error)(what, state=error.state, next_command=error.next_command) from error


def artefact_there(scripts: Scripts, ref: str, deadline_s: float | None = None) -> tuple[Answer, Message]:
    """Ask whether the artefact of a release is there, and return what says so; unknown is not yes."""
    assert scripts.options.artefact is not None
    command = filled(scripts.options.artefact, ref)
    answer, line = scripts.asked(tuple(command), deadline_s), scripts.site.redactor.text(shlex.join(command))
    if answer.exit == 0:
        return Answer.YES, msg("its artefact is there ({command})", command=line)
    why = scripts.trouble(answer)
    if answer.exit is None or answer.exit < 0 or answer.exit >= _NO_ANSWER:
        return Answer.UNKNOWN, msg(
            "whether its artefact is there is not known ({command}: {why})", command=line, why=why
        )
    return Answer.NO, msg("its artefact is gone ({command}: {why})", command=line, why=why)


def with_source(workload: Workload, release: Release, source: Source | None) -> Workload:
    """Return the workload with what `switch` has to know of how a release is brought."""
    built = workload.detail.get(BUILT)
    known: dict[str, Json] = {**built} if isinstance(built, dict) else {}
    if source is None or source.commit is None:
        return workload
    detail: dict[str, Json] = {**workload.detail, BUILT: {**known, ref_of(release): source.commit}}
    return workload.model_copy(update={"detail": detail})


def built_from(workload: Workload, ref: str) -> str | None:
    """Return the commit that a release is built from; None: its artefact is deployed."""
    built = workload.detail.get(BUILT)
    commit = built.get(ref) if isinstance(built, dict) else None
    return str(commit) if commit is not None else None


def ref_of(release: Release) -> str:
    """Return what the scripts call a release."""
    return release.artefact.ref if release.artefact is not None else release.version
