"""Versions: which one runs, which one to go back to, and which of two is older."""

from __future__ import annotations

import difflib
import re

from backout.errors import NothingToGoBackTo, UnknownVersion
from backout.facts import Facts
from backout.message import msg
from backout.release import Release, ReleaseState

_NEAR = 0.6
"""How alike two versions must be (`difflib` ratio) to be taken for a slip of the keyboard."""
_NAMED = 3
"""How many releases a message names."""
_NUMBER = re.compile(r"\d+|[a-zA-Z]+")


def order_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts versions as people read them: numbers by value, pre-releases before the release.

    ``v5.10.0`` sorts after ``5.9.1``; ``5.4.0-rc1`` before ``5.4.0``; a leading ``v`` does not count.
    """
    core, _, build = version.lstrip("vV").partition("+")
    release, _, pre = core.partition("-")
    parts = [(1, int(p), "") if p.isdigit() else (0, 0, p) for p in _NUMBER.findall(release)]
    while parts and parts[-1] == (1, 0, ""):
        parts.pop()
    parts.append((0, 0, pre) if pre else (0, 1, ""))
    return (*parts, (0, 0, build))


def current_version(facts: Facts) -> str | None:
    """Return the version that the platform is told to run, or None if nothing is known to run.

    Where the platform cannot tell at all, the newest record is believed.
    """
    workload = facts.workload.value
    if workload is None:
        return None
    if workload.expected == 0:
        return next((r.version for r in facts.releases if r.source == "recorded"), None)
    artefact = workload.wanted or (workload.running[0] if workload.running else None)
    if artefact is None:
        return None
    for release in facts.releases:
        if release.artefact is not None and release.artefact.ref == artefact.ref:
            return release.version
    return artefact.called


def runs_alone(facts: Facts, version: str, ref: str) -> bool:
    """Return whether a version is what runs, and nothing else gets requests beside it, as a canary does."""
    workload = facts.workload.value
    return current_version(facts) == version and (
        workload is None or all(one.ref == ref for one in workload.running)
    )


def release_of(facts: Facts, version: str) -> Release | None:
    """Return the newest record of a version, or None."""
    return next((r for r in facts.releases if r.version == version), None)


def _of_artefact(facts: Facts, ref: str) -> Release | None:
    """Return the newest release of an artefact, by the platform's own name for it."""
    return next((r for r in facts.releases if r.artefact is not None and r.artefact.ref == ref), None)


def choose_target(facts: Facts, to: str | None) -> Release:
    """Return the release to go back to.

    Without a name: the current one, if it is good and came by a way back; else the newest release deployed before the current one, that the platform can still run,
    is not quarantined and not known to be bad; one that is known to be good comes before one that is not.

    Raises:
        UnknownVersion: A name that is no known release.
        NothingToGoBackTo: No release qualifies.
    """
    if to is not None:
        found = release_of(facts, to) or release_of(facts, to.lstrip("v")) or release_of(facts, f"v{to}")
        found = found or _of_artefact(facts, to)
        if found is None:
            raise unknown_version(facts, to)
        return found
    current = _brought_back(facts)
    if current is not None:
        return current
    candidates = _candidates(facts)
    good = [r for r in candidates if r.state is ReleaseState.GOOD]
    if good or candidates:
        return (good or candidates)[0]
    raise _nothing(facts)


def _brought_back(facts: Facts) -> Release | None:
    """Return the current release if it is good, and a newer one was backed out for it; else None.

    Whoever types `run` once more then means this way back: to go further, a version has to be named.
    """
    version = current_version(facts)
    record = release_of(facts, version) if version else None
    if record is None or record.state is not ReleaseState.GOOD:
        return None
    shut_out = {q.version for q in facts.quarantined}
    newer = (r for r in facts.releases if r.deployed_at > record.deployed_at)
    backed_out = any(r.version in shut_out or r.state is ReleaseState.BAD for r in newer)
    return record if backed_out else None


def _candidates(facts: Facts) -> list[Release]:
    """Return the earlier releases that nothing speaks against, newest first."""
    shut_out = {q.version for q in facts.quarantined}
    never = (ReleaseState.BAD, ReleaseState.FAILED, ReleaseState.DEPLOYING)
    return [r for r in _runnable_before(facts) if r.version not in shut_out and r.state not in never]


def _runnable_before(facts: Facts) -> list[Release]:
    """Return the earlier releases that the platform can still run, newest first."""
    current = current_version(facts)
    record = release_of(facts, current) if current else None
    available = {a.ref for a in facts.available.value or ()} if facts.available.known else None
    return [
        r
        for r in facts.releases
        if r.version != current
        and (record is None or r.deployed_at <= record.deployed_at)
        and (available is None or not available or (r.artefact is not None and r.artefact.ref in available))
    ]


def _nothing(facts: Facts) -> NothingToGoBackTo:
    """Return the error that names what was left out, why, and how it is named on purpose."""
    reasons = {q.version: (f"backed out: {q.reason}", " --accept quarantined") for q in facts.quarantined}
    left_out: dict[str, tuple[str, str]] = {}
    for r in _runnable_before(facts):
        accept = "" if r.state is ReleaseState.DEPLOYING else " --accept known-bad"
        left_out.setdefault(r.version, reasons.get(r.version, (f"on record as {r.state.value}", accept)))
    names = {"service": facts.service, "environment": facts.environment}
    state = msg("Nothing was changed.")
    if not left_out:
        what = msg("There is no earlier release of {service} in {environment} that could run.", **names)
        return NothingToGoBackTo(what, state=state, next_command="backout releases")
    what = msg(
        "Every earlier release of {service} in {environment} is left out, unless it is named on purpose: {left_out}.",
        **names,
        left_out=", ".join(f"{version} ({why})" for version, (why, _) in list(left_out.items())[:_NAMED]),
    )
    version, (_, accept) = next(iter(left_out.items()))
    return NothingToGoBackTo(what, state=state, next_command=f"backout plan --to {version}{accept}")


def unknown_version(facts: Facts, to: str, command: str = "backout plan --to") -> UnknownVersion:
    """Return the error for a version that is no known release: near ones, of those that could run, are suggested.

    Args:
        facts: What is known.
        to: What was typed.
        command: What a near version is put behind, to be typed next.
    """
    known = _runnable(facts)
    meant = [v for v in known if to and v.lstrip("v").startswith(to.lstrip("v"))]
    near = meant[:3] or difflib.get_close_matches(to, known, n=3, cutoff=_NEAR)
    if near:
        told = msg("Near: {near}.", near=", ".join(near))
    elif known:
        told = msg("None is near; the newest are {newest}.", newest=", ".join(known[:3]))
    else:
        told = msg("None is known at all.")
    return UnknownVersion(
        msg(
            "There is no release {version} of {service}. {told}",
            version=to,
            service=facts.service,
            told=str(told),
        ),
        state=msg("Nothing was changed."),
        next_command=f"{command} {near[0]}" if near else "backout releases",
    )


def _runnable(facts: Facts) -> list[str]:
    """Return the versions that somebody may have meant: what runs, and what could and may run; newest first."""
    current = current_version(facts)
    shut_out = {q.version for q in facts.quarantined}
    available = {a.ref for a in facts.available.value or ()}
    return list(
        dict.fromkeys(
            r.version
            for r in facts.releases
            if r.version == current
            or (
                r.version not in shut_out
                and r.state not in (ReleaseState.BAD, ReleaseState.FAILED)
                and (not available or (r.artefact.ref if r.artefact else r.version) in available)
            )
        )
    )
