"""`process.link`: points `current` to a release, atomically."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import ClassVar

from backout.document import Json
from backout.errors import LostRace, StepFailed
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.process.files import disk_errors, sync_folder
from backout.platforms.process.lease import fenced
from backout.platforms.process.options import Layout
from backout.platforms.process.service import guard_declared, service_of, text_of, told
from backout.platforms.process.steps import specs
from backout.platforms.process.tree import digest_of_tree


class LinkStep:
    """Makes a new link beside the old one and renames it over: nobody ever sees none."""

    kind: ClassVar[str] = specs.LINK

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        if spec.params["ref"] is None:
            return msg("Remove the link current.")
        return msg("Point the link current to releases/{ref}.", ref=text_of(spec, "ref"))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        root = shlex.quote(told(spec)["root"])
        if spec.params["ref"] is None:
            return (f"rm {root}/current",)
        release = shlex.quote(f"releases/{text_of(spec, 'ref')}")
        # rename(2) over the link; `mv -T` is GNU, so python does it where that is missing (macOS).
        return (
            f"cd {root} && ln -sfn {release} .current.new",
            f'cd {root} && python3 -c \'import os; os.replace(".current.new", "current")\'',
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return ()

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The link changes at once: there is no half-done world but the old one."""
        return world, replace(world, code=text_of(spec, "version") or None)

    def inverse(self, spec: StepSpec) -> StepSpec:
        """Return the link back to what it said before."""
        to: dict[str, Json] = {key: spec.params[key] for key in ("ref", "version", "digest")}
        previous = spec.params["previous"]
        assert isinstance(previous, dict)
        return specs.link(previous, to, told(spec))

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look where the link points."""
        found, wanted = service_of(spec, acting).layout.linked(), spec.params["ref"]
        evidence = msg("Current points to {found}", found=found or "nothing")
        return Probe(answer=Probed.DONE if found == wanted else Probed.NOT_DONE, evidence=evidence)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse when somebody moved the link meanwhile, or the release's content is not the approved one."""
        service = service_of(spec, acting)
        guard_declared(spec, service)
        found = service.layout.linked()
        if found not in (spec.expects.get("link"), spec.params["ref"]):
            raise LostRace(
                msg(
                    "Current points to {found}, the plan was made when it pointed to {expected}",
                    found=found or "nothing",
                    expected=str(spec.expects.get("link") or "nothing"),
                ),
                state=msg("The link was left alone"),
                next_command="backout plan",
            )
        _guard_content(spec, service.layout)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Replace the link. Idempotent."""
        layout, ref = service_of(spec, acting).layout, spec.params["ref"]
        with fenced(layout, acting), disk_errors(layout.current):
            _refuse_folder(layout)
            fault_point("process.link.before")
            if ref is None:
                layout.current.unlink(missing_ok=True)
            else:
                _point(layout, str(ref))
            fault_point("process.link.after")
            sync_folder(layout.root)
        return Receipt(what=msg("Current points to {ref}", ref=text_of(spec, "ref") or "nothing"))


def _point(layout: Layout, ref: str) -> None:
    if not layout.release(ref).is_dir():
        raise StepFailed(
            msg("Release folder {path} is not there", path=str(layout.release(ref))),
            state=msg("Current points to {found}", found=layout.linked() or "nothing"),
            next_command=f"ls -lt {shlex.quote(str(layout.releases))}",
        )
    absolute = layout.current.is_symlink() and layout.current.readlink().is_absolute()
    draft = layout.root / ".current.backout"
    draft.unlink(missing_ok=True)
    draft.symlink_to(layout.release(ref) if absolute else os.path.join("releases", ref))  # noqa: PTH118
    fault_point("process.link.drafted")
    draft.replace(layout.current)


def _refuse_folder(layout: Layout) -> None:
    if layout.current.exists() and not layout.current.is_symlink():
        raise StepFailed(
            msg("{path} is not a link", path=str(layout.current)),
            state=msg("It was left alone"),
            next_command=f"ls -ld {shlex.quote(str(layout.current))}",
        )


def _guard_content(spec: StepSpec, layout: Layout) -> None:
    digest, ref = spec.params["digest"], spec.params["ref"]
    if digest is None or ref is None or not layout.release(str(ref)).is_dir():
        return
    with disk_errors(layout.release(str(ref))):
        found = digest_of_tree(layout.release(str(ref)))
    if found != digest:
        raise LostRace(
            msg("The content of release {ref} changed since the plan was made", ref=str(ref)),
            state=msg(
                "The link was left alone; planned {digest}, found {found}", digest=str(digest), found=found
            ),
            next_command=f"find {shlex.quote(str(layout.release(str(ref))))} -mtime -1 -ls",
        )
