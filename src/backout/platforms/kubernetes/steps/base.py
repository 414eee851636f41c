"""What this platform's steps share: the live workload, its guard, and the look at a roll-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backout.errors import LostRace
from backout.kubernetes.api import Conflict
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed
from backout.plan.model import Hazard, StepSpec
from backout.platforms.kubernetes.history import need, read
from backout.platforms.kubernetes.lease import need_generation
from backout.platforms.kubernetes.names import GENERATION, STEP
from backout.platforms.kubernetes.options import WorkloadName, workload_name
from backout.platforms.kubernetes.seen import Progress, Seen, progress
from backout.platforms.kubernetes.settling import just_ready
from backout.platforms.kubernetes.steps.specs import mapping, text
from backout.platforms.kubernetes.template import hash_of
from backout.platforms.kubernetes.trouble import trouble_of

if TYPE_CHECKING:
    from backout.platforms.kubernetes.platform import KubernetesPlatform

Object = dict[str, Any]

_TRIES = 10
_LAST_LOOK_S = 1.0
"""So long before the deadline a probe asks the cluster also why it is not done."""
_WORTHWHILE_S = 0.25
"""Pods take seconds; looking takes from a small cluster what they start with."""
_CHANGE_CAUSE = "kubernetes.io/change-cause"


def platform_of(acting: Acting) -> KubernetesPlatform:
    """Return the live platform."""
    from backout.platforms.kubernetes.platform import KubernetesPlatform

    return acting.target("platform", KubernetesPlatform)


def workload_of(spec: StepSpec) -> WorkloadName:
    """Return the workload that a step is about."""
    return workload_name(text(spec, "workload"))


def guard_workload(spec: StepSpec, obj: Object) -> None:
    """Raise `LostRace` unless it is the very workload of the plan, told to run what the plan saw or wants."""
    name = text(spec, "workload")
    if obj["metadata"]["uid"] != spec.expects.get("uid"):
        raise _lost(msg("{workload} was deleted and made anew since the plan was made", workload=name))
    if hash_of(obj["spec"]["template"]) not in (spec.expects.get("template"), spec.params["template"]):
        raise _lost(
            msg("Somebody else gave {workload} another template since the plan was made", workload=name)
        )


def _lost(what: Message) -> LostRace:
    return LostRace(what, state=msg("The workload was left alone."), next_command="backout plan")


def write(spec: StepSpec, acting: Acting, change: Callable[[Object], bool]) -> bool:
    """Change the workload by compare-and-set; returns whether there was anything to change.

    Pods come and go meanwhile and move the version of the object: then it is read, guarded and changed again.

    Args:
        spec: The step.
        acting: What the acting half is given.
        change: Changes the object in place; returns False if it is so already.

    Raises:
        LostRace: It is no longer what the plan saw.
        LeaseLost: Another owner acts.
    """
    platform, workload = platform_of(acting), workload_of(spec)
    for left in reversed(range(_TRIES)):
        need_generation(platform.api, platform.site.service, acting)
        obj = need(platform.api, workload, 20.0)
        guard_workload(spec, obj)
        if not change(obj):
            return False
        annotations = obj["metadata"].setdefault("annotations", {})
        annotations[GENERATION] = str(acting.fence.generation)
        annotations[STEP] = acting.step_name
        annotations[_CHANGE_CAUSE] = f"backout: {text(spec, 'version')} ({acting.step_name})"
        try:
            platform.api.replace(workload.kind, obj)
        except Conflict:
            if not left:
                raise
            continue
        return True
    return False


def look(spec: StepSpec, acting: Acting) -> tuple[Seen, Progress]:
    """Return the workload and how far it is on the way to the step's template."""
    api = platform_of(acting).api
    seen = read(api, workload_of(spec), 20.0)
    found = progress(seen, text(spec, "template"), mapping(spec, "images"))
    if found.done and spec.params["gaps"] and just_ready(seen.ready, api.server_now):
        # Nothing else serves: who is let through now would be refused until the network knows the new pods.
        wait = msg(
            "{workload}: its pods are ready, and the network learns of them", workload=seen.workload.text
        )
        found = Progress(done=False, failed=False, evidence=wait)
    return seen, found


def rolling(spec: StepSpec, acting: Acting, obj: Object) -> Probe:
    """Return the probe's answer on a roll-out that was begun; pods are looked at only once the numbers are right.

    Args:
        spec: The step.
        acting: What the acting half is given.
        obj: The workload as it was just read.
    """
    if not _late(acting):
        counted = progress(Seen(workload_of(spec), obj, (), ()), text(spec, "template"), {})
        if not counted.done and not counted.failed:
            return _under_way(counted.evidence)
    return probe_of(*look(spec, acting), spec, acting)


def _late(acting: Acting) -> bool:
    return acting.clock.monotonic_s() > acting.deadline_s - _LAST_LOOK_S


def probe_of(seen: Seen, found: Progress, spec: StepSpec, acting: Acting) -> Probe:
    """Return the probe's answer on a roll-out that was begun; near its end also why it is not done."""
    if found.done:
        return Probe(answer=Probed.DONE, evidence=found.evidence)
    evidence = found.evidence
    if found.failed or _late(acting):
        platform = platform_of(acting)
        why = trouble_of(platform.api, seen, text(spec, "template"))
        if why is not None:
            told = platform.site.redactor.text(str(why))
            evidence = msg("{evidence}; {why}", evidence=str(found.evidence), why=told)
    return _under_way(evidence, goes_on=not found.failed)


def _under_way(evidence: Message, *, goes_on: bool = True) -> Probe:
    return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=goes_on, worthwhile_s=_WORTHWHILE_S)


class WorkloadStep:
    """What every step on one workload says and refuses alike."""

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong with any roll-out."""
        return (
            Hazard(
                what=msg("Pods of {version} do not become available", version=text(spec, "version")),
                then=msg(
                    "The run stops with the pod's reason, last event and last lines; {command}",
                    command=f"{text(spec, 'kubectl')} get pods",
                ),
            ),
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse when it is not the workload, or not the template, that the plan saw."""
        guard_workload(spec, need(platform_of(acting).api, workload_of(spec), 20.0))
