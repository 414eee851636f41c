"""Which backup a way back of the data restores, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backed import NEW, NOW, OLD, backup, beside, data_facts, facts, hours, reading, release

from backout.assess.allowed import Allowed
from backout.assess.assess import assess
from backout.assess.backups import choose_backup, prepared, unpacked_bytes
from backout.assess.model import Assessment, Choice, Request
from backout.assess.versions import choose_target, release_of
from backout.backup import BackupFormat, BesideState
from backout.errors import BackoutError, CannotAssess, ExitCode, NeedsAcceptance, NoBackup, UnknownBackup
from backout.facts import DataFacts, Facts
from backout.message import msg
from backout.observed import Observed
from backout.plan.model import Finding, Scenario, Severity
from backout.release import Artefact, ReleaseState

BAD = release("5.5.0", 3, NEW)
GOOD = release("5.4.0", 48, OLD)


def chosen(seen: Facts, to: str | None = None, **request: Any) -> Choice:
    asked = Request.model_validate({"scenario": Scenario.FULL, "to": to} | request)
    target = choose_target(seen, to)
    return choose_backup(seen, asked, target)


def stays(seen: Facts, **request: Any) -> Choice:
    """Choose for scenario data: the code stays as it is."""
    assert seen.workload.value is not None and seen.workload.value.wanted is not None
    target = release_of(seen, seen.workload.value.wanted.ref)
    assert target is not None
    return choose_backup(seen, Request.model_validate({"scenario": Scenario.DATA} | request), target)


def assessed(seen: Facts, **request: Any) -> Assessment:
    asked = Request.model_validate({"scenario": Scenario.FULL} | request)
    target = choose_target(seen, asked.to)
    return assess(seen, asked, Allowed(), target, Artefact(ref=target.version), NOW)


def found(assessment: Assessment, rule: str) -> list[Finding]:
    return [f for f in assessment.findings if f.rule == rule]


def test_the_newest_from_before_the_bad_release_is_chosen() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, OLD), backup("b1", 28, OLD)))
    choice = chosen(seen)
    assert (choice.backup.name, choice.late, choice.named, choice.before) == ("b2", False, False, hours(3))
    assert "2026-11-23 08:00:00 UTC" in str(choice.why)


def test_the_newest_of_all_taken_after_the_corruption_is_not_chosen_and_the_reason_is_said() -> None:
    seen = facts(
        BAD, GOOD, data=data_facts(backup("b3", 1, OLD), backup("b2", 4, OLD), backup("b1", 28, OLD))
    )
    choice = chosen(seen)
    assert choice.backup.name == "b2"
    (over,) = choice.passed_over
    assert "b3" in str(over) and "has to be named" in str(over)


def test_one_taken_while_the_bad_release_ran_before_anybody_recorded_it_is_not_chosen() -> None:
    while_bad = backup("b2", 4, OLD, release="5.5.0")
    seen = facts(BAD, GOOD, data=data_facts(while_bad, backup("b1", 28, OLD, release="5.4.0")))
    choice = chosen(seen)
    assert choice.backup.name == "b1"
    assert "b2: it was taken while 5.5.0 ran" in str(choice.passed_over[0])
    assert chosen(seen, backup="b2").late, "named, it is warned of"
    by_time = chosen(seen, at=hours(4))
    assert (by_time.backup.name, by_time.late) == ("b2", True), "who says a time knows it"


def test_one_from_when_the_bad_release_ran_an_earlier_time_is_chosen() -> None:
    """5.5.0 was good, went back for another reason, and came again with a damaged configuration."""
    first = release("5.5.0", 60, OLD)
    seen = facts(BAD, GOOD, first, data=data_facts(backup("b1", 50, OLD, release="5.5.0")))
    assert chosen(seen).backup.name == "b1"


def test_one_taken_in_the_moment_of_the_release_is_not_from_before_it() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 3, OLD), backup("b1", 28, OLD)))
    assert chosen(seen).backup.name == "b1"


def test_one_with_a_schema_that_the_target_is_not_known_to_use_is_passed_over() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, NEW), backup("b1", 28, OLD)))
    choice = chosen(seen)
    assert choice.backup.name == "b1"
    assert "schema" in str(choice.passed_over[0])


def test_one_from_after_a_migration_that_the_target_never_saw_is_passed_over_where_it_came_with_another_release() -> (
    None
):
    """A migration of rows alone is in no schema; it runs before its release is recorded."""
    on = data_facts(
        backup("between", 4, OLD, migration_head="knex:2"), backup("b1", 28, OLD, migration_head="knex:1")
    )
    good = release("5.4.0", 48, OLD, migration_heads=("knex:1",))
    choice = chosen(facts(BAD, good, data=on))
    assert choice.backup.name == "b1"
    assert "it stands at migration knex:2" in str(choice.passed_over[0])
    assert chosen(facts(BAD, good, data=on), backup="between").backup.name == "between"
    assert chosen(facts(BAD, good, data=on), at=hours(4)).backup.name == "between", "a person says the time"
    assert chosen(facts(BAD, GOOD, data=on)).backup.name == "between", "nobody knows what the target saw"
    itself = release("5.5.0", 3, OLD, migration_heads=("knex:3",))
    assert stays(facts(itself, GOOD, data=on)).backup.name == "between", (
        "the damage came with the target's own"
    )


def test_a_schema_that_a_release_was_only_deployed_on_counts_once_it_was_found_good() -> None:
    unproven = GOOD.model_copy(update={"served_well": (), "state": ReleaseState.UNKNOWN})
    proven = unproven.model_copy(update={"state": ReleaseState.GOOD})
    data = data_facts(backup("b2", 4, NEW), backup("b1", 28, OLD))
    assert chosen(facts(BAD, unproven, data=data)).backup.name == "b2"
    assert chosen(facts(BAD, proven, data=data)).backup.name == "b1"


def test_with_the_code_brought_back_already_the_damage_began_with_the_release_that_was_backed_out() -> None:
    seen = facts(
        BAD, GOOD, current="5.4.0", bad="5.5.0", data=data_facts(backup("b2", 1, OLD), backup("b1", 4, OLD))
    )
    assert stays(seen).backup.name == "b1"
    assert chosen(seen).backup.name == "b1"  # full, typed once more: its target is what runs


def test_going_back_two_releases_wants_a_backup_from_before_the_first_of_them() -> None:
    middle = release("5.4.5", 24, OLD)
    seen = facts(BAD, middle, GOOD, data=data_facts(backup("b2", 4, OLD), backup("b1", 28, OLD)))
    assert chosen(seen, "5.4.0").backup.name == "b1"
    assert chosen(seen, "5.4.5").backup.name == "b2"


def test_data_alone_goes_back_to_before_the_release_that_runs() -> None:
    seen = facts(
        BAD.model_copy(update={"served_well": (OLD.fingerprint,)}),
        GOOD,
        data=data_facts(backup("b2", 1, OLD), backup("b1", 4, OLD)),
    )
    assert stays(seen).backup.name == "b1"


def test_a_time_chooses_the_newest_taken_by_then() -> None:
    data = data_facts(backup("b3", 1, OLD), backup("b2", 4, OLD), backup("b1", 28, OLD))
    seen = facts(BAD, GOOD, data=data)
    assert chosen(seen, at=hours(5)).backup.name == "b1"
    exact = chosen(seen, at=hours(4))
    assert (exact.backup.name, exact.named, exact.late) == ("b2", True, False)


def test_a_time_after_the_bad_release_chooses_what_may_hold_the_damage_and_says_so() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b3", 1, OLD), backup("b2", 4, OLD)))
    assert chosen(seen, at=hours(0.5)).late
    (finding,) = found(assessed(seen, at=hours(0.5)), "backup.after-release")
    assert finding.severity is Severity.WARNS


def test_a_later_one_can_be_named_and_is_warned_of() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b3", 1, OLD), backup("b2", 4, OLD)))
    choice = chosen(seen, backup="b3")
    assert (choice.backup.name, choice.late, choice.named) == ("b3", True, True)
    assert found(assessed(seen, backup="b3"), "backup.after-release")


def test_a_name_that_is_not_there_suggests_near_ones() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("shop_20261122_020000", 34, OLD)))
    with pytest.raises(UnknownBackup) as raised:
        chosen(seen, backup="shop_20261122")
    assert "shop_20261122_020000" in str(raised.value.what)
    assert raised.value.next_command == "backout backup list"


def test_a_name_like_nothing_still_says_what_there_is() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD)))
    with pytest.raises(UnknownBackup, match="b1"):
        chosen(seen, backup="zzzzzzzz")
    with pytest.raises(UnknownBackup, match="none"):
        chosen(facts(BAD, GOOD, data=data_facts()), backup="b1")


def test_a_name_that_says_before_which_version_is_believed_where_no_time_is_known() -> None:
    named = backup("shop_pre_5.5.0.sql.gz", None, before_version="5.5.0")
    choice = chosen(facts(BAD, GOOD, data=data_facts(named)))
    assert choice.backup.name == named.name
    assert "before 5.5.0" in str(choice.why)


def test_before_a_version_that_came_after_the_damage_or_is_unknown_says_nothing() -> None:
    later = release("5.6.0", 1, NEW)
    seen = facts(later, BAD, GOOD, data=data_facts(backup("shop_pre_5.6.0", None, before_version="5.6.0")))
    with pytest.raises(NoBackup):
        chosen(seen, "5.4.0")
    seen = facts(BAD, GOOD, data=data_facts(backup("shop_pre_9.9.9", None, before_version="9.9.9")))
    with pytest.raises(NoBackup, match="nothing says when it was taken"):
        chosen(seen)


def test_a_file_time_after_the_release_outweighs_the_version_in_its_name() -> None:
    """It may have been written again by a second deploy of that version: a person has to name it."""
    copied = backup("shop_pre_5.5.0", 1, before_version="5.5.0", taken_at_by="file")
    seen = facts(BAD, GOOD, data=data_facts(copied))
    with pytest.raises(NoBackup, match="has to be named"):
        chosen(seen)
    assert chosen(seen, backup="shop_pre_5.5.0").late


def test_without_any_record_somebody_has_to_say_which() -> None:
    unrecorded = release("5.5.0", 3, NEW, source="found")
    seen = facts(unrecorded, data=data_facts(backup("b1", 4, NEW)))
    with pytest.raises(NeedsAcceptance) as raised:
        stays(seen)
    assert raised.value.exit_code is ExitCode.NEEDS_APPROVAL
    assert "--scenario data --backup NAME" in raised.value.next_command
    assert stays(seen, backup="b1").backup.name == "b1"
    assert stays(seen, at=hours(2)).backup.name == "b1"


def test_a_release_found_bad_long_ago_does_not_date_the_damage_of_one_without_a_record() -> None:
    long_ago = release("5.0.0", 2000, OLD, state=ReleaseState.BAD)
    seen = facts(long_ago, data=data_facts(backup("ancient", 3000, OLD)), current="5.5.0")
    with pytest.raises(NeedsAcceptance):
        choose_backup(seen, Request(scenario=Scenario.DATA), release("5.5.0", 1, OLD, source="found"))


def test_one_that_reading_found_damaged_is_passed_over_and_refused_by_name() -> None:
    broken, whole = backup("b2", 4, OLD), backup("b1", 28, OLD)
    data = data_facts(broken, whole, readings={"b2": reading(broken, "Damaged: unexpected end of file")})
    seen = facts(BAD, GOOD, data=data)
    assert chosen(seen).backup.name == "b1"
    with pytest.raises(NoBackup, match="unexpected end of file"):
        chosen(seen, backup="b2")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"database": "billing"}, "of the database billing"),
        ({"server_version": 170001}, "PostgreSQL 17"),
        ({"environment": "staging"}, "shop in staging"),
        ({"service": "billing"}, "billing in production"),
    ],
)
def test_one_of_another_database_place_or_newer_major_is_never_restored(
    said: dict[str, Any], reason: str
) -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, OLD, **said), backup("b1", 28, OLD)))
    choice = chosen(seen)
    assert choice.backup.name == "b1"
    assert reason in str(choice.passed_over[0])
    with pytest.raises(NoBackup, match=reason):
        chosen(seen, backup="b2")


def test_one_of_an_older_major_is_fine() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD, server_version=130009)))
    assert chosen(seen).backup.name == "b1"


def test_one_with_the_rows_of_some_tables_alone_is_no_backup_of_the_whole() -> None:
    some = backup("b2", 4, OLD, tables=("public.t",), rows={"public.t": 1})
    seen = facts(BAD, GOOD, data=data_facts(some, backup("b1", 28, OLD)))
    choice = chosen(seen)
    assert choice.backup.name == "b1"
    assert "rows of public.t alone" in str(choice.passed_over[0])
    for asked in ({}, {"tables": ("public.t", "public.u")}):
        with pytest.raises(NoBackup, match=r"has the rows of public\.t alone") as refused:
            stays(seen, backup="b2", **asked)
        assert refused.value.next_command.endswith("--backup b2 --tables public.t")
    assert stays(seen, backup="b2", tables=("public.t",)).backup.name == "b2"


def test_with_none_at_all_or_none_that_fits_the_error_says_which_and_why() -> None:
    with pytest.raises(NoBackup, match="no backup of shop at all"):
        chosen(facts(BAD, GOOD, data=data_facts()))
    with pytest.raises(NoBackup, match=r"b1.*after the bad release") as raised:
        chosen(facts(BAD, GOOD, data=data_facts(backup("b1", 1, OLD))))
    assert raised.value.exit_code is ExitCode.NOT_POSSIBLE
    assert "--backup NAME" in raised.value.next_command


def test_backups_that_are_not_configured_or_cannot_be_read_stop_it_differently() -> None:
    with pytest.raises(NoBackup, match="not configured"):
        chosen(facts(BAD, GOOD, data=None))
    silent = facts(BAD, GOOD, data=None).model_copy(
        update={"data": Observed[DataFacts](unknown=msg("no route"), source="t", observed_at=NOW)}
    )
    with pytest.raises(CannotAssess, match="no route"):
        chosen(silent)


def test_what_was_prepared_from_that_very_backup_is_used() -> None:
    of = backup("b1", 4, OLD)
    ready = beside("shop_prepared_20261123_090000", of)
    choice = chosen(facts(BAD, GOOD, data=data_facts(of)))
    assert prepared(data_facts(of, beside=(ready,)), choice) == ready


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": "b1:2"},
        {"backup": "b0"},
        {"state": BesideState.CUT_SHORT},
        {"state": BesideState.KEPT},
        {"run": "run-1"},
        {"name": "shop_restored_20261123_090000"},
        {"name": "a_prepared_20261123_090000_restored_20261123_090000"},
    ],
)
def test_what_stands_beside_for_another_reason_is_not_taken_for_prepared(changes: dict[str, Any]) -> None:
    """One that was restored to be looked into was perhaps changed by whoever looked."""
    of = backup("b1", 4, OLD)
    ready = beside("shop_prepared_20261123_090000", of)
    data = data_facts(of, beside=(ready.model_copy(update=changes),))
    assert prepared(data, chosen(facts(BAD, GOOD, data=data))) is None


def test_the_size_unpacked_is_as_read_else_as_told_else_as_declared() -> None:
    of = backup("b1", 4, OLD, unpacked_bytes=20)
    assert unpacked_bytes(data_facts(of, readings={"b1": reading(of, unpacked_bytes=10)}), of, 30) == 10
    assert unpacked_bytes(data_facts(of, readings={}), of, 30) == 20
    told_nothing = backup("b1", 4)
    assert unpacked_bytes(data_facts(readings={}), told_nothing, 30) == 30
    assert unpacked_bytes(data_facts(readings={}), told_nothing, None) is None
    plain = backup("b1.sql", 4, format=BackupFormat.PLAIN)
    assert unpacked_bytes(data_facts(readings={}), plain, None) == plain.size_bytes


def test_every_refusal_says_the_state_and_the_next_command() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 1, OLD)))
    for request in ({}, {"backup": "nope"}, {"at": hours(200)}):
        with pytest.raises(BackoutError) as raised:
            chosen(seen, **request)
        assert str(raised.value.state) == "Nothing was changed."
        assert raised.value.next_command.startswith("backout ")
