"""Rules about who else changes what the platform is told to run."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import Message, msg
from backout.observed import Answer, Owner
from backout.plan.model import Finding, Scenario, Severity


def would_undo(case: Case) -> Iterator[Finding]:
    """Something applies its own state again, and cannot be paused by the plan: it would undo the way back."""
    for owner in _owners(case):
        if owner.reverts is Answer.NO or owner.pausable:
            continue
        sure = owner.reverts is Answer.YES
        yield Finding(
            rule="owner.would-undo",
            severity=Severity.BLOCKS if sure else Severity.NEEDS_APPROVAL,
            evidence=msg(
                "{evidence}. It would undo the way back, or may."
                if not sure
                else "{evidence}. It would undo the way back.",
                evidence=str(owner.evidence),
            ),
            remedy=_remedy(case, owner),
            accept=f"automation:{owner.name}",
            command=owner.stop or (_revert(case, owner) if sure else None),
        )


def paused_first(case: Case) -> Iterator[Finding]:
    """Something would undo the way back; the plan pauses it first, and it stays so until a person lets it go on."""
    for owner in _owners(case):
        if owner.reverts is not Answer.NO and owner.pausable:
            yield Finding(
                rule="owner.paused-first",
                severity=Severity.INFO,
                evidence=msg(
                    "{evidence}. The plan pauses it first, and it stays paused: {remedy}",
                    evidence=str(owner.evidence),
                    remedy=str(_in_git(case, owner)),
                ),
            )


def owned(case: Case) -> Iterator[Finding]:
    """Something else deploys this too, and does not undo the way back by itself."""
    for owner in _owners(case):
        if owner.reverts is Answer.NO:
            yield Finding(
                rule="owner.named",
                severity=Severity.INFO,
                evidence=msg("{evidence}.", evidence=str(owner.evidence)),
            )


def _owners(case: Case) -> tuple[Owner, ...]:
    """Return the owners, where the code is changed at all."""
    workload = case.facts.workload.value
    if workload is None or case.runs_already or case.request.scenario is Scenario.DATA:
        return ()
    return workload.owners


def _remedy(case: Case, owner: Owner) -> Message:
    return msg(
        "{git} Or stop it first: {stop}. Or name the risk: --accept {accept}.",
        git=str(_in_git(case, owner)),
        stop=str(owner.stop or msg("declare in platform.automation how {name} is paused", name=owner.name)),
        accept=f"automation:{owner.name}",
    )


def _in_git(case: Case, owner: Owner) -> Message:
    """Return the way back where the automation takes its state from."""
    revert, commits = _revert(case, owner), _commits(case, owner)
    if revert is None:
        return msg(
            "Take {version} back in the repository that it deploys from: git revert COMMIT && git push; "
            "then backout verify proves it.",
            version=case.current_version or "what runs",
        )
    new, old = commits
    return msg(
        "Take it back in git, on {branch}: {command} (git diff {new} {old} shows it); then backout verify proves it.",
        branch=owner.branch or "the branch that it deploys from",
        command=revert,
        new=new,
        old=old or f"{new}~1",
    )


def _commits(case: Case, owner: Owner) -> tuple[str | None, str | None]:
    """Return the commit that runs and the one to go back to: as the automation says, else as the records do."""
    if owner.commit is not None:
        return owner.commit, owner.before
    new = case.current.commit if case.current is not None else None
    return new, case.target.commit if new is not None and case.target.commit != new else None


def _revert(case: Case, owner: Owner) -> str | None:
    new, old = _commits(case, owner)
    if new is None:
        return None
    what = f"{old}..{new}" if old is not None else new
    return f"git revert --no-edit {what} && git push"


RULES = (would_undo, paused_first, owned)
