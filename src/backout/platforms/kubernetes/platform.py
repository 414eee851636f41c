"""The platform itself: observes, lists, identifies, and proposes the switch."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from backout.errors import BackoutError, UnknownVersion
from backout.kubernetes.api import Api
from backout.kubernetes.controllers import owners_of
from backout.kubernetes.kubeconfig import choose
from backout.message import Message, msg
from backout.observed import Owner, SecretChange, Workload
from backout.platforms.abilities import Offer
from backout.platforms.base import Capabilities, Detection, Diagnosis, Site
from backout.platforms.kubernetes.automation import Automation, automation_of, declared
from backout.platforms.kubernetes.cluster import SAME_TIME_S, Cluster, View
from backout.platforms.kubernetes.grounds import Grounds
from backout.platforms.kubernetes.lease import ClusterLease, need_newest
from backout.platforms.kubernetes.options import KubernetesOptions
from backout.platforms.kubernetes.records import Records
from backout.platforms.kubernetes.runs import Runs
from backout.platforms.kubernetes.secrets import Secrets
from backout.platforms.kubernetes.seen import Seen, progress
from backout.platforms.kubernetes.switch import (
    facts_of,
    propose,
    propose_keep_one,
    propose_pauses,
    propose_restart,
)
from backout.platforms.kubernetes.switch_secrets import secret_changes, secret_facts
from backout.release import Artefact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from backout.holds.base import HoldMeans
    from backout.plan.base import StepKind
    from backout.plan.model import StepSpec
    from backout.platforms.kubernetes.releases import Deployed

_PATIENCE_S = 5.0
_JUST_NOW_S = 2.0
"""What a release is made of, and that it is there, may be told by the look that somebody just took at what runs."""


class KubernetesPlatform:
    """One service as workloads of one namespace.

    An artefact's ref is its version and a hash over the pod templates: ``5.3.0+1a2b3c4d``. It is the same for the
    same templates, whatever the revisions are numbered.
    """

    kind: ClassVar[str] = "kubernetes"
    capabilities: ClassVar[Capabilities] = Capabilities(immutable_identity=True, history=True, fenced=True)
    Options: ClassVar[type[BaseModel]] = KubernetesOptions

    def __init__(self, options: KubernetesOptions, site: Site) -> None:
        self.options, self.site = options, site
        file = site.directory / options.kubeconfig if options.kubeconfig else None
        self.api = Api(partial(choose, file, options.context, site.environ), options.namespace, site.clock)
        self.secrets = Secrets(self.api, site.service, options.secrets, site.redactor)
        held = tuple(n for n in options.hold.names if n not in options.names)
        self.cluster = Cluster(self.api, site.service, options.names, self.secrets, held)

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> KubernetesPlatform:
        """Bind the platform to a service; touches nothing."""
        return cls(KubernetesOptions.model_validate(options.model_dump()), site)

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for manifests below a directory; changes nothing, asks no cluster."""
        from backout.platforms.kubernetes.detect import detect

        return detect(directory)

    @classmethod
    def step_kinds(cls) -> Mapping[str, StepKind]:
        """Return the kinds of step of this platform."""
        from backout.platforms.kubernetes.steps import step_kinds

        return step_kinds()

    def observable(self) -> bool:
        """Return True: the API server tells what runs."""
        return True

    def observe(self, deadline_s: float) -> Workload:
        """Return what runs now.

        Raises:
            TargetUnreachable: The API server does not answer within the deadline.
            CredentialsRefused: It does not let us look.
            NotPossible: A workload of the configuration is not there.
        """
        view = self.cluster.view(deadline_s)
        digest = view.live.digest
        running = tuple(
            Artefact(ref=ref, digest=digest if ref == view.live.ref else None, version=view.version_of(ref))
            for ref in view.running
        )
        return Workload(
            wanted=view.live.artefact,
            running=running,
            up=sum(len(s.ready) for s in view.seens),
            expected=max(1, sum(s.replicas for s in view.seens)),
            owners=self.owners(view.seens, deadline_s),
            detail={
                "namespace": self.api.namespace,
                "context": self.api.config.context_name,
                "workloads": [facts_of(s) for s in view.seens],
                "configs": dict(view.configs),
                "secrets": secret_facts(view.secrets, self.options.secrets),
                "releases": {d.ref: d.model_dump(mode="json") for d in view.releases},
            },
        )

    def automation(self, name: str) -> Automation:
        """Return a declared automation that can be paused; raises `UsageError`."""
        return automation_of(self.options.automation, name, self.site)

    def owners(self, seens: tuple[Seen, ...], deadline_s: float) -> tuple[Owner, ...]:
        """Return who else owns the workloads, with what is declared of them."""
        options = self.options.automation
        paused = {o.manager: Automation(o, self.site).paused(deadline_s / 2) for o in options if o.probe}
        return declared(
            owners_of(self.api, [(s.workload.text, s.object) for s in seens], deadline_s), options, paused
        )

    def hurry(self, seconds: float | None) -> None:
        """Give up so many seconds from now whatever is asked of the API server; a plugin for credentials runs before."""
        with suppress(BackoutError):  # What is wrong with it is told by whoever asks.
            _ = self.api.config
        self.api.patience.hurry(seconds)

    @property
    def where(self) -> Message:
        """Context and namespace."""
        context, namespace = self.api.config.context_name, self.api.namespace
        return msg("context {context}, namespace {namespace}", context=context, namespace=namespace)

    @property
    def ready_within_s(self) -> float:
        """Seconds that a roll-out may take."""
        return self.options.rollout_timeout_s

    def not_ready(self) -> Message | None:
        """Return why what the workloads are told to run is not there yet; None if it is."""
        for seen in self.cluster.seens(_PATIENCE_S):
            found = progress(seen, seen.wanted, {})
            if not found.done:
                return found.evidence
        return None

    def ready(self, deadline_s: float) -> bool | None:
        """Return whether every pod is available, of the template that is wanted."""
        return self.not_ready() is None

    def artefacts(self, deadline_s: float) -> tuple[Artefact, ...]:
        """Return what could be run, newest first, the one that runs in front."""
        return tuple(d.artefact for d in self.cluster.view(deadline_s).releases)

    def identify(self, ref: str) -> Artefact:
        """Return the release with the digest of its templates and images, where the images are known.

        Args:
            ref: Its ref, or the version as its templates call it: then the newest of that name.

        Raises:
            UnknownVersion: The cluster has no such release.
        """
        found = self._deployed(ref, _JUST_NOW_S) or self._deployed(ref, SAME_TIME_S)
        if found is None:
            raise UnknownVersion(
                msg("Neither the history of {workload} nor a record has {ref}",
                    workload=self.options.workloads[0], ref=ref),
                state=msg("Nothing was changed."),
                next_command=self.api.kubectl("rollout", "history", self.options.workloads[0]),
            )  # fmt: skip
        return found.artefact.model_copy(update={"digest": found.digest})

    def _deployed(self, ref: str, age_s: float) -> Deployed | None:
        """Return the release of that ref, else the newest of that version, as a look of at most that age has it."""
        releases = self.cluster.view(_PATIENCE_S, age_s=age_s).releases
        found = next((d for d in releases if d.ref == ref), None)
        return found or next((d for d in releases if d.version == ref), None)

    def offer(self, workload: Workload, name: str) -> Offer | None:
        """Return what `kubectl set image` would make of that image; None: it names none."""
        from backout.platforms.kubernetes.offer import offer

        return offer(self, workload, name, _PATIENCE_S)

    def secret_changes(self, workload: Workload, to: Artefact) -> tuple[SecretChange, ...]:
        """Return the listed Secrets that are others now than the release had. Pure."""
        return secret_changes(workload, to)

    def switch(
        self, workload: Workload, to: Artefact, *, from_version: str | None, to_version: str
    ) -> tuple[StepSpec, ...]:
        """Propose: what would undo it is paused, then each workload gets its template, in the declared order. Pure."""
        pauses = propose_pauses(workload, self.options.automation, to_version, self.site.redactor.text)
        return pauses + propose(
            workload,
            to,
            from_version=from_version,
            to_version=to_version,
            kubectl=self.api.kubectl(),
            timeout_s=self.options.rollout_timeout_s,
        )

    def restart(self, to: Artefact, version: str) -> tuple[StepSpec, ...]:
        """Propose: every workload is restarted, in the declared order."""
        return propose_restart(
            self.observe(_PATIENCE_S),
            to,
            version,
            kubectl=self.api.kubectl(),
            timeout_s=self.options.rollout_timeout_s,
        )

    def keep_one(self, workload: Workload, version: str) -> tuple[StepSpec, ...]:
        """Propose: one pod of what runs is taken aside before it is replaced. Pure."""
        return propose_keep_one(workload, version, kubectl=self.api.kubectl())

    def hold_means(self) -> tuple[HoldMeans, ...]:
        """Return the means of holding that the configuration names."""
        from backout.platforms.kubernetes.holds.made import means_of

        return means_of(self.options, self.api, self.site.clock, self._need_newest)

    def _need_newest(self) -> None:
        """Raise `LeaseLost` if somebody took the lease over that this process took."""
        if self.cluster.generation is not None:
            need_newest(self.api, self.site.service, self.cluster.generation)

    def lease_store(self) -> ClusterLease:
        """Return the lease in the cluster."""
        return ClusterLease(self.api, self.site.service, self.cluster.stamp)

    def record_store(self) -> Records:
        """Return the records in the cluster."""
        return Records(self.api, self.site.service, self.cluster.keep)

    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        """Yield what a post-mortem asks for, before a roll-out deletes it."""
        from backout.platforms.kubernetes.evidence import evidence

        return evidence(self.api, self.options.names, deadline_s)

    def evidence_by_hand(self) -> tuple[str, ...]:
        """Return the commands that a person would type for it."""
        from backout.platforms.kubernetes.evidence import by_hand

        return by_hand(self.api, self.options.names)

    def run_store(self) -> Runs:
        """Return the runs in the cluster."""
        return Runs(self.api, self.site.service)

    def grounds_store(self) -> Grounds:
        """Return the schemas and quarantines in the cluster."""
        return Grounds(self.api, self.site.service)

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        from backout.platforms.kubernetes.doctor import diagnose

        return diagnose(self)

    def view(self, deadline_s: float) -> View:
        """Return workloads and releases as they stand."""
        return self.cluster.view(deadline_s)
