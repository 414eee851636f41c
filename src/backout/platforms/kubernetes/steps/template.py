"""`kubernetes.template`: gives a workload the pod template of another release, and waits until every pod has it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from backout.document import Json
from backout.errors import StepFailed
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.kubernetes.history import need, read
from backout.platforms.kubernetes.images import with_images
from backout.platforms.kubernetes.kept import Kept
from backout.platforms.kubernetes.releases import Made
from backout.platforms.kubernetes.steps import specs
from backout.platforms.kubernetes.steps.base import (
    Object,
    WorkloadStep,
    guard_workload,
    look,
    platform_of,
    probe_of,
    rolling,
    workload_of,
    write,
)
from backout.platforms.kubernetes.steps.specs import ends, mapping, replaces, text, waits
from backout.platforms.kubernetes.steps.stuck import by_hand, delete_stuck, probe_stuck
from backout.platforms.kubernetes.template import (
    Template,
    config_maps_of,
    copy_name,
    hash_of,
    original_of,
    renamed,
    secrets_of,
)

_SIDE = ("version", "ref", "template", "images", "configs", "secrets", "paused", "made")
_PLACE = ("workload", "uid", "kubectl", "number", "of", "backwards", "gaps", "waits")


class TemplateStep(WorkloadStep):
    """What `rollout undo` does, by content instead of by number; ConfigMaps come back with it."""

    kind: ClassVar[str] = specs.TEMPLATE

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        workload, version = text(spec, "workload"), text(spec, "version")
        if mapping(spec, "made"):
            return msg(
                "Give {workload} the image {images}, and wait until every pod has it.",
                workload=workload,
                images=", ".join(sorted(set(mapping(spec, "made")["images"].values()))),
            )
        names = [
            *sorted(mapping(spec, "configs")),
            *(f"Secret {n}" for n in sorted(mapping(spec, "secrets"))),
        ]
        if not names:
            return msg(
                "Give {workload} the pod template of {version}, and wait until every pod has it.",
                workload=workload,
                version=version,
            )
        return msg(
            "Give {workload} the pod template of {version}, with {configs} as then, and wait until every pod has it.",
            workload=workload,
            version=version,
            configs=", ".join(names),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        kubectl, workload = text(spec, "kubectl"), text(spec, "workload")
        resume = (f"{kubectl} rollout resume {workload}",) if mapping(spec, "previous")["paused"] else ()
        if mapping(spec, "made"):
            images = [f"{name}={image}" for name, image in sorted(mapping(spec, "made")["images"].items())]
            return (
                *resume,
                f"{kubectl} set image {workload} {' '.join(images)}",
                f"{kubectl} rollout status {workload}",
            )
        copies = tuple(
            f"# its template must refer to {kind} {copy_name(name, str(content))} instead of {name}"
            for kind, key in (("ConfigMap", "configs"), ("Secret", "secrets"))
            for name, content in sorted(mapping(spec, key).items())
        )
        return (
            f"{kubectl} rollout history {workload}   # the revision of {text(spec, 'version')}",
            *resume,
            f"{kubectl} rollout undo {workload} --to-revision=REVISION",
            f"# not in it any more: {kubectl} get configmaps -l backout/kind=template   # ends in {text(spec, 'template')}",
            *copies,
            *(by_hand(spec) if replaces(spec) else (f"{kubectl} rollout status {workload}",)),
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        if not mapping(spec, "previous")["paused"]:
            return super().hazards(spec)
        paused = Hazard(
            what=msg("The roll-out of {workload} is paused now", workload=text(spec, "workload")),
            then=msg("It is resumed with this step; undoing the step pauses it again"),
        )
        return (*super().hazards(spec), paused)

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Half done both serve, or none where the old pods go first; with the last workload the old one is gone."""
        version = text(spec, "version")
        told = replace(world, code=version) if spec.params["number"] == 1 else world
        both = replace(told, serving=world.serving | {version})
        half = (replace(told, serving=frozenset()),) if spec.params["gaps"] else ()
        if ends(spec) and waits(spec):
            return world, told, both, *half, replace(told, serving=frozenset({version}))
        return world, told, *half, both

    def inverse(self, spec: StepSpec) -> StepSpec:
        """Return the step that gives the workload back the template that it had."""
        place: dict[str, Json] = {key: spec.params[key] for key in _PLACE}
        # the last one to change is the first to change back
        place["backwards"] = not spec.params["backwards"]
        own: dict[str, Json] = {key: spec.params[key] for key in _SIDE}
        return specs.template(place, mapping(spec, "previous"), own, spec.timeout_s - specs.SETTLE_S)

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether the workload has the template, and how far its pods are.

        Raises:
            LostRace: It has neither this one nor the one that the plan saw.
        """
        platform = platform_of(acting)
        obj = need(platform.api, workload_of(spec), 20.0)
        if not _has_template(obj, spec) or (_is_paused(obj) and not spec.params["paused"]):
            # also while it is waited for: nobody else's template comes to this step's end
            guard_workload(spec, obj)
            evidence = msg("{workload} has another template", workload=text(spec, "workload"))
            return Probe(answer=Probed.NOT_DONE, evidence=evidence)
        if not waits(spec):
            evidence = msg("{workload} has the template", workload=text(spec, "workload"))
            return Probe(answer=Probed.DONE, evidence=evidence)
        if spec.params["paused"]:
            return _probe_pausing(spec, acting)
        return probe_stuck(spec, acting) if replaces(spec) else rolling(spec, acting, obj)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Keep the template that there is, then write the other one. Idempotent: by content, compare-and-set."""
        platform = platform_of(acting)
        kept = Kept(platform.api, platform.site.service)
        template = _target(spec, acting, kept)

        def change(obj: Object) -> bool:
            told = _has_template(obj, spec)
            # A paused controller replaces no pod: it is paused once all of them are there.
            pause = bool(spec.params["paused"]) and told and look(spec, acting)[1].done
            if told and _is_paused(obj) == pause:
                return False
            if not told:
                kept.keep_template(obj["spec"]["template"])
                obj["spec"]["template"] = template
            if workload_of(spec).kind == "Deployment":
                obj["spec"]["paused"] = pause
            fault_point("kubernetes.template.before")
            return True

        if write(spec, acting, change):
            fault_point("kubernetes.template.after")
        if replaces(spec):
            delete_stuck(spec, acting)
        workload, version = text(spec, "workload"), text(spec, "version")
        return Receipt(what=msg("{workload} is told to run {version}", workload=workload, version=version))


def _has_template(obj: Object, spec: StepSpec) -> bool:
    """Return whether the object says what the step wants of its pods: template, contents of ConfigMaps and Secrets."""
    template = obj["spec"]["template"]
    return (
        hash_of(template) == spec.params["template"]
        and _copies(spec, "configs") <= set(config_maps_of(template))
        and _copies(spec, "secrets") <= set(secrets_of(template))
    )


def _is_paused(obj: Object) -> bool:
    return bool(obj["spec"].get("paused"))


def _probe_pausing(spec: StepSpec, acting: Acting) -> Probe:
    """Return how far a roll-out is that is paused at its end; what is paused too early, or not yet, goes on by `apply`."""
    seen, found = look(spec, acting)
    paused = _is_paused(seen.object)
    if found.done and not paused:
        evidence = msg("{workload} is not paused again yet", workload=text(spec, "workload"))
        return Probe(answer=Probed.PARTIAL, evidence=evidence)
    probe = probe_of(seen, found, spec, acting)
    return probe.model_copy(update={"in_progress": False}) if paused else probe


def _copies(spec: StepSpec, key: str) -> set[str]:
    """Return the names of the copies that the template must refer to."""
    return {copy_name(name, str(content)) for name, content in mapping(spec, key).items()}


def _target(spec: StepSpec, acting: Acting, kept: Kept) -> Template:
    """Return the wanted template, from the controller's history or from what was kept.

    Raises:
        StepFailed: Neither has it any more.
    """
    platform, wanted = platform_of(acting), text(spec, "template")
    seen = read(platform.api, workload_of(spec), 20.0)
    made = Made.model_validate(mapping(spec, "made")) if mapping(spec, "made") else None
    base = made.base if made is not None else wanted
    found = next((r.template for r in seen.revisions if r.hash == base), None) or kept.template(base)
    if found is not None and made is not None:
        found = with_images(found, made.images, made.label)
    if found is None or hash_of(found) != wanted:
        raise StepFailed(
            msg(
                "The template of {version} is gone: neither the history of {workload} nor backout has it",
                version=text(spec, "version"),
                workload=text(spec, "workload"),
            ),
            state=msg("The workload was left alone."),
            next_command="backout releases   # what can still be run",
        )
    contents = mapping(spec, "configs")
    copies = {name: kept.need_copy(name, str(content)) for name, content in contents.items()}
    secrets = {
        name: platform.secrets.need_copy(name, str(content))
        for name, content in mapping(spec, "secrets").items()
    }
    plain = renamed(found, original_of, original_of)
    (plain.get("metadata") or {}).get("labels", {}).pop("pod-template-hash", None)
    plain.pop("$patch", None)
    return renamed(plain, lambda name: copies.get(name, name), lambda name: secrets.get(name, name))
