"""The platform itself: observes, lists, identifies, and proposes the switch."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ValidationError

from backout.errors import ConfigError, TargetUnreachable, UnknownVersion
from backout.message import Message, msg
from backout.observed import Workload
from backout.platforms.base import Capabilities, Detection, Diagnosis, Site
from backout.platforms.process.detect import detect
from backout.platforms.process.files import disk_errors
from backout.platforms.process.lease import FileLeaseStore
from backout.platforms.process.options import ProcessOptions
from backout.platforms.process.records import FileRecordStore, recall, to_remember
from backout.platforms.process.service import Service
from backout.platforms.process.strangers import told
from backout.platforms.process.tree import digest_of_tree
from backout.release import Artefact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backout.document import Json
    from backout.plan.base import StepKind
    from backout.plan.model import StepSpec

_NOT_KNOWN = msg("What runs is not known, and a second copy would act beside it; nothing was changed")


class ProcessPlatform(Service):
    """One service as a local process. An artefact's ref is the name of its release folder."""

    kind: ClassVar[str] = "process"
    capabilities: ClassVar[Capabilities] = Capabilities(immutable_identity=True, history=True, fenced=True)
    Options: ClassVar[type[BaseModel]] = ProcessOptions

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> ProcessPlatform:
        """Bind the platform to a service; touches nothing."""
        return cls(ProcessOptions.model_validate(options.model_dump()), site)

    @classmethod
    def from_root(cls, root: Path, site: Site) -> ProcessPlatform | None:
        """Return the platform without any configuration: from what the last record left, else by looking.

        Args:
            root: Folder with `releases` and `current`.
            site: Names, environment, clock and redactor; remembered names win over its names.

        Returns:
            The platform, or None if there is nothing of this kind at `root`.

        Raises:
            ConfigError: There is, but something that is needed could not be found; it is named.
        """
        root = root.resolve()
        remembered, found = recall(root), detect(root)
        if remembered is None and found is None:
            return None
        looked: dict[str, object] = dict(found.options) if found else {}
        options = {**looked, **(remembered.options if remembered else {}), "root": str(root)}
        site = replace(site, directory=root)
        if remembered:
            site = replace(site, service=remembered.service, environment=remembered.environment)
        try:
            return cls(ProcessOptions.model_validate(options), site)
        except ValidationError as error:
            missing = ", ".join(sorted({str(e["loc"][0]) for e in error.errors() if e["loc"]}))
            raise ConfigError(
                msg(
                    "{root} does not tell how to run the service; missing: {missing}",
                    root=str(root),
                    missing=missing,
                ),
                state=msg("Nothing was changed"),
                next_command=f"cd {shlex.quote(str(root))} && backout init",
            ) from None

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for `current` and `releases` below a directory; changes nothing."""
        return detect(directory)

    @classmethod
    def step_kinds(cls) -> Mapping[str, StepKind]:
        """Return the kinds of step of this platform."""
        from backout.platforms.process.steps import step_kinds

        return step_kinds()

    def observable(self) -> bool:
        """Return True: links and processes can always be looked at."""
        return True

    def observe(self, deadline_s: float) -> Workload:
        """Return what runs now. Local reads, and one short request if nothing runs: no deadline is needed.

        Raises:
            TargetUnreachable: It cannot be told: also when nothing known runs and the ready URL answers, or a
                process of a release may be the service.
        """
        self._need_root()
        processes, linked = self.running(), self.layout.linked()
        if not processes and self.answers():
            processes = self.running()  # it may have been started between the two looks
            if not processes:
                raise self._stranger()
        if not processes and (strangers := self.strangers()):
            processes = self.running()  # as above
            if not processes:
                what, command = told(strangers, self.layout)
                raise TargetUnreachable(what, state=_NOT_KNOWN, next_command=command)
        detail: dict[str, Json] = {
            "link": linked,
            "processes": [{"pid": p.pid, "created": p.created, "ref": p.ref, "by": p.by} for p in processes],
        }
        refs = dict.fromkeys(p.ref for p in processes)
        return Workload(
            wanted=Artefact(ref=linked, since=self.layout.linked_at()) if linked else None,
            running=tuple(Artefact(ref=ref) for ref in refs),
            up=len(processes),
            expected=1,
            detail=detail,
        )

    @property
    def ready_within_s(self) -> float:
        """Seconds that a start may take."""
        return self.options.start_timeout_s

    def not_ready(self) -> Message | None:
        """Return why what the link names is not ready: no process of it, or the ready URL does not answer."""
        linked = self.layout.linked()
        if linked is None:
            return None
        if not any(found.by != "stop note" for found in self.running(linked)):
            return msg("no process of {ref} runs", ref=linked)
        trouble = self.trouble_of_ready_url()
        if trouble is None:
            return None
        return msg("{url} says {trouble}", url=str(self.options.ready_url), trouble=trouble)

    def artefacts(self, deadline_s: float) -> tuple[Artefact, ...]:
        """Return the release folders, newest first by their time of change."""
        self._need_root()
        with disk_errors(self.layout.releases):
            folders = [p for p in self.layout.releases.iterdir() if p.is_dir() and not p.name.startswith(".")]
            dated = sorted(((p.stat().st_mtime, p.name) for p in folders), reverse=True)
        return tuple(Artefact(ref=name, since=datetime.fromtimestamp(at_s, UTC)) for at_s, name in dated)

    def identify(self, ref: str) -> Artefact:
        """Return the release with the digest of its tree.

        Raises:
            UnknownVersion: There is no such release folder.
            TargetUnreachable: The folder cannot be read.
        """
        if Path(ref).name != ref or ref in ("", ".", "..") or not self.layout.release(ref).is_dir():
            raise UnknownVersion(
                msg("There is no release {ref} below {path}", ref=ref, path=str(self.layout.releases)),
                state=msg("Nothing was changed"),
                next_command=f"ls -lt {shlex.quote(str(self.layout.releases))}",
            )
        with disk_errors(self.layout.release(ref)):
            return Artefact(ref=ref, digest=digest_of_tree(self.layout.release(ref)))

    def switch(
        self, workload: Workload, to: Artefact, *, from_version: str | None, to_version: str
    ) -> tuple[StepSpec, ...]:
        """Propose: stop what is not the target, point the link, start the target. Pure."""
        from backout.platforms.process.steps import specs

        told, wanted = self.declared(), workload.wanted
        version_of = _versions(workload, from_version, to, to_version)
        stops = [specs.stop(a.ref, version_of[a.ref], told) for a in workload.running if a.ref != to.ref]
        previous: dict[str, Json] = {"ref": None, "version": None, "digest": None}
        if wanted:
            previous = {"ref": wanted.ref, "version": version_of[wanted.ref], "digest": wanted.digest}
        target: dict[str, Json] = {"ref": to.ref, "version": to_version, "digest": to.digest}
        return (*stops, specs.link(target, previous, told), specs.start(to.ref, to_version, told))

    def ready(self, deadline_s: float) -> bool | None:
        """Return whether the ready URL answers 2xx, within about a second; None: none is declared."""
        return None if self.options.ready_url is None else self.answers()

    def restart(self, to: Artefact, version: str) -> tuple[StepSpec, ...]:
        """Propose: stop it, start it. Pure."""
        from backout.platforms.process.steps import specs

        told = self.declared()
        return (specs.stop(to.ref, version, told), specs.start(to.ref, version, told))

    @property
    def place(self) -> str:
        """The absolute root."""
        return str(self.layout.root.resolve())

    def lease_store(self) -> FileLeaseStore:
        """Return the lease in ``<root>/.backout``."""
        return FileLeaseStore(self.layout, self.site.clock)

    def record_store(self) -> FileRecordStore:
        """Return the records in ``<root>/.backout``."""
        remembered = partial(
            to_remember,
            self.options,
            self.layout,
            service=self.site.service,
            environment=self.site.environment,
            redactor=self.site.redactor,
        )
        return FileRecordStore(self.layout, self.site.clock, remembered)

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        from backout.platforms.process.doctor import diagnose

        return diagnose(self)

    def _stranger(self) -> TargetUnreachable:
        pid_file = str(self.layout.pid_file)
        return TargetUnreachable(
            msg(
                "{url} answers, but not from a process that backout knows: neither its own lock nor "
                "{file} names one",
                url=str(self.options.ready_url),
                file=pid_file,
            ),
            state=_NOT_KNOWN,
            next_command=f"ss -ltnp  # whose port is it? if the service's: echo PID > {shlex.quote(pid_file)}",
        )

    def _need_root(self) -> None:
        if not self.layout.releases.is_dir():
            raise TargetUnreachable(
                msg("{path} is not there, or not readable", path=str(self.layout.releases)),
                state=msg("What runs is not known; nothing was changed"),
                next_command=f"ls -la {shlex.quote(str(self.layout.root))}",
            )


def _versions(workload: Workload, from_version: str | None, to: Artefact, to_version: str) -> dict[str, str]:
    """Return a version for each ref. A folder has its own name, unless the caller's name can only mean it."""
    refs = [a.ref for a in (*([workload.wanted] if workload.wanted else []), *workload.running)]
    found = {ref: ref for ref in refs}
    others = [ref for ref in dict.fromkeys(refs) if ref != to.ref]
    if from_version is not None and from_version not in found and others:
        found[others[0]] = from_version
    found[to.ref] = to_version
    return found
