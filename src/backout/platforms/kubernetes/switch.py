"""Proposes the steps from what runs to a release. Pure: everything stands in the workload that was observed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backout.document import Json
from backout.errors import NotPossible, UnknownVersion
from backout.message import msg
from backout.observed import Answer, Workload
from backout.plan.model import StepSpec
from backout.platforms.kubernetes.automation import AutomationOptions
from backout.platforms.kubernetes.releases import Deployed
from backout.platforms.kubernetes.seen import Seen, partition_of
from backout.platforms.kubernetes.steps import specs
from backout.platforms.kubernetes.steps.specs import Place, Side
from backout.platforms.kubernetes.switch_secrets import restored
from backout.release import Artefact
from backout.steps.automation import pause_spec

NO_PARTITION = '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'


def facts_of(seen: Seen) -> dict[str, Json]:
    """Return what a plan has to know of a workload, as `Workload.detail` keeps it."""
    spec = seen.object["spec"]
    kind = (spec.get("strategy") or spec.get("updateStrategy") or {}).get("type") or "RollingUpdate"
    return {
        "workload": seen.workload.text,
        "uid": str(seen.object["metadata"]["uid"]),
        "template": seen.wanted,
        "paused": bool(spec.get("paused")),
        "gaps": kind == "Recreate" or _one_goes_first(seen),
        "partition": partition_of(seen.object),
        # Pods that start in order, or are never replaced: a template alone does not heal them.
        "replaces": kind == "OnDelete"
        or (seen.workload.kind == "StatefulSet" and spec.get("podManagementPolicy") != "Parallel"),
    }


def _one_goes_first(seen: Seen) -> bool:
    """Return whether the only pod ends before its successor starts."""
    if seen.workload.kind == "Deployment" or seen.replicas > 1:
        return False
    surge = ((seen.object["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("maxSurge")
    return surge in (None, 0, "0", "0%")


def propose(
    workload: Workload, to: Artefact, *, from_version: str | None, to_version: str, kubectl: str, timeout_s: float
) -> tuple[StepSpec, ...]:  # fmt: skip
    """Return the steps, workload by workload in the declared order.

    Raises:
        UnknownVersion: The release is not among those that were observed.
        NotPossible: A workload keeps part of its pods as they are.
    """
    target, now = _release(workload, to.ref), _release(workload, _wanted(workload))
    steps: list[StepSpec] = []
    facts = _facts(workload)
    _no_partition(facts, kubectl)
    for number, fact in enumerate(facts, 1):
        name = str(fact["workload"])
        place = _place(fact, number, len(facts), kubectl, waits=not fact["replaces"])
        own = _side(workload, target, name, to_version, paused=False)
        previous = _side(workload, now, name, from_version or now.version, paused=bool(fact["paused"]))
        steps.append(specs.template(place, own, previous, timeout_s))
        if fact["replaces"]:
            steps.append(specs.replace(place, own, timeout_s))
    return tuple(steps)


def propose_keep_one(workload: Workload, version: str, *, kubectl: str) -> tuple[StepSpec, ...]:
    """Return the step that keeps one pod of the first workload that gives its pods names of no meaning."""
    for fact in _facts(workload):
        # In a StatefulSet no other pod could have the kept one's name.
        if not str(fact["workload"]).startswith("statefulset/"):
            name, uid, template = (str(fact[key]) for key in ("workload", "uid", "template"))
            return (specs.keep_one(name, uid, kubectl, version, template),)
    return ()


def propose_pauses(
    workload: Workload, options: Sequence[AutomationOptions], version: str, shown: Callable[[str], str]
) -> tuple[StepSpec, ...]:
    """Return the steps that pause what would undo the way back, and is not paused already.

    Args:
        workload: As it was observed.
        options: What is declared of it.
        version: The target's.
        shown: Cuts secrets out of a command that people see.
    """
    undoing = {o.name for o in workload.owners if o.pausable and o.reverts is not Answer.NO}
    return tuple(
        pause_spec(
            one.manager, version, shown(shlex.join(one.pause)), shown(shlex.join(one.resume)), one.timeout_s
        )
        for one in options
        if one.manager in undoing and one.pause is not None and one.resume is not None
    )


def propose_restart(
    workload: Workload, to: Artefact, version: str, *, kubectl: str, timeout_s: float
) -> tuple[StepSpec, ...]:
    """Return the steps that restart every workload as it is told to run."""
    target, facts = _release(workload, to.ref), _facts(workload)
    return tuple(
        specs.restart(
            _place(fact, number, len(facts), kubectl, waits=True),
            _side(workload, target, str(fact["workload"]), version, paused=False),
            timeout_s,
        )
        for number, fact in enumerate(facts, 1)
    )


def _no_partition(facts: list[Mapping[str, Any]], kubectl: str) -> None:
    """Raise `NotPossible` where pods would keep their release, whatever template the workload gets."""
    for fact in facts:
        if fact.get("partition"):
            name, number = str(fact["workload"]), int(fact["partition"])
            raise NotPossible(
                msg("{workload} has partition {number}: its pods numbered below {number} keep the release that they have",
                    workload=name, number=number),
                state=msg("Nothing was changed."),
                next_command=kubectl + f" patch {name} -p '{NO_PARTITION}'   # all of its pods then follow its template",
            )  # fmt: skip


def _place(fact: Mapping[str, Any], number: int, of: int, kubectl: str, *, waits: bool) -> dict[str, Json]:
    return Place(
        workload=str(fact["workload"]),
        uid=str(fact["uid"]),
        kubectl=kubectl,
        number=number,
        of=of,
        backwards=False,
        gaps=bool(fact["gaps"]),
        waits=waits,
    ).params()


def _side(workload: Workload, release: Deployed, name: str, version: str, *, paused: bool) -> dict[str, Json]:
    return Side(
        version=version,
        ref=release.ref,
        template=release.templates[name],
        images=release.images.get(name, {}),
        configs=_copies(workload, release),
        secrets=restored(workload, release),
        paused=paused,
        made=release.made[name].model_dump(mode="json") if name in release.made else {},
    ).params()


def _copies(workload: Workload, release: Deployed) -> dict[str, str]:
    """Return the ConfigMaps whose content is another one now than the release had."""
    now = workload.detail.get("configs")
    assert isinstance(now, dict)
    return {name: content for name, content in (release.configs or {}).items() if now.get(name) != content}


def _release(workload: Workload, ref: str) -> Deployed:
    """Return a release by its ref; an emergency may know no more than its version."""
    releases: Any = workload.detail.get("releases") or {}
    found = releases.get(ref) or next((d for d in releases.values() if d["version"] == ref), None)
    if found is None:
        raise UnknownVersion(
            msg("The cluster has no release {ref}", ref=ref),
            state=msg("Nothing was changed"),
            next_command="backout releases",
        )
    return Deployed.model_validate(found)


def _wanted(workload: Workload) -> str:
    return workload.wanted.ref if workload.wanted else ""


def _facts(workload: Workload) -> list[Mapping[str, Any]]:
    facts: Any = workload.detail["workloads"]
    return list(facts)
