"""Kill -9 at the journal's boundaries and inside the steps of the code scenario on the node; then whoever is left goes on.

Every second round goes on with what the machine has, the others with a folder that holds nothing but the configuration.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.crash.totals import Totals

from backout import Backout
from backout.execute.mirror import told
from backout.execute.run import RunState, StepState
from backout.platforms.kubernetes import KubernetesPlatform

from .service import KubeService

pytestmark = [pytest.mark.slow, pytest.mark.crash]

ACCEPT = [word for risk in ("quarantined", "known-bad", "schema-unknown") for word in ("--accept", risk)]
RUN = ("run", "--yes", "--to", "1.0.0", *ACCEPT)
INSIDE = ("lease.take.", "kubernetes.lease.", "kubernetes.run.", "kubernetes.quarantine.", "kubernetes.template.", "records.target.", "lease.release.")  # fmt: skip
EVERYTHING = int(os.environ.get("BACKOUT_CRASH_RANDOM", "5")) >= 50
"""Every point, as `make crash` wants it; else a few: a round takes ten seconds."""
FEW = 3


class Rounds:
    """One namespace, in which 2.0.0 runs at the beginning of a round and is to go back to 1.0.0."""

    def __init__(self, service: KubeService) -> None:
        self.service, self.cli = service, service.configure()
        service.recorded(self.cli)

    def points(self) -> list[str]:
        """Return every fault point that a way back passes, in order, by going there the second time.

        The first time also writes what every later one finds written: that 1.0.0 is good.
        """
        log = self.cli.directory / "faults.log"
        self.cli(*RUN).ended(0)
        self.begin()
        self.cli(*RUN, env={"BACKOUT_FAULT_LOG": str(log)}).ended(0)
        assert not self.troubles()
        return log.read_text().split()

    def begin(self) -> None:
        """Let 2.0.0 run again."""
        self.cli("run", "--yes", "--to", "2.0.0", *ACCEPT).ended(0)

    def round(self, point: str, *, wiped: bool) -> list[str]:
        """Kill a way back at a point, go on, and return what is wrong then."""
        died = self.cli(*RUN, env={"BACKOUT_FAULT": point})
        if died.code != -signal.SIGKILL:
            return [f"was not killed: {died.everything}"]
        if wiped:
            shutil.rmtree(self.cli.directory / ".backout")
        with self.library() as backout:
            waits = any(run.open for run in backout.history().runs)
        done = self.cli(*(("resume",) if waits else RUN))
        found = [] if done.code == 0 else [f"ended with {done.code}: {done.everything}"]
        return found + self.troubles()

    def troubles(self) -> list[str]:
        """Return what is not as at the end of a way back that nobody disturbed."""
        with self.library() as backout:
            parts, runs = backout.parts, backout.history(verify=True).runs
            events = parts.journal.events(runs[0].id)
            lease = parts.lease_store.read()
            confirmed = Counter(str(e.body["key"]) for e in events if e.kind == "step.confirmed")
            platform = parts.platform
            assert isinstance(platform, KubernetesPlatform)
            states = {r.version: r.state.value for r in platform.record_store().read_records()}
            found = {
                "versions that serve": (self.service.served(), ["1.0.0"]),
                "run": (runs[0].state, RunState.FINISHED),
                "goes to": (runs[0].plan.to_version, "1.0.0"),
                "steps": ({s.state for s in runs[0].steps}, {StepState.CONFIRMED}),
                "confirmations of a step": (set(confirmed.values()), {1}),
                "runs that wait": ([r.id for r in runs if r.open], []),
                "events in the cluster": (
                    [e.kind for e in platform.run_store().read(runs[0].id)],
                    [told(e).kind for e in events],
                ),
                "quarantined": ([q.version for q in parts.book.quarantined()], ["2.0.0"]),
                "record of what was left": (states["2.0.0"], "bad"),
                "acting": (lease.run if lease else None, None),
            }
        return [f"{name}: {got}, wanted {wanted}" for name, (got, wanted) in found.items() if got != wanted]

    def library(self) -> Backout:
        return Backout.from_config(self.cli.directory / "backout.yaml", self.cli.environ)


@pytest.fixture(scope="module")
def rounds(service: KubeService) -> Rounds:
    return Rounds(service)


@pytest.fixture(scope="module")
def points(rounds: Rounds) -> list[str]:
    found = rounds.points()
    for inside in INSIDE:
        assert any(p.startswith(inside) for p in found), f"no fault point inside {inside}"
    return found


def chosen(points: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield all points, or few, the end and the change of the workload; and whether the folder is lost, every second time."""
    every = len(points) // FEW
    few = [
        "journal.run.finished.after:1",  # its end is here alone, and whoever has an empty folder next must learn of it
        *points[every // 2 :: every],
        "kubernetes.template.before:1",
        "kubernetes.template.after:1",
    ]
    yield from zip(points if EVERYTHING else few, itertools.cycle((False, True)), strict=False)


def test_killed_anywhere_the_run_comes_to_the_same_end(
    rounds: Rounds, points: list[str], record_property: Callable[[str, object], None]
) -> None:
    totals, troubles = Totals(), []
    for point, wiped in chosen(points):
        rounds.begin()
        found = rounds.round(point, wiped=wiped)
        who = "an empty folder" if wiped else "the same folder"
        totals.count(f"killed on Kubernetes, gone on with from {who}", not found)
        troubles += [f"{point}, {who}: {trouble}" for trouble in found]
        sys.stdout.write(f"{point}, {who}: {found or 'ok'}\n")
        sys.stdout.flush()
    record_property("crash", totals.as_property())
    assert not troubles, "\n".join(troubles)
