"""The plan as data: ordered steps with absolute parameters, and a digest over all that decides what happens."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Literal

from pydantic import ConfigDict

from backout.backup import TableCount
from backout.document import Document, Json, digest_of
from backout.message import Message
from backout.observed import Observed
from backout.release import Artefact
from backout.revision import Between, Source


class Phase(StrEnum):
    """The order that steps stand in; a plan never goes back to an earlier phase."""

    GUARD = "guard"
    SAFEGUARD = "safeguard"
    HOLD = "hold"
    PREPARE = "prepare"
    BRIDGE_SCHEMA = "bridge schema"
    SHIFT_TRAFFIC = "shift traffic"
    REVERT_CODE = "revert code"
    SWITCH_SCHEMA = "switch schema"
    SWAP_DATA = "swap data"
    START_CODE = "start code"
    CONTRACT_SCHEMA = "contract schema"
    RELEASE_HOLD = "release hold"
    VERIFY = "verify"
    CLEAN_UP = "clean up"


class Retry(StrEnum):
    """When `apply` may be called again after its outcome was lost."""

    SAFE = "safe"
    AFTER_PROBE = "after_probe"
    NEVER = "never"


class StepSpec(Document):
    """What a step does: its kind, whom it acts on, and absolute parameters.

    Attributes:
        kind: Name of a registered step kind (`process.start`, `hold`, …).
        target: Which target of the configuration it acts on: `platform`, `router`, `database`, `checks`,
            or `hold:NAME`.
        params: Absolute values, never "one back": what `apply` makes true.
        expects: What must still be so right before `apply` (compare and set); anything else is a lost race.
        retry: When `apply` may be called again.
        timeout_s: Seconds until the step counts as failed.
        locks: What it locks while it acts, for people.
    """

    kind: str
    target: str
    params: dict[str, Json] = {}
    expects: dict[str, Json] = {}
    retry: Retry = Retry.AFTER_PROBE
    timeout_s: float = 60.0
    locks: tuple[str, ...] = ()


class PlannedStep(Document):
    """One step of a plan.

    Attributes:
        key: Stable within the plan; `run/key` is the step's name everywhere.
        inverse: The step that undoes it; null only with `no_inverse_because`.
    """

    key: str
    phase: Phase
    spec: StepSpec
    inverse: StepSpec | None = None
    no_inverse_because: Message | None = None


class Severity(StrEnum):
    """What a finding means for the way back."""

    BLOCKS = "blocks"
    LOSES_DATA = "loses_data"
    NEEDS_APPROVAL = "needs_approval"
    WARNS = "warns"
    INFO = "info"


class Finding(Document):
    """One thing that an assessment found.

    Attributes:
        rule: Stable id of the rule (docs/reference/findings.md).
        evidence: What was seen, with its source.
        remedy: What to do about it.
        accept: Name for `--accept` that lets a `needs_approval` finding pass; null if it cannot be accepted.
        command: What to type first; null: ask again with the risk accepted, or choose another version.
    """

    rule: str
    severity: Severity
    evidence: Message
    remedy: Message | None = None
    accept: str | None = None
    command: str | None = None


class Verdict(StrEnum):
    """Whether going back is safe."""

    REVERSIBLE = "reversible"
    REVERSIBLE_WITH_LOSS = "reversible_with_loss"
    FORWARD_FIX_ONLY = "forward_fix_only"
    UNKNOWN = "unknown"


class Scenario(StrEnum):
    """How far back: the code, the code and the schema, the data, or all."""

    CODE = "code"
    SCHEMA = "schema"
    DATA = "data"
    FULL = "full"


class Estimate(Document):
    """Expected seconds of a step or of the whole: the median of measured runs, or not measured.

    Attributes:
        seconds: Median; null means "not measured".
        runs: How many measured runs it rests on; 0: on none, but it is known all the same.
        least_s: A lower bound where it was not measured; null: there is none.
        basis: What a lower bound, or what no run measured, rests on.
    """

    seconds: float | None = None
    runs: int = 0
    least_s: float | None = None
    basis: Message | None = None


class Downtime(Document):
    """How long requests are not answered by a release, and what that rests on."""

    held: Estimate
    down: Estimate
    basis: Message


class Hazard(Document):
    """What could go wrong at a step, and what then."""

    what: Message
    then: Message


class Way(StrEnum):
    """How a backup becomes the live data."""

    SWAP = "swap"
    """Restored beside, and swapped in: what was live is kept."""
    SWITCH = "switch"
    """Restored beside, and the service switched to it by a person's own command: what was live is kept."""
    TABLES = "tables"
    """Restored beside, and some tables of the live database made equal to it."""
    COMMAND = "command"
    """A person's own script overwrites the live database."""


class DataPlan(Document):
    """What a way back of the data goes back to, and what it leaves behind.

    Attributes:
        backup: Name of the backup.
        why: Why that one.
        taken_at: When it was taken.
        way: How; `tables` and `command` overwrite the live database.
        server: ``host:port`` of the other server that it is restored on; null: the configured address's.
        beside: Database that it is restored into, or stands restored in already (`prepared`); null: into none.
        kept: Name that the live database is kept under; null: it is overwritten.
        tables: The only tables that go back; empty: all.
        safety: Backup of the live database that is made before it is overwritten; null: none.
        counts: Rows by table, live now and in the backup, as far as they are known.
        rows_behind: Rows that the live database has more than the backup; null: not known before the restore.
        ceiling_rows: Above this many the run stops before anything is swapped; null: no limit.
        tenants: Tenants affected; null: not known, or nobody asked.
        tenants_unknown: Why they could not be counted; null: they were, or no column is declared.
        queues: Declared queues and outboxes: what is in them was perhaps sent already.
    """

    backup: str
    why: Message
    taken_at: datetime | None
    database: str
    way: Way = Way.SWAP
    server: str | None = None
    beside: str | None
    kept: str | None
    tables: tuple[str, ...] = ()
    safety: str | None = None
    prepared: bool = False
    counts: tuple[TableCount, ...] = ()
    rows_behind: int | None = None
    ceiling_rows: int | None = None
    tenants: int | None = None
    tenants_unknown: Message | None = None
    queues: tuple[str, ...] = ()


class Plan(Document):
    """What was looked at is what runs.

    The digest covers service, environment, versions, what decides whether it may run (findings, what was
    accepted, expiry), and every step's key, phase, kind, target, params,
    expectations, inverse, retry, timeout and order; estimates and prose stand beside it.

    Attributes:
        purpose: `back` takes a release back; `abort` undoes a run; `hold` stops the harm; `canary` gives
            a release a share of the requests; `retire` stops a side that gets none.
        hazards: By step key.
        point_of_no_return: Key of the first step that cannot be undone; null when all can.
        data: Where the data goes back to; null where only the code goes.
        image: Image that was named instead of a release; null: none was.
        serving: Versions that serve when the plan begins: one set, or each that is possible where the run
            that an abort undoes was cut short; empty where it was not known.
        source: How the target is brought, where there is more than one way; null: there is one.
        between: What lies between the two versions, as git has it; null: nobody asked, or there is no repository.
        where: Which cluster it acts on, for people; null where there is only this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,), defer_build=True)

    schema_version: Literal[1] = 1
    id: str
    purpose: Literal["back", "abort", "hold", "release_hold", "canary", "retire"]
    service: str
    environment: str
    scenario: Scenario
    from_version: str | None
    to_version: str | None
    from_artefact: Artefact | None = None
    to_artefact: Artefact | None = None
    created_at: datetime
    expires_at: datetime
    why: Message
    verdict: Verdict
    steps: tuple[PlannedStep, ...]
    findings: tuple[Finding, ...] = ()
    accepted: tuple[str, ...] = ()
    estimates: dict[str, Estimate] = {}
    total: Estimate = Estimate()
    downtime: Downtime | None = None
    hazards: dict[str, tuple[Hazard, ...]] = {}
    point_of_no_return: str | None = None
    losses: tuple[Message, ...] = ()
    data: DataPlan | None = None
    image: str | None = None
    serving: tuple[tuple[str, ...], ...] = ()
    source: Source | None = None
    between: Observed[Between] | None = None
    where: Message | None = None

    @property
    def named(self) -> str | None:
        """What `--to` has to say for the same plan."""
        return self.image or self.to_version

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of everything that decides what happens."""
        return digest_of(
            {
                "service": self.service,
                "environment": self.environment,
                "purpose": self.purpose,
                "from": self.from_version,
                "to": self.to_version,
                "accepted": list(self.accepted),
                "scenario": self.scenario.value,
                "verdict": self.verdict.value,
                "expires_at": self.expires_at.isoformat(),
                "findings": [[f.rule, f.severity.value, f.accept] for f in self.findings],
                "steps": [s.model_dump(mode="json", exclude={"no_inverse_because"}) for s in self.steps],
            }
        )

    def step(self, key: str) -> PlannedStep:
        """Return the step of that key; raises KeyError."""
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(key)
