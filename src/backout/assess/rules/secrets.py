"""Rules about secrets that are others now than the target had."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import msg
from backout.plan.model import Finding, Severity


def changed(case: Case) -> Iterator[Finding]:
    """A secret was changed since the target ran: it stays as it is now."""
    for secret in case.facts.secrets:
        if secret.how == "changed":
            yield Finding(
                rule="secret.changed",
                severity=Severity.WARNS,
                evidence=msg(
                    "Secret {name} was changed since {version} was recorded; it stays as it is now.",
                    name=secret.name,
                    version=case.target.version,
                ),
                remedy=msg(
                    "A password that was rotated is right like that; a key that came with the release is not."
                ),
            )


def restored(case: Case) -> Iterator[Finding]:
    """A secret comes back as it was: a password in it that was rotated since is the old one then."""
    for secret in case.facts.secrets:
        if secret.how == "restored":
            yield Finding(
                rule="secret.restored",
                severity=Severity.WARNS,
                evidence=msg(
                    "Secret {name} was changed since; {version} gets it as it was then, by a kept copy.",
                    name=secret.name,
                    version=case.target.version,
                ),
                remedy=msg(
                    "If it holds a password that was rotated, take it out of the list of kept ones first."
                ),
            )


def owned(case: Case) -> Iterator[Finding]:
    """A secret that is to be restored is written by something else: that is left to it."""
    for secret in case.facts.secrets:
        if secret.how == "owned":
            yield Finding(
                rule="secret.owned",
                severity=Severity.WARNS,
                evidence=msg(
                    "Secret {name} was changed since, and is not restored: {owner} writes it.",
                    name=secret.name,
                    owner=secret.owner or "a controller",
                ),
                remedy=msg(
                    "If {version} needs the earlier one, take it back where it comes from.",
                    version=case.target.version,
                ),
            )


def unknown(case: Case) -> Iterator[Finding]:
    """Whether a secret was changed cannot be told."""
    for secret in case.facts.secrets:
        if secret.how == "unknown":
            yield Finding(
                rule="secret.unknown",
                severity=Severity.WARNS,
                evidence=msg(
                    "Whether secret {name} is what {version} had cannot be told; it stays as it is now.",
                    name=secret.name,
                    version=case.target.version,
                ),
                remedy=msg(
                    "backout doctor says what is missing; a release that is recorded from now on is told."
                ),
            )


RULES = (changed, restored, owned, unknown)
