"""The crash suite's tools: one stage with clients, commands that die where they are told to, and what must hold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backout import Backout
from backout.demo import stage_databases
from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage
from backout.execute.owner import is_dead
from backout.execute.run import Run, StepState
from backout.platforms.process.records import FileRecordStore

from .totals import Totals

Sample = Callable[[Sequence[str], int], list[str]]
PATIENCE_S = 90.0
RUN = ("run", "--yes", "--to", GOOD)
CODE = "code"
"""The snapshot at the beginning of a round: 5.4.0 runs and is bad."""
# Short proofs, so that a round takes seconds; generous limits, so that a busy machine is no failure.
_SHORT_PROBES = {"count: 300": "count: 100", "per_second: 150": "per_second: 400", "max_error_rate: 0.01": "max_error_rate: 0.1", "max_p95_ms: 250": "max_p95_ms: 5000"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        """Whether it was ended by KILL."""
        return self.code == -signal.SIGKILL

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.out[-800:]}{self.err[-1500:]}"


class Crash:
    """A stage on which 5.4.0 runs and is bad, with clients that never stop."""

    def __init__(self, stage: Stage, clients: Clients) -> None:
        self.stage, self.clients = stage, clients
        self.totals = Totals()
        """What the test that runs has counted."""
        self._log = stage.directory / "faults.log"
        self._marks = 0
        self._start: str | None = None

    def prepare(self) -> None:
        """Deploy and record both releases, and remember that as the beginning of every round (`CODE`)."""
        config = self.stage.config.read_text()
        for long, short in _SHORT_PROBES.items():
            assert long in config, f"the demo's configuration no longer says {long}"
            config = config.replace(long, short)
        self.stage.config.write_text(config)
        self.stage.deploy(GOOD)
        self.must("record")
        self.stage.snapshot("good")
        self.stage.deploy(BAD)
        self.must("record", "--no-checks")
        self.stage.snapshot(CODE)

    def reset(self, start: str = CODE) -> None:
        """Bring a snapshot back for the next round; clients wait meanwhile instead of failing.

        The rows of this round are counted before they are gone.
        """
        self.stage.set_front("queue")
        stage_databases.let_connect(self.stage.postgres.superuser_url)
        self.count_rows()
        self.stage.reset(start)
        self._log.unlink(missing_ok=True)

    def count_rows(self) -> int:
        """Count what was acknowledged since the last count; return how much of it is in no database."""
        lost = len(self.lost())
        self.totals.acknowledged += len(self.clients.acknowledged(self._start))
        self.totals.lost += lost
        self._start = self.mark()
        return lost

    def lost(self) -> set[str]:
        """Return the reports acknowledged since the last count that are in no database that is or was live."""
        return self.clients.missing(*self.all_urls(), since=self._start)

    @property
    def live_url(self) -> str:
        """The database that the service uses, as its owner."""
        return self.stage.database_url

    def all_urls(self) -> tuple[str, ...]:
        """Every database that is or was live."""
        return (self.stage.database_url, *self.stage.kept_urls())

    # --- commands ---------------------------------------------------------------------------------

    def start(
        self, *words: str, fault: str | None = None, how: str = "KILL", **more: Any
    ) -> subprocess.Popen[str]:
        """Start `backout …` in the stage's directory; `fault` is where it sends itself the signal `how`."""
        env = {**self.stage.environ(), "COLUMNS": "160", "BACKOUT_FAULT_LOG": str(self._log)}
        if fault:
            env |= {"BACKOUT_FAULT": fault, "BACKOUT_FAULT_SIGNAL": how}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.Popen([sys.executable, "-m", "backout", *words], cwd=self.stage.directory, env=env, text=True, start_new_session=True, **pipes)  # fmt: skip

    def command(self, *words: str, fault: str | None = None) -> Ended:
        """Run `backout …` to its end."""
        return ended(self.start(*words, fault=fault))

    def must(self, *words: str) -> None:
        """Run `backout …`, which has to succeed."""
        done = self.command(*words)
        assert done.code == 0, f"backout {' '.join(words)}: {done}"

    def points(self, *words: str) -> list[str]:
        """Return every fault point that a command passes, in order, by running it from where things stand."""
        self._log.unlink(missing_ok=True)
        self.must(*words)
        return self._log.read_text().split()

    def go_on(self, otherwise: tuple[str, ...] = RUN, fault: str | None = None) -> Ended:
        """Type what a person would: resume the run that waits, or begin again where none was begun."""
        if self.open_runs():
            return self.command("resume", fault=fault)
        return self.command(*otherwise, fault=fault)

    def frozen(self, *words: str, at: str) -> subprocess.Popen[str]:
        """Start a command that freezes itself at a point, and return it once it has."""
        process = self.start(*words, fault=at, how="STOP")
        pid, status = os.waitpid(process.pid, os.WUNTRACED)
        assert pid == process.pid and os.WIFSTOPPED(status), f"{at} was not reached"
        return process

    def passed(self, point: str) -> bool:
        """Whether the command that runs has come to a point."""
        return self._log.exists() and point in self._log.read_text().split()

    # --- what is so -------------------------------------------------------------------------------

    def library(self) -> Backout:
        """Return Backout as a library, on this stage."""
        return Backout.from_config(self.stage.config, self.stage.environ())

    def open_runs(self) -> list[str]:
        """Return the runs that wait."""
        with self.library() as backout:
            return [run.id for run in backout.history().runs if run.open]

    def picture(self) -> dict[str, Any]:
        """Return all that two ends of the same rollback must have in common."""
        with self.library() as backout:
            parts = backout.parts
            at_target = parts.platform.record_store()
            assert isinstance(at_target, FileRecordStore)
            lease = parts.lease_store.read()
            rows = parts.store.rows("SELECT document FROM releases ORDER BY version")
            here = [json.loads(str(row[0])) for row in rows]
            there = [r.model_dump(mode="json") for r in at_target.read_records()]
            return {
                "world": self.stage.state(),
                "records here": _states(here),
                "records at the target": _states(there),
                "records agree": sorted(here, key=_id) == sorted(there, key=_id),
                "quarantined": sorted(q.version for q in parts.book.quarantined()),
                "acting": lease.run if lease and lease.run and not is_dead(lease.process) else None,
                "drafts": sorted(p.name for p in self.stage.root.iterdir() if p.name not in _KNOWN),
            }

    def differences(self, wanted: dict[str, Any]) -> list[str]:
        """Return how the picture differs from the wanted one."""
        found = self.picture()
        return [
            f"{name}: {_only(found[name], wanted[name])}, wanted {_only(wanted[name], found[name])}"
            for name in wanted
            if found[name] != wanted[name]
        ]

    def journal_troubles(self) -> list[str]:
        """Return what is wrong with the journal: it must verify, and every finished run have each step confirmed once."""
        troubles = []
        with self.library() as backout:
            for run in backout.history(verify=True).runs:
                events = backout.parts.journal.events(run.id)
                confirmed = Counter(str(e.body["key"]) for e in events if e.kind == "step.confirmed")
                twice = [key for key, times in confirmed.items() if times > 1]
                troubles += [f"{run.id}: {key} confirmed twice" for key in twice]
                if run.finished_at and not run.aborted_by:
                    troubles += [
                        f"{run.id}: {s.key} is {s.state}"
                        for s in run.steps
                        if s.state is not StepState.CONFIRMED
                    ]
        return troubles

    def newest(self) -> Run:
        """Return the newest run."""
        with self.library() as backout:
            return backout.history(limit=1).runs[0]

    # --- clients ----------------------------------------------------------------------------------

    def mark(self) -> str:
        """Note this moment for `saw`, and return its name."""
        self._marks += 1
        self.clients.mark(str(self._marks))
        return str(self._marks)

    def saw(self, claim: str, since: str, until: str | None = None) -> int:
        """Add what came of the clients' requests of a span to a claim's figures; return how many failed."""
        summary = self.clients.summary(since, until)
        self.totals.saw(claim, summary.requests_sent, summary.longest_request_seconds, dict(summary.failures))
        return summary.requests_failed


class Rounds:
    """Rounds of one claim: each is tried, counted and told; the trouble of all is shown together."""

    def __init__(self, crash: Crash, claim: str, say: Callable[[str], None]) -> None:
        self.crash, self.claim, self._say = crash, claim, say
        self.troubles: list[str] = []
        self.done = 0

    def tell(self, name: str, troubles: list[str]) -> None:
        """Count one round."""
        self.done += 1
        self.crash.totals.count(self.claim, not troubles)
        self.troubles += [f"{name}: {trouble}" for trouble in troubles]
        self._say(f"{self.claim} {self.done}: {name}{' FAILED ' + '; '.join(troubles) if troubles else ''}")

    def close(self) -> None:
        """Fail if any round did."""
        assert not self.troubles, f"{self.claim}:\n" + "\n".join(self.troubles)


def ended(process: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> Ended:
    """Wait for a command; one that does not end is killed, and counts as exit -14 (an alarm)."""
    try:
        out, err = process.communicate(timeout=patience_s)
        return Ended(process.returncode, out or "", err or "")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # Its own group: it was started in a new session.
        out, err = process.communicate()
        return Ended(-signal.SIGALRM, out or "", f"did not end within {patience_s} s\n{err or ''}")


def killed(crash: Crash, after_s: float, *words: str, number: int = signal.SIGKILL) -> Ended:
    """Run a command and send it a signal after a while, if it still runs then."""
    process = crash.start(*words)
    time.sleep(after_s)
    if process.poll() is None:
        os.kill(process.pid, number)
    return ended(process)


def how(found: Ended) -> str:
    """Say how a command ended."""
    return "killed" if found.killed else f"exit {found.code}"


def until(reached: Callable[[], object], within_s: float = 30.0) -> None:
    """Poll until something is so."""
    deadline_s = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.005)


_KNOWN = {".backout", "current", "releases", "shared"}


def _only(found: Any, other: Any) -> Any:
    """Return what is not the same in the other one."""
    if not isinstance(found, dict) or not isinstance(other, dict):
        return found
    return {key: value for key, value in found.items() if key not in other or other[key] != value}


def _id(record: dict[str, Any]) -> str:
    return str(record["id"])


def _states(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {r["version"]: (r["state"], r["artefact"]["ref"], sorted(r["served_well"])) for r in records}
