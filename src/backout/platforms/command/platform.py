"""The platform itself: what the declared commands can tell, and the one step that acts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from backout.document import Json
from backout.errors import ConfigError, TargetUnreachable, UnknownVersion
from backout.git.repository import Repository
from backout.message import Message, msg
from backout.observed import Workload
from backout.plan.base import StepKind
from backout.plan.model import StepSpec
from backout.platforms.base import Capabilities, Detection, Diagnosis, LeaseStore, RecordStore, Site
from backout.platforms.command.options import CommandOptions, filled
from backout.platforms.command.rebuilding import built_from, find_source, with_source
from backout.platforms.command.scripts import Scripts
from backout.platforms.command.switch import RebuildStep, SwitchStep, switch_spec
from backout.release import Artefact, Release
from backout.revision import Source

READY_WITHIN_S = 30.0
"""How long a probe may stay without an answer after a deploy: scripts declare no time to start."""

_DEPLOY_FILES = ("bin/deploy", "script/deploy", "scripts/deploy.sh", "deploy.sh")
_ROLLBACK_FILES = ("bin/rollback", "script/rollback", "scripts/rollback.sh", "rollback.sh")


class CommandPlatform(Scripts):
    """A service that only its own scripts know how to change. An artefact's ref is what the probe prints.

    There is no identity beyond that name, and nothing at the target compares a lease: two operators on
    two machines are kept apart by the local store alone.
    """

    kind: ClassVar[str] = "command"
    capabilities: ClassVar[Capabilities] = Capabilities(immutable_identity=False, history=False, fenced=False)
    Options: ClassVar[type[BaseModel]] = CommandOptions

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> CommandPlatform:
        """Bind the platform to a service; touches nothing."""
        own = CommandOptions.model_validate(options.model_dump())
        return _CommandPlatformWithHistory(own, site) if own.list else CommandPlatform(own, site)

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for deploy and rollback scripts; changes nothing."""
        deploy = next((name for name in _DEPLOY_FILES if (directory / name).is_file()), None)
        rollback = next((name for name in _ROLLBACK_FILES if (directory / name).is_file()), None)
        if deploy is None:
            return None
        options: dict[str, object] = {"deploy": [f"./{deploy}", "{version}"]}
        if rollback:
            options["rollback"] = [f"./{rollback}", "{version}"]
        evidence = msg("{deploy} is there; check that it takes a version", deploy=deploy)
        return Detection(kind="command", options=options, evidence=evidence, confidence=0.4)

    @classmethod
    def step_kinds(cls) -> Mapping[str, StepKind]:
        """Return the kinds of step of this platform: bring what is there, or build it anew."""
        steps: tuple[StepKind, ...] = (SwitchStep(), RebuildStep())
        return {step.kind: step for step in steps}

    def observable(self) -> bool:
        """Return whether a probe is declared."""
        return self.options.probe is not None

    def observe(self, deadline_s: float) -> Workload:
        """Return what the probe says runs.

        Raises:
            TargetUnreachable: No probe is declared, or it did not answer.
        """
        found, why = self.running_version(deadline_s)
        if found is None:
            probe = self.options.probe
            raise TargetUnreachable(
                msg("What runs is not known: {why}", why=why),
                state=msg("Nothing was changed"),
                next_command=self.shown(probe) if probe else "backout doctor  # and declare platform.probe",
            )
        artefact = Artefact(ref=found)
        return Workload(wanted=artefact, running=(artefact,), up=1, expected=1, detail={"probe": found})

    @property
    def ready_within_s(self) -> float:
        """Seconds that the probe may stay without an answer after a deploy."""
        return READY_WITHIN_S

    def not_ready(self) -> Message | None:
        """Return why the probe does not answer; None if it does, or none is declared."""
        if self.options.probe is None:
            return None
        found, why = self.running_version(self.options.probe_timeout_s)
        return None if found is not None else msg("the probe does not answer: {why}", why=why)

    def artefacts(self, deadline_s: float) -> tuple[Artefact, ...]:
        """Return what the list command prints; raises `TargetUnreachable`, also when none is declared."""
        return tuple(Artefact(ref=version) for version in self.versions(deadline_s))

    def identify(self, ref: str) -> Artefact:
        """Return the artefact; it has no digest.

        Raises:
            UnknownVersion: A list command is declared and does not name it.
            TargetUnreachable: The list command failed.
        """
        if self.options.list is not None and ref not in self.versions(self.options.probe_timeout_s):
            raise UnknownVersion(
                msg("The list command does not name {ref}", ref=ref),
                state=msg("Nothing was changed"),
                next_command=self.shown(self.options.list),
            )
        return Artefact(ref=ref)

    def switch(
        self, workload: Workload, to: Artefact, *, from_version: str | None, to_version: str
    ) -> tuple[StepSpec, ...]:
        """Propose the script: `rollback` if declared, else `deploy`; its inverse is `deploy`. Pure.

        What has no artefact any more (see `find_source`) is built by `rebuild`, both ways.

        Raises:
            ConfigError: The version stands in a value that is kept secret, so no plan could name it.
        """
        self._refuse_secret(to.ref, to_version)
        options, wanted = self.options, workload.wanted
        target = self._way(
            options.rollback or options.deploy, to.ref, to_version, built_from(workload, to.ref)
        )
        previous = None
        if wanted is not None:
            commit = built_from(workload, wanted.ref)
            previous = self._way(options.deploy, wanted.ref, from_version or wanted.ref, commit)
        return (switch_spec(target, previous, cwd=str(self.cwd), timeout_s=options.timeout_s),)

    @property
    def builds(self) -> bool:
        """Whether `rebuild` is declared."""
        return self.options.rebuild is not None

    def find_source(self, release: Release, deadline_s: float) -> Source | None:
        """Return how a release would be brought, as its artefact and git say now; None: `rebuild` is not declared."""
        return find_source(self, release, deadline_s)

    def with_source(self, workload: Workload, release: Release, source: Source | None) -> Workload:
        """Return the workload with what `switch` has to know of it. Pure."""
        return with_source(workload, release, source)

    def lease_store(self) -> LeaseStore | None:
        """Return None: scripts keep no lease."""
        return None

    def record_store(self) -> RecordStore | None:
        """Return None: scripts keep no records."""
        return None

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need; runs the probe and the list command only."""
        return self._diagnose()

    def _diagnose(self) -> Iterator[Diagnosis]:
        options = self.options
        for name in ("deploy", "rollback", "artefact", "probe", "list"):
            command = getattr(options, name)
            if command:
                yield self._program(name, command)
        if options.probe is None:
            evidence = msg("No probe is declared: a run ends as outcome unknown (exit 7)")
            yield Diagnosis(
                subject="probe", ok=False, evidence=evidence, remedy="declare platform.probe in backout.yaml"
            )
        else:
            found, why = self.running_version()
            evidence = (
                msg("It says that {found} runs", found=found) if found else msg("No answer: {why}", why=why)
            )
            remedy = None if found else self.shown(options.probe)
            yield Diagnosis(subject="probe answers", ok=found is not None, evidence=evidence, remedy=remedy)

        if options.rebuild is not None:
            yield self._repository()
            if (left := self.left_behind()) is not None:
                evidence = msg(
                    "{path} was left behind when a build was killed; the next build takes it away",
                    path=str(left),
                )
                remedy = self.shown(("git", "worktree", "remove", "--force", "--force", str(left)))
                yield Diagnosis(subject="worktree", ok=False, evidence=evidence, remedy=remedy)

    def _repository(self) -> Diagnosis:
        repository = Repository(self.cwd, self.options.probe_timeout_s)
        try:
            shallow = repository.text("rev-parse", "--is-shallow-repository").strip() == "true"
        except TargetUnreachable as error:
            remedy = self.shown(("git", "status"))
            return Diagnosis(subject="rebuild", ok=False, evidence=error.what, remedy=remedy)
        evidence = msg("Git answers; a build starts from the commits that are in {path}", path=str(self.cwd))
        if not shallow:
            return Diagnosis(subject="rebuild", ok=True, evidence=evidence)
        evidence = msg(
            "{path} is a shallow clone: it has not the commits of most earlier releases", path=str(self.cwd)
        )
        remedy = self.shown(("git", "fetch", "--tags", "--unshallow"))
        return Diagnosis(subject="rebuild", ok=False, evidence=evidence, remedy=remedy)

    def _program(self, name: str, command: tuple[str, ...]) -> Diagnosis:
        found = self.program_of(command)
        shown = self.site.redactor.text(command[0])
        if found:
            return Diagnosis(subject=name, ok=True, evidence=msg("{program} can be executed", program=shown))
        evidence = msg("{program} is not there, or not executable", program=shown)
        return Diagnosis(subject=name, ok=False, evidence=evidence, remedy=self.shown(("ls", "-l", shown)))

    def _refuse_secret(self, *names: str) -> None:
        for name in names:
            if (shown := self.site.redactor.text(name)) != name:
                raise ConfigError(
                    msg("The version would be written down as {shown}: a value that is kept secret, such as one "
                        "of platform.env, stands in it", shown=shown),
                    state=msg("Nothing was changed"),
                    next_command="${EDITOR:-vi} backout.yaml  # take that value out of platform.env",
                )  # fmt: skip

    def _way(self, command: tuple[str, ...], ref: str, version: str, commit: str | None) -> dict[str, Json]:
        if commit is not None and self.options.rebuild is not None:
            command = self.options.rebuild
        words = self.site.redactor.json([*filled(command, ref, commit)])
        return {"ref": ref, "version": version, "command": words, "commit": commit}


class _CommandPlatformWithHistory(CommandPlatform):
    """The same, where a list command is declared."""

    capabilities: ClassVar[Capabilities] = Capabilities(immutable_identity=False, history=True, fenced=False)
