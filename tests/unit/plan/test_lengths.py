"""How long a plan says that a restore takes, before any run has measured one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backed import NOW, OLD, backup, beside, hours, reading
from tests.unit.plan.planned import full, planned, step

from backout.assess.model import Choice
from backout.backup import Backup, BackupFormat, PastRestore
from backout.facts import DataFacts
from backout.message import msg
from backout.plan.assembly import RestoreTerms, Terms, total
from backout.plan.lengths import lengths
from backout.plan.model import Estimate, Plan
from backout.report.plan import downtime_text
from backout.report.words import expected

OF = backup("b1", 4, OLD)


def past(of: Backup, seconds: float, **changes: Any) -> PastRestore:
    values = {
        "backup": of.name, "identity": of.identity, "format": of.format, "size_bytes": of.size_bytes,
        "at": hours(2), "seconds": seconds,
    }  # fmt: skip
    return PastRestore.model_validate(values | changes)


def told(of: Backup = OF, *, restore: RestoreTerms | None = None, **data: Any) -> dict[str, str]:
    seen = DataFacts(database="shop", oid=7, accepts=True, may_create=True, server_major=16, **data)
    plan = planned(full()).data
    assert plan is not None
    choice = Choice(backup=of, why=msg("It fits."), before=None, named=False, late=False, usable=())
    terms = Terms("plan-1", NOW, 1800.0, 60.0, has_database=True, restore=restore or RestoreTerms())
    return {kind: str(expected(e)) for kind, e in lengths(choice, seen, plan, terms).items()}


def test_nothing_is_made_up_where_nobody_read_or_restored_it() -> None:
    assert told() == {}


def test_a_backup_that_was_read_bounds_its_restore_from_below_by_the_processes_that_restore_it() -> None:
    read = {"b1": reading(OF, seconds=30.0, read_at=hours(1))}
    assert told(readings=read) == {
        "restore.beside": "at least 15.0 s (reading it alone takes that; its restore was not measured yet)",
        "backup.read": "0 s (it was read 2026-11-23 11:00 UTC)",
    }
    plain = OF.model_copy(update={"format": BackupFormat.PLAIN_GZIP})
    assert told(plain, readings=read)["restore.beside"].startswith("at least 30.0 s ")


def test_a_reading_that_is_too_old_says_how_long_the_next_one_takes() -> None:
    read = {"b1": reading(OF, seconds=30.0, read_at=hours(13))}
    assert (
        told(readings=read)["backup.read"] == "at least 30.0 s (so long reading it took 2026-11-22 23:00 UTC)"
    )


def test_a_restore_by_hand_tells_more_than_a_reading_and_one_of_this_backup_more_than_a_newer_one() -> None:
    other = backup("b0", 28, OLD, size_bytes=2_000_000)
    data: dict[str, Any] = {"readings": {"b1": reading(OF, seconds=30.0)}}
    found = told(restored=(past(other, 200.0), past(OF, 70.0)), **data)["restore.beside"]
    assert found == "at least 1 min 10 s (so long restoring it by hand took 2026-11-23 10:00 UTC)"
    by_size = told(restored=(past(other, 200.0),), **data)["restore.beside"]
    assert by_size == (
        "at least 1 min 40 s (so long restoring b0 by hand took 2026-11-23 10:00 UTC, reckoned by size)"
    )
    # Another format is packed in another way: its size says nothing.
    dump = past(other, 200.0, format="custom")
    assert told(restored=(dump,), **data)["restore.beside"].startswith("at least 15.0 s ")


def test_a_rate_that_was_set_bounds_it_where_that_is_longer() -> None:
    slow, fast = (RestoreTerms(max_bytes_per_s=rate) for rate in (10_000, 1_000_000))
    read = {"b1": reading(OF, seconds=30.0)}
    assert told(restore=slow)["restore.beside"] == (
        "at least 1 min 40 s (so long by restore.max_bytes_per_s alone)"
    )
    assert told(restore=fast, readings=read)["restore.beside"].startswith("at least 15.0 s ")


def held_first(**changes: Any) -> Plan:
    of = backup("b1", 4, OLD, rows={"public.t": 1000}, rows_exact=True)
    readings = {"b1": reading(of, seconds=120.0)}
    return planned(full(**({"readings": readings} | changes)), hold_first=True)


def test_a_hold_that_comes_first_has_its_length_in_the_plan_and_says_that_it_is_not_measured() -> None:
    plan = held_first()
    assert downtime_text(plan.downtime).startswith(
        "requests are held: at least 1 min 00 s (reading it alone takes that; its restore was not measured yet)."
    )
    assert plan.total.seconds is None and plan.total.least_s == 60.0


def test_what_a_run_measured_counts_more_than_a_bound() -> None:
    of = backup("b1", 4, OLD, rows={"public.t": 1000}, rows_exact=True)
    seen = full(readings={"b1": reading(of, seconds=120.0)})
    seen = seen.model_copy(update={"step_seconds": {"restore.beside": (200.0, 300.0)}})
    plan = planned(seen, hold_first=True)
    assert plan.estimates[step(plan, "restore.beside").key] == Estimate(seconds=250.0, runs=2)


def test_what_stands_prepared_is_not_said_to_take_what_earlier_restores_took() -> None:
    of = backup("b1", 4, OLD, rows={"public.t": 1000}, rows_exact=True)
    seen = full(beside=(beside("shop_prepared_20261123_000000", of, run=None),))
    seen = seen.model_copy(update={"step_seconds": {"restore.beside": (200.0,)}})
    plan = planned(seen)
    assert (
        str(expected(plan.estimates[step(plan, "restore.beside").key])) == "0 s (it stands restored already)"
    )


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], Estimate()),
        ([Estimate(seconds=1.0, runs=3), Estimate()], Estimate()),
        ([Estimate(seconds=1.0, runs=3), Estimate(seconds=0.0, basis=msg("it is there"))], Estimate(seconds=1.0, runs=3)),
        (
            [Estimate(seconds=1.0, runs=3), Estimate(), Estimate(least_s=5.0, basis=msg("a")), Estimate(least_s=9.0, basis=msg("b"))],
            Estimate(least_s=15.0, basis=msg("b")),
        ),
    ],
)  # fmt: skip
def test_a_sum_is_measured_only_where_every_part_is(parts: list[Estimate], whole: Estimate) -> None:
    assert total(parts) == whole
