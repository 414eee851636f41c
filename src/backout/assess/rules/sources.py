"""Rules about a release that is built anew from git because its artefact is not known to be there."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import msg
from backout.plan.model import Finding, Severity


def built_anew(case: Case) -> Iterator[Finding]:
    """Which of the two ways is gone, and why: a build is not the artefact that served well."""
    source = case.facts.source
    if source is None:
        return
    version = case.target.version
    if source.commit is None:
        yield Finding(
            rule="source.artefact",
            severity=Severity.INFO,
            evidence=msg("{version} is brought as it was: {why}.", version=version, why=str(source.why)),
        )
        return
    yield Finding(
        rule="source.built-anew",
        severity=Severity.WARNS,
        evidence=msg("{version} is built anew from commit {commit}: {why}.",
                     version=version, commit=source.commit[:12], why=str(source.why)),
        remedy=msg("What is built now is not proven to be what served then: the checks at the end tell."),
    )  # fmt: skip


def tag_moved(case: Case) -> Iterator[Finding]:
    """The tag of the version points elsewhere than its record."""
    source = case.facts.source
    if source is not None and source.commit is not None and source.tag_at is not None:
        yield Finding(
            rule="source.tag-moved",
            severity=Severity.WARNS,
            evidence=msg("The tag of {version} points to {tag} now; its record says {commit}, and that is built.",
                         version=case.target.version, tag=source.tag_at[:12], commit=source.commit[:12]),
            remedy=msg("If the tag is right, name its commit: --to {tag}", tag=source.tag_at),
        )  # fmt: skip


def only_here(case: Case) -> Iterator[Finding]:
    """No branch that was fetched has the commit."""
    source = case.facts.source
    if source is not None and source.commit is not None and source.only_here:
        yield Finding(
            rule="source.only-here",
            severity=Severity.WARNS,
            evidence=msg("No branch of a remote repository has {commit}: it may be on this machine alone.",
                         commit=source.commit[:12]),
        )  # fmt: skip


def not_whole(case: Case) -> Iterator[Finding]:
    """What git does not bring into a worktree by itself."""
    source = case.facts.source
    if source is None or source.commit is None:
        return
    if source.submodules:
        yield Finding(
            rule="source.submodules",
            severity=Severity.WARNS,
            evidence=msg(
                "{commit} has submodules, and they are empty in the worktree.", commit=source.commit[:12]
            ),
            remedy=msg("Let platform.rebuild begin with: git submodule update --init --recursive"),
        )
    if source.lfs:
        yield Finding(
            rule="source.lfs",
            severity=Severity.WARNS,
            evidence=msg("{commit} keeps files in Git LFS: without git-lfs, or its server, the worktree has pointers "
                         "in their place.", commit=source.commit[:12]),
            remedy=msg("Let platform.rebuild begin with: git lfs pull"),
        )  # fmt: skip


RULES = (built_anew, tag_moved, only_here, not_whole)
