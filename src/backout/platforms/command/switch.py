"""`command.switch` and `command.rebuild`: run the user's script that brings a version, never twice at the same time."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import ClassVar

from backout.document import Json
from backout.errors import LostRace, StepFailed
from backout.faults import fault_point
from backout.git.repository import Repository
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.command.options import filled
from backout.platforms.command.rebuilding import artefact_there
from backout.platforms.command.scripts import Scripts, Started
from backout.redact import MASK

KIND, REBUILD = "command.switch", "command.rebuild"
"""Two kinds, so that how long builds took says nothing of how long a deploy takes."""


def switch_spec(
    to: dict[str, Json], previous: dict[str, Json] | None, *, cwd: str, timeout_s: float
) -> StepSpec:
    """Return the step.

    Args:
        to: ref, version, command (words, without secrets), and the commit that it is built from, null where its artefact
            is deployed.
        previous: The same, of the way back to what runs now; None where that is not known.
        cwd: Folder that the command starts in.
        timeout_s: Seconds that the script may take.
    """
    params: dict[str, Json] = {**to, "previous": previous, "cwd": cwd}
    kind = KIND if to.get("commit") is None else REBUILD
    return StepSpec(kind=kind, target="platform", params=params, timeout_s=timeout_s)


class SwitchStep:
    """Starts the script through the launcher, and lets the declared probe tell what it brought."""

    kind: ClassVar[str] = KIND

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        version, commit = str(spec.params["version"]), _commit(spec)
        if commit is None:
            return msg("Bring {version}: {command}", version=version, command=_line(spec))
        return msg(
            "Build {version} anew from git, in a clean worktree of {commit}, and bring it: {command}",
            version=version, commit=commit[:12], command=_line(spec),
        )  # fmt: skip

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        cwd, commit = shlex.quote(str(spec.params["cwd"])), _commit(spec)
        if commit is None:
            return (f"cd {cwd} && {_line(spec)}",)
        return (
            f'tree=$(mktemp -d)/tree && git -C {cwd} worktree add --detach "$tree" {commit}',
            f'cd "$tree/$(git -C {cwd} rev-parse --show-prefix)" && {_line(spec)}',
            f'cd / && git -C {cwd} worktree remove --force "$tree"',
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        build = Hazard(
            what=msg("The build fails"),
            then=msg(
                "The run stops and shows its last lines; what runs goes on, unless the command touched it"
            ),
        )
        return (
            *([build] if _commit(spec) else []),
            Hazard(
                what=msg("The script fails half-way, or takes longer than {s} s", s=spec.timeout_s),
                then=msg(
                    "The run stops and shows the script's last lines; a script that runs on is not ended"
                ),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """A script is not looked into: half done, the old, both, none or the new may serve."""
        new = frozenset({str(spec.params["version"])})
        both = replace(world, serving=world.serving | new)
        none = replace(world, serving=frozenset[str]())
        return world, both, none, replace(world, serving=new, code=str(spec.params["version"]))

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return the switch to what ran before, if that is known."""
        previous = spec.params["previous"]
        if not isinstance(previous, dict):
            return None
        to: dict[str, Json] = {key: spec.params.get(key) for key in ("ref", "version", "command", "commit")}
        return switch_spec(previous, to, cwd=str(spec.params["cwd"]), timeout_s=spec.timeout_s)

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether the script runs, else ask the declared probe."""
        scripts, ref = acting.target(spec.target, Scripts), str(spec.params["ref"])
        if scripts.job.running():
            evidence = msg("The script for {ref} runs", ref=scripts.job.label() or "an unknown version")
            return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
        found, why = scripts.running_version()
        ended = _how_it_ended(scripts, acting)
        if found is None:
            evidence = msg("What runs is not known: {why}{ended}", why=why, ended=ended)
            return Probe(answer=Probed.UNKNOWN, evidence=evidence)
        evidence = msg("The probe says that {found} runs{ended}", found=found, ended=ended)
        return Probe(answer=Probed.DONE if found == ref else Probed.NOT_DONE, evidence=evidence)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse a plan that was made for another command, or for an artefact or a commit that is gone since."""
        scripts, ref, commit = acting.target(spec.target, Scripts), str(spec.params["ref"]), _commit(spec)
        if not _commands(scripts, spec) or spec.params["cwd"] != str(scripts.cwd):
            raise _changed(msg("The configured scripts changed since the plan was made"))
        if scripts.options.rebuild is None:
            return
        if commit is not None:
            if Repository(scripts.cwd, scripts.options.probe_timeout_s).commit(commit) is None:
                raise _changed(msg("Git has not the commit {commit} any more", commit=commit))
            return
        there, why = artefact_there(scripts, ref)
        # What runs now may be brought back by an abort without its artefact being asked for when the plan was made.
        if there is not Answer.YES:
            raise _changed(msg("{version} was to be brought by its artefact, and {why}",
                               version=str(spec.params["version"]), why=str(why)))  # fmt: skip

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Start the script.

        Idempotent: while a script runs, none is started.

        Raises:
            StepFailed: The version is not known any more, the script cannot be started, or another one runs.
        """
        scripts, ref = acting.target(spec.target, Scripts), str(spec.params["ref"])
        _refuse_cut(spec)
        command = _commands(scripts, spec)[0]
        started = Started(step=acting.step_name, version=ref, command=tuple(_words(spec)))
        acting.fence.check()
        fault_point("command.switch.before")
        try:
            fresh = scripts.start(started, command, _commit(spec))
        except OSError as error:
            raise StepFailed(
                msg("The script could not be started: {path}: {why}",
                    path=str(error.filename), why=error.strerror or "error"),
                state=msg("No script was started"),
                next_command="backout doctor",
            ) from error  # fmt: skip
        fault_point("command.switch.after")
        if not fresh and scripts.job.label() not in (ref, None):
            raise StepFailed(
                msg("The script for {other} still runs", other=str(scripts.job.label())),
                state=msg("The script for {ref} was not started", ref=ref),
                next_command=f"tail -f {shlex.quote(str(scripts.job.log))}",
            )
        return Receipt(what=msg("Started the script for {ref}", ref=ref))


class RebuildStep(SwitchStep):
    """The same for a release that is built anew first, in a clean worktree of its commit."""

    kind: ClassVar[str] = REBUILD


def _refuse_cut(spec: StepSpec) -> None:
    """Refuse a step whose version was taken for a secret when the plan was written down.

    Hazard: the script would be given the mask as its version.
    """
    if not any(MASK in str(spec.params[name]) for name in ("ref", "version")):
        return
    raise StepFailed(
        msg("The version is hidden in the journal ({ref}): it stands in a value that is kept secret, such as "
            "one of platform.env", ref=str(spec.params["ref"])),
        state=msg("No script was started"),
        next_command="backout abort  # then take that value out of platform.env in backout.yaml",
    )  # fmt: skip


def _words(spec: StepSpec) -> list[str]:
    words = spec.params["command"]
    return [str(word) for word in words] if isinstance(words, list) else []


def _line(spec: StepSpec) -> str:
    return shlex.join(_words(spec))


def _commit(spec: StepSpec) -> str | None:
    commit = spec.params.get("commit")
    return str(commit) if commit is not None else None


def _commands(scripts: Scripts, spec: StepSpec) -> list[list[str]]:
    """Return the configured commands, with their secrets, that the step means: the plan holds it without."""
    options, ref, commit = scripts.options, str(spec.params["ref"]), _commit(spec)
    ways = (options.rollback, options.deploy) if commit is None else (options.rebuild,)
    real = [filled(words, ref, commit) for words in ways if words is not None]
    return [words for words in real if scripts.site.redactor.json([*words]) == spec.params["command"]]


def _changed(what: Message) -> LostRace:
    return LostRace(what, state=msg("No script was started"), next_command="backout plan")


def _how_it_ended(scripts: Scripts, acting: Acting) -> str:
    started = scripts.started()
    if started is None or started.step != acting.step_name:
        return ""
    status = scripts.job.exit()
    if status == 0:
        return "; the script ended with exit status 0"
    shown = "unknown (nobody was left to note it)" if status is None else status
    return f"; the script ended with exit status {shown}; its last lines:\n{scripts.last_lines()}"
