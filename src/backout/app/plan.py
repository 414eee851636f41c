"""Planning: observe, assess, plan."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backout.app.canary_now import control_of, sharing
from backout.app.elsewhere import look_elsewhere
from backout.app.named import named_release
from backout.app.observe import observe
from backout.app.parts import Parts
from backout.app.revisions import with_between, with_source
from backout.app.undoing import with_migrations, with_waiting
from backout.app.written import write_file
from backout.assess.assess import assess
from backout.assess.model import Request
from backout.assess.versions import choose_target, current_version
from backout.checks.base import note
from backout.document import Document, canonical_json
from backout.errors import NothingToGoBackTo, PlanExpired, UsageError
from backout.facts import Facts
from backout.ids import new_id
from backout.message import msg
from backout.observed import Workload
from backout.plan.assembly import RestoreTerms, Terms
from backout.plan.back import plan_back
from backout.plan.model import Plan, Scenario, StepSpec
from backout.plan.refusal import words_of
from backout.platforms.abilities import (
    ActsElsewhere,
    KeepsOne,
    KnowsSecrets,
    LeavesRunning,
    LeftRunning,
    LosesEvidence,
    Restarts,
)
from backout.release import Artefact, Release


class PlanFile(Document):
    """A plan as it is written to a file, with the digest that was looked at."""

    digest: str
    plan: Plan


def plan(parts: Parts, request: Request) -> Plan:
    """Return a plan for what was asked; `plan.refusal` says whether it may run.

    Raises:
        UnknownVersion, NothingToGoBackTo, CannotAssess, NeedsAcceptance, NotPossible: docs/reference/errors.md.
    """
    look_elsewhere(parts)
    facts = observe(
        parts, versions=(request.to,) if request.to else (), data=_wants_data(request), tables=request.tables
    )
    return plan_from(parts, facts, request)


def _wants_data(request: Request) -> bool:
    return request.scenario in (Scenario.DATA, Scenario.FULL)


def plan_from(parts: Parts, facts: Facts, request: Request) -> Plan:
    """Return a plan for what was asked, from facts already observed.

    While a canary shares the requests, the way back is the one to what has the others.
    """
    canary = sharing(parts, facts) if request.to is None else None
    if canary is not None:
        request = request.model_copy(update={"to": control_of(parts, facts, canary)})
    target = _stays(facts, request)
    if target is None:
        facts, target = named_release(parts, facts, request.to)
    facts = with_source(parts, facts, target)
    facts = with_between(parts, facts, target)
    artefact = _artefact(parts, facts, target)
    facts = with_waiting(parts, _with_secrets(parts, facts, artefact))
    facts = with_migrations(parts, facts, target, request)
    found = assess(facts, request, parts.allowed, target, artefact, parts.clock.now())
    workload = facts.workload.value
    assert workload is not None  # `assess` raised otherwise.
    # The guard compares the content once, before anything is held; the switch goes by name.
    to = Artefact(ref=artefact.ref)
    switch: tuple[StepSpec, ...] = ()
    restart: tuple[StepSpec, ...] = ()
    if _wants_data(request) and isinstance(parts.platform, Restarts):
        restart = parts.platform.restart(to, target.version)
    if request.scenario is not Scenario.DATA:
        switch = parts.platform.switch(
            workload, to, from_version=found.current_version, to_version=target.version
        )
        if request.keep_one and found.current_version not in (None, target.version):
            switch = (*_kept(parts, workload, str(found.current_version)), *switch)
    left = LeftRunning()
    if request.scenario is not Scenario.DATA and isinstance(parts.platform, LeavesRunning):
        left = parts.platform.left_running(workload, to)
    return plan_back(
        found,
        facts,
        request,
        switch,
        parts.kinds,
        terms(parts),
        restart=restart,
        stop=left.stop,
        stays=left.stays,
    )


def _kept(parts: Parts, workload: Workload, version: str) -> tuple[StepSpec, ...]:
    """Return the steps that keep one unit of the bad release.

    Raises:
        UsageError: The platform has none that could be spared.
    """
    steps = parts.platform.keep_one(workload, version) if isinstance(parts.platform, KeepsOne) else ()
    if not steps:
        raise UsageError(
            msg("The platform {platform} cannot keep one unit of a release.", platform=parts.platform.kind),
            state=msg("Nothing was changed."),
            next_command="backout plan   # without --keep-one",
        )
    return steps


def _artefact(parts: Parts, facts: Facts, target: Release) -> Artefact:
    """Return what would run; what an image or a build would make is not there yet, and cannot be looked at."""
    if facts.offered is not None and target.artefact is not None:
        return target.artefact
    if facts.source is not None and facts.source.commit is not None:
        return Artefact(ref=target.artefact.ref if target.artefact is not None else target.version)
    return identify(parts, target)


def _with_secrets(parts: Parts, facts: Facts, to: Artefact) -> Facts:
    workload = facts.workload.value
    if workload is None or not isinstance(parts.platform, KnowsSecrets):
        return facts
    return facts.model_copy(update={"secrets": parts.platform.secret_changes(workload, to)})


def _stays(facts: Facts, request: Request) -> Release | None:
    """Return the release that runs, where only the data goes back; None: another one is the target.

    Raises:
        UsageError: Another version is named with it.
    """
    if request.scenario is not Scenario.DATA:
        return None
    current = current_version(facts)
    if current is None or request.to not in (None, current):
        raise UsageError(
            msg(
                "Scenario data leaves the code as it is: {current} runs.", current=current or "nothing known"
            ),
            state=msg("Nothing was changed."),
            next_command=f"backout plan --scenario full --to {request.to}"
            if request.to
            else "backout doctor",
        )
    return choose_target(facts, current)


def identify(parts: Parts, target: Release) -> Artefact:
    """Return what the platform would run for a release, with its digest as it is now.

    Raises:
        NothingToGoBackTo: The platform no longer has it.
    """
    ref = target.artefact.ref if target.artefact is not None else target.version
    if parts.emergency:
        return Artefact(
            ref=ref
        )  # Reading a whole release would cost seconds that an emergency does not have.
    try:
        return parts.platform.identify(ref)
    except UsageError as error:
        raise NothingToGoBackTo(
            msg(
                "{version} is known, but the platform cannot run it any more: {reason}",
                version=target.version,
                reason=str(error.what),
            ),
            state=msg("Nothing was changed."),
            next_command="backout releases",
        ) from error


def terms(parts: Parts) -> Terms:
    """Return what plans of this service are made under."""
    now = parts.clock.now()
    return Terms(
        plan_id=new_id("plan", now),
        now=now,
        expires_s=parts.plan_expires_s,
        verify_timeout_s=120.0,
        has_database=parts.database is not None and not parts.emergency,
        evidence=_evidence(parts),
        where=parts.platform.where if isinstance(parts.platform, ActsElsewhere) else None,
        restore=RestoreTerms(
            **parts.restore.model_dump(
                include={field.name for field in dataclasses.fields(RestoreTerms)} - {"command", "switch"},
            ),
            **_own_commands(parts),
        ),
    )


def _evidence(parts: Parts) -> tuple[str, ...]:
    """Return how what the way back deletes is saved by hand; an emergency has no time for it."""
    platform = parts.platform
    return platform.evidence_by_hand() if isinstance(platform, LosesEvidence) and not parts.emergency else ()


def _own_commands(parts: Parts) -> dict[str, Any]:
    """Return the words of a person's own script that restores, or command that switches, without secrets."""
    found: dict[str, Any] = {"cwd": str(parts.site.directory.resolve())}
    for name, options in (("command", parts.restore.command), ("switch", parts.restore.switch)):
        if options is not None:
            found[name] = tuple(parts.site.redactor.text(word) for word in options.run)
            found[f"{name}_timeout_s"] = options.timeout_s
    return found


def write_plan(path: Path, made: Plan) -> None:
    """Write a plan to a file.

    Raises:
        UsageError: It cannot be written.
    """
    file = PlanFile(digest=made.digest, plan=made)
    write_file(path, canonical_json(file.model_dump(mode="json")) + "\n")


def read_plan(parts: Parts, path: Path) -> Plan:
    """Read a plan from a file.

    Raises:
        UsageError: The file cannot be read, is no plan, is for another service, or was changed since.
        PlanExpired: It is too old.
    """
    try:
        file = PlanFile.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise _unusable(path, "it is not a plan of this version of backout") from error
    if file.plan.digest != file.digest:
        raise _unusable(path, "it was changed after it was made")
    if (reason := _not_ours(parts, file.plan)) is not None:
        raise _unusable(path, reason)
    if (file.plan.service, file.plan.environment) != (parts.site.service, parts.site.environment):
        raise _unusable(path, f"it is for {file.plan.service} in {file.plan.environment}")
    return file.plan


def _not_ours(parts: Parts, made: Plan) -> str | None:
    """Return why a plan cannot have been made by this backout for this platform; None if it can."""
    kinds = [s.spec.kind for s in made.steps]
    if any(kind not in parts.kinds for kind in kinds):
        return "it has steps that this platform does not know"
    if len({s.key for s in made.steps}) != len(kinds) or not kinds:
        return "its steps are not numbered"
    proving = [kind for kind in kinds if kind not in ("data.compare", "restore.drop", "migrations.finish")]
    if made.purpose != "back" or proving[-1:] != ["verify"] or (len(kinds) > 1 and "guard" not in kinds):
        return "it does not guard what it rests on, or does not prove the result"
    refs = [
        str(s.spec.params[name]) for s in made.steps for name in ("ref", "version") if s.spec.params.get(name)
    ]
    if any(".." in ref.split("/") or ref.startswith("/") for ref in refs):
        return "it names a release that cannot be one"
    return None


def check_expiry(made: Plan, parts: Parts) -> None:
    """Raise `PlanExpired` for a plan that is too old."""
    if parts.clock.now() > made.expires_at:
        raise PlanExpired(
            msg("Plan {plan} expired at {at}.", plan=made.id, at=f"{made.expires_at:%H:%M:%S UTC}"),
            state=msg("Nothing was changed."),
            next_command=f"backout plan {words_of(made)}",
        )


def _unusable(path: Path, reason: str) -> UsageError:
    fits = path.is_file() or (not path.exists() and path.parent.is_dir())
    place = shlex.quote(str(path if fits else "plan.json"))
    return UsageError(
        msg("The plan {path} cannot be used: {reason}.", path=str(path), reason=reason),
        state=msg("Nothing was changed."),
        next_command=f"backout plan -o {place}",
    )


def by_hand(parts: Parts, made: Plan) -> dict[str, tuple[str, ...]]:
    """Return what a person types where backout is not at hand: by step key, and ``KEY/undo``."""
    means = {m.name: m for m in parts.holds}
    found: dict[str, tuple[str, ...]] = {}
    for step in made.steps:
        params, kind = step.spec.params, step.spec.kind
        holder = means.get(str(params.get("name")))
        if kind == "guard":
            found[step.key] = _guard_by_hand(made, step.spec)
        elif kind == "verify":
            found[step.key] = _checks_by_hand(parts)
        elif kind in ("hold", "hold.release") and holder is not None:
            prior = params["prior"]
            assert isinstance(prior, dict)
            holding, letting_go = holder.by_hand(str(params["mode"]), prior), holder.by_hand(None, prior)
            do, undo = (holding, letting_go) if kind == "hold" else (letting_go, holding)
            found |= {step.key: do, f"{step.key}/undo": undo}
    return found


def _checks_by_hand(parts: Parts) -> tuple[str, ...]:
    from backout.checks.workload import WorkloadCheck

    lines: list[str] = []
    for check in (WorkloadCheck(), *parts.checks):
        lines += [note(msg("{name}:", name=check.name)), *check.by_hand(parts.site.redactor), ""]
    return tuple(lines[:-1])


def _guard_by_hand(made: Plan, spec: StepSpec) -> tuple[str, ...]:
    """Return what to compare; the link of the `process` platform can be read."""
    at, ref = f"{made.created_at:%Y-%m-%d %H:%M:%S UTC}", spec.params["ref"]
    lines = [note(msg("Compare with what stood at {at}, when this was made; if it differs, stop.", at=at))]
    wanted = spec.expects.get("wanted")
    lines.append(note(msg("The platform is told to run {ref}.", ref=str(wanted or "none"))))
    roots = (s.spec.params["service"] for s in made.steps if s.spec.kind == "process.link")
    lines += [f"readlink {shlex.quote(str(r['root']))}/current" for r in roots if isinstance(r, dict)]
    if spec.expects.get("schema"):
        lines.append(note(msg("The schema: no migration was run since; its fingerprint was {fingerprint}.",
                              fingerprint=str(spec.expects["schema"]))))  # fmt: skip
    if spec.expects.get("content"):
        lines.append(note(msg("The content of {ref}: nobody changed it since; its digest was {digest}.",
                              ref=str(ref), digest=str(spec.expects["content"]))))  # fmt: skip
    return tuple(lines)
