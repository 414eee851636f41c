"""What plans, reports and lists say about data that goes back, and about the databases beside the live one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from markdown_it import MarkdownIt
from tests.unit.backed import NOW, OLD, backup, hours, reading

from backout.backup import BesideDatabase, BesideState, TableCount, TableDifference
from backout.checks.base import Outcome, Verification
from backout.document import Json
from backout.message import msg
from backout.plan.model import DataPlan, Phase, Plan, PlannedStep, StepSpec, Way
from backout.report.backups import ListedBackup, backup_lines, beside_lines, size_text
from backout.report.data import data_plan_section, data_section
from backout.report.duration import duration
from backout.report.markdown import report_markdown
from backout.report.next import next_steps
from backout.report.plan import plan_markdown
from backout.steps import generic_step_kinds

KINDS = generic_step_kinds()
DATA = DataPlan(
    backup="shop_20261123_020000",
    why=msg("The newest that fits."),
    taken_at=hours(10),
    database="shop",
    beside="shop_restored_20261123_120000",
    kept="shop_before_20261123_120000",
    counts=(
        TableCount(table="public.orders", live=12_345, restored=12_000, live_exact=False),
        TableCount(table="public.later", live=7, restored=None),
    ),
    rows_behind=352,
    ceiling_rows=1387,
    queues=("public.outbox",),
)
LOOKS = msg("It only looks.")


def _step(number: int, kind: str, phase: Phase, params: dict[str, Json]) -> PlannedStep:
    return PlannedStep(
        key=f"{number:02d}-{kind.replace('.', '-')}",
        phase=phase,
        spec=StepSpec(kind=kind, target="database", params=params),
        no_inverse_because=LOOKS,
    )


STEPS = (
    _step(1, "data.count", Phase.SAFEGUARD, {"beside": DATA.beside, "ceiling_rows": 1387}),
    _step(
        2,
        "data.swap",
        Phase.SWAP_DATA,
        {
            "order": {"live": "shop", "live_oid": 7, "beside": DATA.beside, "kept": DATA.kept},
            "fingerprint": None,
            "prior_fingerprint": None,
        },
    ),
    _step(3, "data.compare", Phase.CLEAN_UP, {"kept": DATA.kept}),
)


@pytest.fixture
def of_data(plan: Callable[..., Plan]) -> Plan:
    return plan(data=DATA, steps=STEPS, estimates={}, hazards={}, scenario="data")


def _cells(lines: list[str]) -> list[list[str]]:
    """Return the rows of the tables in Markdown, as a reader of Markdown sees them."""
    html = MarkdownIt().enable("table").render("\n".join(lines))
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]


def test_a_plan_of_code_alone_says_nothing_of_data() -> None:
    assert data_plan_section(None) == []


def test_a_runbook_has_the_backup_the_rows_and_the_ceiling(of_data: Plan) -> None:
    text = plan_markdown(of_data, KINDS, {})
    for line in (
        "## Data",
        "- **Backup:** `shop_20261123_020000`",
        "- **Why this one:** The newest that fits.",
        "- **Taken:** 2026-11-23 02:00:00 UTC",
        "- **What is live now is kept as:** `shop_before_20261123_120000`",
        "- **Rows that stay behind:** 352",
        "- **At most:** 1,387",
        "- **Queues that go back too:** `public.outbox`",
    ):
        assert line in text


def test_estimates_are_told_from_counts_and_what_is_not_known_is_not_a_number() -> None:
    assert _cells(data_plan_section(DATA))[1:] == [
        ["<code>public.orders</code>", "about 12,345", "12,000"],
        ["<code>public.later</code>", "7", "not there"],
    ]


def test_a_runbook_shows_a_few_tables_and_how_many_more_there_are() -> None:
    many = tuple(TableCount(table=f"public.t{n}", live=n, restored=0) for n in range(1, 31))
    rows = _cells(data_plan_section(DATA.model_copy(update={"counts": many})))
    assert rows[0] == ["Table", "Rows now", "Rows in the backup"]
    assert rows[1] == ["<code>public.t30</code>", "30", "0"]
    assert rows[-1] == ["and 20 more tables", "", ""]


def test_a_name_that_would_break_a_table_stands_in_its_cell() -> None:
    hostile = DATA.model_copy(
        update={"counts": (TableCount(table="public.a|b`c <i>", live=1, restored=1),), "queues": ("a`|b",)}
    )
    (row,) = _cells(data_plan_section(hostile))[1:]
    assert row == ["<code>public.a|b`c &lt;i&gt;</code>", "1", "1"]


def _counted(live: int) -> dict[str, Json]:
    return {"counts": [TableCount(table="public.orders", live=live, restored=9).model_dump(mode="json")]}


def test_a_report_has_the_rows_counted_in_the_run_the_time_and_what_stayed_behind(
    of_data: Plan, story: Callable[..., Any]
) -> None:
    told = story(of_data).add("run.started")
    told.begin("01-data-count").apply("01-data-count", msg("Counted."), data=_counted(11))
    told.confirm("01-data-count", msg("Counted."))
    told.begin("02-data-swap").apply("02-data-swap", msg("Swapped."), data={"closed_s": 0.31})
    told.confirm("02-data-swap", msg("Swapped."))
    found = TableDifference(
        table="public.big orders", inserted=2, updated=1, examples={"inserted": ("41", "42"), "deleted": ()}
    )
    told.begin("03-data-compare").apply(
        "03-data-compare", msg("Compared."), data={"differences": [found.model_dump(mode="json")]}
    )
    told.confirm("03-data-compare", msg("Compared.")).add("run.finished")
    text = report_markdown(told.run, NOW, KINDS)
    assert f"- **Nobody could connect for:** {duration(0.31)}" in text
    assert "- **What was live is kept as:** `shop_before_20261123_120000`" in text
    rows = _cells(data_section(told.run))
    assert ["<code>public.orders</code>", "11", "9"] in rows
    assert ["<code>public.big orders</code>", "2", "1", "0", "inserted: 41, 42"] in rows
    assert "backout data bring 'public.big orders' --dry-run" in text


def test_before_the_swap_a_report_offers_no_comparison(of_data: Plan, story: Callable[..., Any]) -> None:
    told = story(of_data).add("run.started").begin("01-data-count")
    told.apply("01-data-count", msg("Counted."), data=_counted(11)).confirm("01-data-count", msg("Counted."))
    assert "data diff" not in report_markdown(told.run, NOW, KINDS)
    assert _cells(data_section(told.run)) == [
        ["Table", "Rows now", "Rows in the backup"],
        ["<code>public.orders</code>", "11", "9"],
    ]


def test_a_swap_whose_receipt_was_lost_with_the_process_is_told_by_what_was_confirmed_later(
    of_data: Plan, story: Callable[..., Any]
) -> None:
    told = story(of_data).add("run.started").begin("01-data-count")
    told.apply("01-data-count", msg("Counted."), data=_counted(11)).confirm("01-data-count", msg("Counted."))
    told.begin("02-data-swap").confirm("02-data-swap", msg("Seen done."))
    found = TableDifference(table="public.orders", inserted=2)
    told.begin("03-data-compare").apply(
        "03-data-compare", msg("Compared."), data={"differences": [found.model_dump(mode="json")]}
    )
    rows = _cells(data_section(told.run))
    assert rows[0] == ["Table", "Rows before", "Rows after"]
    assert ["<code>public.orders</code>", "2", "0", "0", ""] in rows


def test_a_report_about_chosen_tables_has_their_rows_before_and_after(
    plan: Callable[..., Plan], story: Callable[..., Any]
) -> None:
    data = DATA.model_copy(update={"way": Way.TABLES, "tables": ("public.orders",), "safety": "shop_safety"})
    steps = (_step(1, "tables.check", Phase.SAFEGUARD, {}), _step(2, "tables.restore", Phase.SWAP_DATA, {}))
    told = story(plan(data=data, steps=steps, estimates={}, hazards={}, scenario="data")).add("run.started")
    found = TableDifference(table="public.orders", inserted=5, updated=20, deleted=2, rows=1_050)
    told.begin("01-tables-check").apply(
        "01-tables-check", msg("Compared."), data={"differences": [found.model_dump(mode="json")]}
    )
    assert ["<code>public.orders</code>", "1,047", "1,050", "5", "20", "2", ""] in _cells(
        data_section(told.run)
    )
    # A journal of an earlier version has no count in it.
    assert TableDifference.model_validate({"table": "public.orders"}).rows is None


def test_after_the_swap_and_before_the_comparison_a_report_names_the_command(
    of_data: Plan, story: Callable[..., Any]
) -> None:
    told = story(of_data).add("run.started").do("01-data-count").begin("02-data-swap")
    told.apply("02-data-swap", msg("Swapped."), data={"closed_s": 0.31}).confirm("02-data-swap", msg("Done."))
    assert "backout data diff" in report_markdown(told.run, NOW, KINDS)


def test_nothing_written_since_is_said_in_a_sentence(of_data: Plan, story: Callable[..., Any]) -> None:
    told = story(of_data).add("run.started").do("01-data-count").begin("02-data-swap")
    told.apply("02-data-swap", msg("Swapped."), data={"closed_s": 0.31}).confirm("02-data-swap", msg("Done."))
    told.begin("03-data-compare").apply("03-data-compare", msg("Compared."), data={"differences": []})
    assert "Nothing was written since the backup." in "\n".join(data_section(told.run))


def test_an_abort_that_swapped_back_says_where_what_was_written_in_between_is(
    of_data: Plan, story: Callable[..., Any]
) -> None:
    undoing = of_data.model_copy(update={"purpose": "abort"})
    told = story(undoing).add("run.started")
    assert data_section(told.run) == []
    told.begin("02-data-swap").apply("02-data-swap", msg("Swapped."), data={"closed_s": 0.1})
    text = "\n".join(data_section(told.confirm("02-data-swap", msg("Done.")).run))
    assert "is live again" in text and "stays in shop_restored_20261123_120000" in text
    assert "kept as" not in text and "data diff" not in text


# --- lists --------------------------------------------------------------------------------------


def test_a_row_of_the_list_says_age_size_release_and_whether_it_is_whole() -> None:
    of = backup("b1", 10, OLD, release="5.4.0", size_bytes=12_400_000)
    (line,) = backup_lines(
        [ListedBackup(backup=of, reading=reading(of), pinned=msg("the way back from 5.5.0"))], NOW
    )
    assert (line.name, line.size, line.of) == ("b1", "12.4 MB", "5.4.0")
    assert str(line.checked).startswith("whole")
    assert str(line.kept) == "kept for the way back from 5.5.0"


def test_one_that_is_broken_unread_or_without_a_time_says_so() -> None:
    of = backup("shop_pre_5.4.0", None, before_version="5.4.0")
    broken, unread = backup_lines(
        [ListedBackup(backup=of, reading=reading(of, "Damaged")), ListedBackup(backup=of)], NOW
    )
    assert (str(broken.checked), str(unread.checked)) == ("UNUSABLE: Damaged", "not read yet")
    assert (str(unread.age), unread.of, str(unread.kept)) == ("time unknown", "before 5.4.0", "")


def kept(**changes: Any) -> BesideDatabase:
    values: dict[str, Any] = {
        "name": "shop_before_1", "oid": 9, "state": BesideState.KEPT, "size_bytes": 2_000_000_000,
        "since": hours(1), "keep_until": NOW + timedelta(hours=71),
    }  # fmt: skip
    return BesideDatabase.model_validate(values | changes)


def test_a_kept_database_says_its_size_and_until_when_and_how_to_drop_it_once_that_is_over() -> None:
    now, over, for_ever = beside_lines([kept(), kept(keep_until=hours(1)), kept(keep_until=None)], NOW)
    assert "shop_before_1 (2.0 GB)" in str(now) and "kept for" in str(now) and "drop" not in str(now)
    assert "that is over" in str(over) and "backout backup drop shop_before_1" in str(over)
    assert str(for_ever).endswith("was live, kept.")


@pytest.mark.parametrize("state", [BesideState.RESTORED, BesideState.CUT_SHORT, BesideState.RESTORING])
def test_what_was_restored_says_from_what(state: BesideState) -> None:
    (line,) = beside_lines([kept(state=state, backup="b1", name="shop_restored_1")], NOW)
    assert f"{state.value}, from b1" in str(line) and "backout backup drop shop_restored_1" in str(line)


def test_a_swap_cut_short_says_that_nobody_can_connect_and_offers_no_dropping() -> None:
    (line,) = beside_lines([kept(state=BesideState.RESTORED, name="shop_restored_1", closes="shop")], NOW)
    assert str(line).startswith(
        "Nobody can connect to shop: the swap with shop_restored_1 (2.0 GB) was cut short."
    )
    assert "backout resume" in str(line) and "backout release-hold" in str(line) and "drop" not in str(line)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"),
        (999_960, "1.0 MB"), (12_400_000, "12.4 MB"), (3 * 10**15, "3000.0 TB"),
    ],
)  # fmt: skip
def test_sizes_read_as_people_say_them(count: int | None, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("changes", "commands"),
    [
        ({}, ["backout data diff", "backout backup drop shop_before_20261123_120000", "backout abort run-1"]),
        ({"kept": None, "safety": "shop_s"}, ["backout backup restore shop_s"]),
        ({"kept": None}, ["backout backup list"]),
    ],
)
def test_what_to_do_next_names_what_holds_the_rows_that_are_gone(
    changes: dict[str, Any], commands: list[str], of_data: Plan, story: Callable[..., Any]
) -> None:
    plan = of_data.model_copy(update={"data": DATA.model_copy(update=changes)})
    run = story(plan).add("run.started").add("run.finished").run
    proven = run.model_copy(
        update={
            "id": "run-1",
            "verification": Verification(outcome=Outcome.PASS, results=(), started_at=NOW, finished_at=NOW),
        }
    )
    assert [command for _what, command in next_steps(proven)] == commands
