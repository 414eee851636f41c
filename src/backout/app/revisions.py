"""What git says of the way back: the commit that the target is built from, and what lies between."""

from __future__ import annotations

import re
from datetime import datetime

from backout.app.deadline import Question
from backout.app.parts import Parts
from backout.assess.versions import current_version, release_of
from backout.errors import BackoutError
from backout.facts import Facts
from backout.git.between import between
from backout.git.repository import Repository
from backout.message import msg
from backout.observed import Observed
from backout.platforms.abilities import BuildsReleases
from backout.release import Release
from backout.revision import Between

_SOURCE_S, _BETWEEN_S = 8.0, 2.0
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def with_source(parts: Parts, facts: Facts, target: Release) -> Facts:
    """Return the facts with how the target would be brought, and the way forward again.

    Raises:
        NothingToGoBackTo: The target can neither be brought nor built.
        TargetUnreachable: Git did not answer.
    """
    platform, workload = parts.platform, facts.workload.value
    if workload is None or not isinstance(platform, BuildsReleases) or not platform.builds:
        return facts
    current = current_version(facts)
    if current == target.version:
        return facts
    source = platform.find_source(target, _SOURCE_S)
    workload = platform.with_source(workload, target, source)
    runs = release_of(facts, current) if current is not None else None
    if runs is not None:
        try:
            forward = platform.find_source(runs, _SOURCE_S)
        except BackoutError:
            forward = (
                None  # The way forward is then its artefact, as if nobody had asked; the step looks again.
            )
        workload = platform.with_source(workload, runs, forward)
    seen = facts.workload.model_copy(update={"value": workload})
    return facts.model_copy(update={"workload": seen, "source": source})


def with_between(parts: Parts, facts: Facts, target: Release) -> Facts:
    """Return the facts with what lies between what runs and the target; an emergency does without."""
    current = current_version(facts)
    if parts.emergency or current is None or current == target.version:
        return facts
    repository = Repository(parts.site.directory, _BETWEEN_S, parts.site.environ)
    if not repository.there:
        return facts
    runs = release_of(facts, current)
    source = runs.commit if runs is not None else None
    goal = target.commit or (facts.source.commit if facts.source is not None else None)
    unknown = next((v for v, commit in ((current, source), (target.version, goal)) if commit is None), None)
    now = parts.clock.now()
    if unknown is not None or source is None or goal is None:
        reason = msg("neither a record nor a tag says of which commit {version} is", version=str(unknown))
        return facts.model_copy(
            update={"between": Observed[Between](unknown=reason, source="git", observed_at=now)}
        )
    asked = Question("git", lambda: _between(repository, (current, source), (target.version, goal)))
    return facts.model_copy(update={"between": asked.answer(Between, _BETWEEN_S, now)})


def release_of_commit(parts: Parts, facts: Facts, name: str | None) -> Release | None:
    """Return the release of a commit that was named instead of a version: a known one, or one that can be built.

    None: it is no commit's name, or the platform cannot build.
    """
    if name is None or not _COMMIT.fullmatch(name):
        return None
    known = next((r for r in facts.releases if r.commit is not None and r.commit.startswith(name)), None)
    if known is not None or not isinstance(parts.platform, BuildsReleases) or not parts.platform.builds:
        return known
    repository = Repository(parts.site.directory, _SOURCE_S, parts.site.environ)
    commit = repository.commit(name)
    if commit is None:
        raise repository.missing(name, name)
    date, _, subject = (
        repository.text("show", "--no-patch", "--format=%cI%x09%s", commit).strip().partition("\t")
    )
    return Release(
        id=f"commit-{commit}",
        service=facts.service,
        environment=facts.environment,
        version=commit,
        commit=commit,
        subject=subject,
        deployed_at=datetime.fromisoformat(date),
        source="found",
    )


def _between(repository: Repository, runs: tuple[str, str], target: tuple[str, str]) -> Between:
    found = []
    for version, name in (runs, target):
        commit = repository.commit_of(name.lower())
        if commit is None:
            raise repository.missing(version, name)
        found.append(commit)
    return between(repository, *found)
