"""The configuration as data; `example.yaml` beside this file is its documentation."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from backout.canary import DEFAULT_STEPS
from backout.checks.options import CheckOptions
from backout.fields import Declared, Name, SqlText
from backout.holds.command import HoldCommandOptions
from backout.migration import LOCK_BUDGET_MS, WINDOW_H, answer_of
from backout.restores.command import RestoreCommandOptions
from backout.restores.switch import SwitchCommandOptions
from backout.signals.options import SignalOptions


class AdapterSection(BaseModel):
    """Which adapter, and its own options; those are validated by the adapter's `Options` model."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str = Field(description="Name of the adapter, e.g. process, command, front, postgres.")

    @property
    def options(self) -> dict[str, Any]:
        """The adapter's own keys."""
        return dict(self.model_extra or {})


class DeclaredCompatibility(Declared):
    """A person vouches that a version can read and write a schema."""

    version: str = Field(description="The version that is vouched for.")
    works_with_schema_of: str = Field(description="The version whose schema it can read and write.")


class Policy(Declared):
    """What is allowed."""

    min_version: str | None = Field(
        default=None,
        description="Security floor: releases below it are refused unless --accept below-min-version.",
    )
    plan_expires_s: int = Field(
        default=1800, ge=60, le=86_400, description="Seconds after which a plan has to be made anew."
    )
    compatible: tuple[DeclaredCompatibility, ...] = Field(
        default=(), description="Versions that a person vouches for, where no record and no rule can tell."
    )


class HoldSection(Declared):
    """Means of holding besides the router and the database."""

    commands: tuple[HoldCommandOptions, ...] = Field(
        default=(),
        description="Your own commands that suspend workers and crons, each with its release and its probe.",
    )
    database: bool = Field(
        default=True, description="Whether `backout hold` also makes the database refuse writes."
    )


class RestoreSection(Declared):
    """Limits and habits of a restore."""

    command: RestoreCommandOptions | None = Field(
        default=None,
        description="Your own script that restores over the live database, instead of restoring beside and swapping.",
    )
    switch: SwitchCommandOptions | None = Field(
        default=None,
        description="Your own command that makes the service use another database, instead of exchanging two names: "
        "for a database that cannot be renamed.",
    )
    jobs: int = Field(default=2, ge=1, le=64, description="Tables that are dumped and restored at a time.")
    timeout_s: float = Field(default=14400, gt=0, description="Seconds that a whole restore may take.")
    free_space_path: str | None = Field(
        default=None,
        description="A path on the database server's disk, where that disk is this machine's: its free space is "
        "looked at. Without it a restore needs --accept space-unknown.",
    )
    min_free_bytes: int = Field(
        default=1_000_000_000, ge=0, description="A restore is stopped when less than this is free."
    )
    max_bytes_per_s: int | None = Field(
        default=None,
        gt=0,
        description="How fast a backup of SQL text is read at most; left out: as fast as it goes.",
    )
    max_replica_lag_bytes: int | None = Field(
        default=None,
        gt=0,
        description="A restore waits while a replica or a replication slot is further behind than this.",
    )
    max_wal_bytes: int | None = Field(
        default=None,
        gt=0,
        description="A restore is stopped, and its database dropped, when the server's write-ahead log is larger than this: an "
        "archive that cannot keep up would fill the disk. Above `max_wal_size`; the role needs `pg_monitor`.",
    )
    unpacked_bytes: int | None = Field(
        default=None,
        gt=0,
        description="Size of a backup's data unpacked, where neither its manifest nor reading it tells.",
    )
    verified_for_h: float = Field(
        default=12,
        ge=0,
        description="Hours for which a backup that was read and found good is not read again.",
    )
    keep_h: float = Field(
        default=72,
        ge=0,
        description="Hours that a database swapped out is kept before status says to drop it.",
    )
    reconnect_s: float = Field(
        default=10,
        gt=0,
        description="Seconds that the service may take to reach its database again by itself after a swap; then it "
        "is restarted.",
    )
    tenants: str | None = Field(
        default=None,
        pattern=r"^[^.]+\.[^.]+\.[^.]+$",
        description="Column that names the tenant, as schema.table.column: the plan counts the tenants affected.",
    )
    queues: tuple[str, ...] = Field(
        default=(),
        description="Tables (schema.table) of queues and outboxes: what is in them was perhaps sent already.",
    )

    @field_validator("switch")
    @classmethod
    def _one_way(
        cls, value: SwitchCommandOptions | None, info: ValidationInfo
    ) -> SwitchCommandOptions | None:
        if value is not None and info.data.get("command") is not None:
            raise ValueError("no `command` beside it: only one of them can say how the data goes back")
        return value


class GuardSection(Declared):
    """What the guard looks at, and what it may do."""

    metrics: tuple[SignalOptions, ...] = Field(
        default=(),
        description="What is looked at, each by its kind: router, prometheus, prometheus-latency, probes.",
    )
    action: Literal["ask", "automatic"] = Field(
        default="ask",
        description="automatic: the guard takes a release back by itself, where nothing can be lost and it is young.",
    )
    automatic_within_s: float = Field(
        default=3600,
        gt=0,
        le=86_400,
        description="Only a release younger than this is taken back without a person.",
    )
    false_alarms: float = Field(
        default=0.01,
        gt=0,
        lt=0.5,
        description="The chance, at most, that a release is called bad and is not.",
    )
    interval_s: float = Field(default=15, ge=1, le=600, description="Seconds between two looks.")

    @field_validator("metrics")
    @classmethod
    def _names_are_unique(cls, value: tuple[SignalOptions, ...]) -> tuple[SignalOptions, ...]:
        if twice := [name for name, times in Counter(one.name for one in value).items() if times > 1]:
            raise ValueError(f"a `name` of its own for each metric: {twice[0]} stands twice")
        return value


class MigrationsSection(Declared):
    """What `backout migrate` and `backout db finalize` go by."""

    mode: Literal["on", "observe", "off"] = Field(
        default="on",
        description="on: what cannot be taken back is refused. observe: nothing is rewritten or refused, and backout says "
        "what it would have done. off: the command runs directly.",
    )
    answers: tuple[SqlText, ...] = Field(
        default=(),
        description="What nobody can compute, as a comment in the statement says it: fill TABLE.COLUMN = EXPR (what rows "
        "without a value get on the way back), back TABLE.COLUMN = EXPR (the value that a column had before its type was "
        "changed, told by the one that it has now), repair TABLE.COLUMN = EXPR (what a row gets on the way back that violates a "
        "CHECK, or has a key twice, which comes back), quarantine TABLE (such rows are set aside).",
    )
    keep: dict[str, Literal["hide", "side-table"]] = Field(
        default={},
        description="By table, how a dropped column is kept: hide (default; under another name, at its place) or side-table "
        "(really dropped, its values in a table beside: as long as the table is big, there and back).",
    )
    window_h: float = Field(
        default=WINDOW_H,
        ge=0,
        description="Hours for which a migration is kept so that it can be taken back; then `backout db finalize` drops "
        "what it has hidden.",
    )
    lock_budget_ms: float = Field(
        default=LOCK_BUDGET_MS,
        gt=0,
        description="Milliseconds for which the locks of a way back may be held: what is estimated to take longer is done before "
        "them, while everybody works; where that cannot be, status, plan and a dry run say so.",
    )
    variables: tuple[str, ...] = Field(
        default=(),
        description="Further environment variables by which the command finds the database; as --variable.",
    )
    smoke: tuple[str, ...] = Field(
        default=(),
        description="A test of the release that runs now, as a list of words: `backout check` runs it on the later schema, too. "
        "It finds the scratch database as the migration command does.",
    )

    @field_validator("mode", mode="before")
    @classmethod
    def _as_yaml_reads_it(cls, value: object) -> object:
        # In YAML 1.1 a bare `on` is true, and `off` is false.
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value

    @field_validator("answers")
    @classmethod
    def _are_answers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            answer_of(line)
        return value


class CanarySection(Declared):
    """How a release gets its share of the requests; for platforms with sides."""

    steps: tuple[int, ...] = Field(
        default=DEFAULT_STEPS,
        min_length=1,
        description="Shares of the requests that `backout canary next` gives a release, one after the other, in per cent; the last is 100.",
    )

    @field_validator("steps")
    @classmethod
    def _grow_to_all(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        grows = all(before < after for before, after in itertools.pairwise(value))
        if value[0] < 1 or value[-1] != 100 or not grows:
            raise ValueError("whole numbers from 1 that grow, the last one 100")
        return value


class Config(Declared):
    """One service in one environment."""

    service: Name = Field(description="Name of the service, as people call it.")
    environment: Name = Field(default="production", description="Name of the environment.")
    confirm: Literal["yes-no", "type-service-name"] = Field(
        default="yes-no",
        description="How a person confirms a run: yes or no, or by typing the service's name.",
    )
    state: str = Field(
        default=".backout",
        description="Folder of the journal, relative to this file; not on a server that may have to be restored.",
    )
    platform: AdapterSection = Field(description="What runs the releases.")
    router: AdapterSection | None = Field(
        default=None, description="What stands in front of them and can hold requests."
    )
    database: AdapterSection | None = Field(default=None, description="The service's database.")
    backups: AdapterSection | None = Field(default=None, description="Where the database's backups are.")
    restore: RestoreSection = Field(
        default=RestoreSection(), description="How the database is taken back to a backup."
    )
    hold: HoldSection = Field(
        default=HoldSection(), description="What `backout hold` can do besides the router."
    )
    checks: tuple[CheckOptions, ...] = Field(
        default=(), description="What proves that a release serves well."
    )
    migrations: MigrationsSection = Field(
        default=MigrationsSection(),
        description="How migrations are run, and for how long they can be taken back.",
    )
    canary: CanarySection = Field(
        default=CanarySection(), description="How a release gets its share of the requests."
    )
    guard: GuardSection = Field(
        default=GuardSection(), description="What `backout watch` looks at after a release."
    )
    policy: Policy = Field(default=Policy(), description="Limits, and versions that a person vouches for.")

    @field_validator("restore")
    @classmethod
    def _of_a_database(cls, value: RestoreSection, info: ValidationInfo) -> RestoreSection:
        if value.switch is not None and info.data.get("database", value) is None:
            raise ValueError("a `database` too: `switch` says which one of its server is used")
        return value

    @field_validator("checks")
    @classmethod
    def _names_of_their_own(cls, value: tuple[CheckOptions, ...]) -> tuple[CheckOptions, ...]:
        twice = [name for name, count in Counter(check.name for check in value).items() if count > 1]
        if twice:
            raise ValueError(f"a `name` of its own for each check: {', '.join(twice)} stands twice")
        return value
