"""One look at the service in the cluster: its workloads, and every release that could be run."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from backout.errors import CredentialsRefused, LostRace
from backout.kubernetes.api import Api, Conflict
from backout.message import msg
from backout.platforms.kubernetes.history import need, read
from backout.platforms.kubernetes.kept import Kept
from backout.platforms.kubernetes.names import GENERATION
from backout.platforms.kubernetes.options import WorkloadName
from backout.platforms.kubernetes.records import Records
from backout.platforms.kubernetes.releases import Deployed, known, live, running
from backout.platforms.kubernetes.secrets import Look, Secrets
from backout.platforms.kubernetes.seen import Seen
from backout.platforms.kubernetes.template import Template, config_maps_of, original_of, secrets_of

_TRIES = 10
SAME_TIME_S = 0.05
"""Two that ask within this time ask at once: what runs, and what could be run, are asked side by side."""


@dataclass(frozen=True, slots=True)
class View:
    """What one look told.

    Attributes:
        live: What the workloads are told to run.
        releases: Every release that could be run, `live` first.
        running: Refs of what pods really run.
        configs: Hash of the content that each ConfigMap itself has now, by name.
        secrets: What the listed Secrets are now.
    """

    seens: tuple[Seen, ...]
    live: Deployed
    releases: tuple[Deployed, ...]
    running: tuple[str, ...]
    configs: dict[str, str]
    secrets: Look

    def version_of(self, ref: str) -> str | None:
        """Return what a ref's templates call the version."""
        return next((d.version for d in self.releases if d.ref == ref), None)


class Cluster:
    """Looks, keeps, stamps."""

    def __init__(
        self,
        api: Api,
        service: str,
        workloads: tuple[WorkloadName, ...],
        secrets: Secrets,
        held: tuple[WorkloadName, ...] = (),
    ) -> None:
        self._api, self._workloads, self._secrets, self._held = api, workloads, secrets, held
        self.generation: int | None = None
        """The number of the lease that this process took; None: it took none."""
        self._looking = threading.Lock()
        self._newest: tuple[float, View] | None = None
        self._kept = Kept(api, service)
        self._records = Records(api, service, self.keep)

    def seens(self, patience_s: float) -> tuple[Seen, ...]:
        """Return the workloads, in the declared order."""
        return tuple(read(self._api, workload, patience_s) for workload in self._workloads)

    def view(self, patience_s: float, *, age_s: float = SAME_TIME_S) -> View:
        """Return workloads and releases as they stand; who asks while another one looks shares that look.

        Args:
            patience_s: How long the server is waited for.
            age_s: How old a look may be that was taken before.
        """
        asked_s = time.monotonic()
        with self._looking:
            if self._newest is not None and self._newest[0] >= asked_s - age_s:
                return self._newest[1]
            began_s = time.monotonic()
            view = self._look(patience_s)
            self._newest = (began_s, view)
            return view

    def _look(self, patience_s: float) -> View:
        seens = self.seens(patience_s)
        recorded = self._records.read_deployed(patience_s)
        referred = _config_maps(seens)
        configs = self._contents(referred)
        contents = {original_of(n): configs[n] for n in referred if n in configs}
        now = live(seens, contents, _originals(_secrets(seens)))
        releases = known(seens, recorded, now)
        wanted = {original_of(n) for d in releases for n in d.configs or {}}
        plain = self._contents(wanted - set(configs)) | configs
        return View(
            seens=seens,
            live=releases[0],
            releases=releases,
            running=running(seens, releases),
            configs={name: plain[name] for name in sorted(wanted) if name in plain},
            secrets=self._secrets.look(patience_s),
        )

    def template(self, seen: Seen, hash: str) -> Template | None:
        """Return a template of a workload, from its history or from what was kept; None: neither has it."""
        found = next((r.template for r in seen.revisions if r.hash == hash), None)
        return found or self._kept.template(hash)

    def keep(self, ref: str) -> Deployed | None:
        """Keep what the release of that ref is made of, if it is the live one; else None. Idempotent."""
        seens = self.seens(20.0)
        if live(seens, None).ref != ref:
            return None
        contents = {original_of(n): h for n in _config_maps(seens) if (h := self._kept.keep_config(n))}
        for seen in seens:
            self._kept.keep_template(seen.object["spec"]["template"])
        secrets = _secrets(seens)
        prints = self._secrets.keep(secrets)
        return live(seens, contents, _originals(secrets)).model_copy(update={"prints": prints})

    def stamp(self, generation: int) -> None:
        """Write a new owner's generation on every workload, and on what a hold changes; a lost race is tried again.

        Raises:
            LostRace: Somebody changes one of them all the time.
        """
        self.generation = generation
        for workload in self._workloads:
            self._stamp(workload, generation)
        for thing in self._held:
            # One that is not there, or that our Role does not let us change, an earlier owner cannot change either.
            with suppress(CredentialsRefused):
                self._stamp(thing, generation, needed=False)

    def _stamp(self, thing: WorkloadName, generation: int, *, needed: bool = True) -> None:
        for _ in range(_TRIES):
            obj = need(self._api, thing, 20.0) if needed else self._api.get(thing.kind, thing.name)
            if obj is None:
                return
            mark = {
                "annotations": {GENERATION: str(generation)},
                "resourceVersion": obj["metadata"]["resourceVersion"],
            }
            with suppress(Conflict):
                self._api.patch(thing.kind, thing.name, {"metadata": mark})
                return
        raise LostRace(
            msg("{workload} is changed by somebody else all the time", workload=thing.text),
            state=msg("Nothing else was changed."),
            next_command="backout status",
        )

    def _contents(self, names: set[str]) -> dict[str, str]:
        found = {name: self._kept.config_hash(name) for name in sorted(names)}
        return {name: content for name, content in found.items() if content is not None}


def _config_maps(seens: tuple[Seen, ...]) -> set[str]:
    return {name for s in seens for name in config_maps_of(s.object["spec"]["template"])}


def _secrets(seens: tuple[Seen, ...]) -> set[str]:
    return {name for s in seens for name in secrets_of(s.object["spec"]["template"])}


def _originals(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted({original_of(name) for name in names}))
