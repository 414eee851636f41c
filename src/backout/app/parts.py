"""Everything a use case needs, joined by `wiring` once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

# What only annotations name is not imported: each verb pays for what it uses (docs/reference/performance.md).
from backout.canary import DEFAULT_STEPS
from backout.config.model import GuardSection, RestoreSection
from backout.execute.journal import Journal
from backout.execute.releases import ReleaseBook
from backout.execute.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from backout.assess.allowed import Allowed
    from backout.backups.base import BackupStore
    from backout.checks import CheckOptions
    from backout.checks.base import Check
    from backout.clock import Clock
    from backout.databases.base import Database
    from backout.execute.canaries import Canaries
    from backout.execute.mirror import Mirror
    from backout.holds.base import HoldMeans
    from backout.message import Message
    from backout.plan.base import StepKind
    from backout.platforms.base import LeaseStore, Platform, Site
    from backout.restores.switch import OwnSwitch
    from backout.routers.base import Router
    from backout.signals.base import Signal


@dataclass
class Parts:
    """One service in one environment, with its adapters.

    Attributes:
        make_holds: Returns `holds`.
        actor: Operating-system user and host, unverified.
        switch: What makes the service use another database, and tells which one it uses.
        confirm: How a person confirms a run.
        config_path, config_digest: Of the configuration that this was made from; None in an emergency without one.
        apart: Why the journal is not in the state file but in a folder of its own, to be merged later; None: it is.
        look_only: Whether the state file is only read, and not made where it is not there.
        canary_steps: The shares of a canary, one after the other, in per cent.
        left_out: What is configured and not looked at in an emergency: `database`, and names of holds.
    """

    site: Site
    platform: Platform
    router: Router | None
    database: Database | None
    make_holds: Callable[[], tuple[HoldMeans, ...]]
    declared_checks: tuple[CheckOptions, ...]
    allowed: Allowed
    plan_expires_s: float
    state_directory: Path
    actor: str
    backups: BackupStore | None = None
    restore: RestoreSection = field(default_factory=RestoreSection)
    guard: GuardSection = field(default_factory=GuardSection)
    switch: OwnSwitch | None = None
    confirm: str = "yes-no"
    config_path: Path | None = None
    config_digest: str | None = None
    apart: Message | None = None
    emergency: bool = False
    look_only: bool = False
    left_out: tuple[str, ...] = ()
    canary_steps: tuple[int, ...] = DEFAULT_STEPS
    _opened: list[Store] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.site.clock

    @cached_property
    def holds(self) -> tuple[HoldMeans, ...]:
        """Every means of holding, the strongest against requests first."""
        return self.make_holds()

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The checks that are declared."""
        from backout.checks import make_check

        return tuple(make_check(options, self.site) for options in self.declared_checks)

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """What the guard reads, one for each metric that is declared."""
        from backout.platforms.abilities import HasArms
        from backout.signals import make_signal

        urls = self.platform.urls() if isinstance(self.platform, HasArms) else {}
        return tuple(make_signal(options, self.site, self.router, urls) for options in self.guard.metrics)

    @cached_property
    def kinds(self) -> Mapping[str, StepKind]:
        """Every kind of step by name: the generic ones and the platform's own."""
        from backout.steps import generic_step_kinds

        return generic_step_kinds() | dict(self.platform.step_kinds())

    @cached_property
    def store(self) -> Store:
        """The state file, opened on first use; raises `StoreUnreadable` or `StoreTooNew`."""
        store = Store(self.state_directory, look_only=self.look_only)
        self._opened.append(store)
        return store

    @cached_property
    def journal(self) -> Journal:
        """The journal in the state file; runs go to the target too, if it keeps them."""
        return Journal(self.store, self.clock, self.actor, self.site.redactor, self.mirror)

    @cached_property
    def mirror(self) -> Mirror | None:
        """What brings runs to the target and from there; None: the target keeps none."""
        from backout.execute.mirror import Mirror
        from backout.platforms.keeping import KeepsRuns

        if not isinstance(self.platform, KeepsRuns):
            return None
        return Mirror(self.platform.run_store(), self.clock, needed=not self.emergency)

    @cached_property
    def book(self) -> ReleaseBook:
        """The release book."""
        from backout.platforms.keeping import KeepsGrounds

        # An emergency must not depend on a quota for what is kept; its quarantines get there when it is merged.
        platform, there = self.platform, not self.emergency
        grounds = platform.grounds_store() if there and isinstance(platform, KeepsGrounds) else None
        return ReleaseBook(self.store, self.journal, platform.record_store(), grounds)

    @cached_property
    def canaries(self) -> Canaries:
        """How the canary stands."""
        from backout.execute.canaries import Canaries

        return Canaries(self.journal)

    @cached_property
    def lease_store(self) -> LeaseStore:
        """Where the lease lives: at the target if it can keep one, else in the state file."""
        from backout.execute.lease import StoreLease

        return self.platform.lease_store() or StoreLease(self.store)

    def journal_in(self, directory: Path, why: Message) -> None:
        """Use another folder for the journal from now on, and forget the one that was used."""
        self._close_stores()
        self.state_directory, self.apart = directory, why
        for name in ("store", "mirror", "journal", "book", "canaries", "lease_store"):
            self.__dict__.pop(name, None)

    def _close_stores(self) -> None:
        for store in self._opened:
            store.close()
        self._opened.clear()

    def close(self) -> None:
        """Close what was opened; a journal apart in which nothing stands is removed. Idempotent."""
        unused = self.apart is not None and (not self._opened or self.journal.head() is None)
        self._close_stores()
        if unused:
            import shutil

            shutil.rmtree(self.state_directory, ignore_errors=True)
