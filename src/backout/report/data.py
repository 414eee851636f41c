"""What a report and a runbook say about data that went back: which backup, rows before and after, what stayed behind."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from backout.backup import TableCount, TableDifference
from backout.document import Json
from backout.execute.run import Run, StepState
from backout.message import Message, msg
from backout.plan.abort import CHANGES_DATABASE
from backout.plan.model import DataPlan, Way
from backout.report.counts import FEW, count_lines
from backout.report.duration import duration, moment
from backout.report.markup import block, code, escape, facts, plain, say, shown, table

_WAYS = {
    Way.SWAP: msg("restored beside, and swapped in"),
    Way.SWITCH: msg("restored beside, and the service switched to it by your own command"),
    Way.TABLES: msg("chosen tables made equal to the backup"),
    Way.COMMAND: msg("your own script overwrites the live database"),
}
_PLANNED = (msg("Rows now"), msg("Rows in the backup"))
_CHANGED = (msg("Rows before"), msg("Rows after"))


def data_plan_section(plan: DataPlan | None) -> list[str]:
    """Return the Markdown lines of a plan about its data; nothing where only the code goes back."""
    if plan is None:
        return []
    pairs = [
        (say("Backup"), code(plan.backup)),
        (say("Why this one"), shown(plan.why)),
        (say("Taken"), moment(plan.taken_at) if plan.taken_at else say("not known")),
        (say("How"), shown(_WAYS[plan.way])),
        (say("Tables"), ", ".join(code(t) for t in plan.tables)),
        (say("Restored as"), _beside(plan)),
        (say("What is live now is kept as"), code(plan.kept) if plan.kept else ""),
        (say("Safety backup"), _safety(plan)),
        (say("Rows that stay behind"), _number(plan.rows_behind)),
        (say("At most"), _number(plan.ceiling_rows)),
        (say("Tenants affected"), _tenants(plan)),
        (say("Queues that go back too"), ", ".join(code(q) for q in plan.queues)),
    ]
    return [f"## {say('Data')}", "", *facts(pairs), *_counts(plan.counts, _PLANNED, most=FEW)]


def data_section(run: Run) -> list[str]:
    """Return the Markdown lines of a report about what happened to the data."""
    plan = run.plan.data
    if plan is None:
        return []
    if run.plan.purpose != "back":
        return _swapped_back(run, plan)
    swapped = _changed(run).get("closed_s")
    pairs = [
        (say("Backup"), code(plan.backup)),
        (say("Taken"), moment(plan.taken_at) if plan.taken_at else say("not known")),
        (say("Why this one"), shown(plan.why)),
        (
            say("Nobody could write for") if plan.way is Way.SWITCH else say("Nobody could connect for"),
            duration(float(swapped)) if isinstance(swapped, int | float) else "",
        ),
        (say("How"), shown(_WAYS[plan.way])),
        (say("Tables"), ", ".join(code(t) for t in plan.tables)),
        (say("What was live is kept as"), code(plan.kept) if plan.kept else ""),
        (say("Safety backup"), _safety(plan)),
        (say("Queues that went back too"), ", ".join(code(q) for q in plan.queues)),
    ]
    lines = [f"## {say('Data')}", "", *facts(pairs)]
    if plan.way is Way.COMMAND:
        return lines + _before_and_after(run)
    if plan.way is Way.TABLES:
        return lines + _overwritten(run)
    counted = _receipt(run, "data.count").get("counts")
    counts = [TableCount.model_validate(c) for c in counted] if isinstance(counted, list) else plan.counts
    return lines + _counts(counts, _CHANGED if _is_changed(run) else _PLANNED) + _differences(run)


def _beside(plan: DataPlan) -> str:
    if plan.beside is None:
        return ""
    there = f" {say('on {server}', server=plan.server)}" if plan.server is not None else ""
    return code(plan.beside) + there + (f" ({say('stands ready')})" if plan.prepared else "")


def _tenants(plan: DataPlan) -> str:
    if plan.tenants_unknown is not None:
        return say("not known: {reason}", reason=plain(plan.tenants_unknown))
    return "" if plan.tenants is None else _number(plan.tenants)


def _safety(plan: DataPlan) -> str:
    if plan.way not in (Way.COMMAND, Way.TABLES):
        return ""
    return code(plan.safety) if plan.safety else say("NONE: accepted by name")


def _before_and_after(run: Run) -> list[str]:
    """Return the rows that were counted around a script, which leaves nothing to compare row by row."""
    told = {str(r["when"]): r for r in _receipts(run, "data.rows")}
    rows = {when: r["rows"] for when, r in told.items() if isinstance(r["rows"], dict)}
    before, after = rows.get("before", {}), rows.get("after", {})
    counts = [
        TableCount(
            table=table,
            live=_whole(before.get(table)),
            restored=_whole(after.get(table)),
            live_exact=bool(told.get("before", {}).get("exact")),
            restored_exact=bool(told.get("after", {}).get("exact")),
        )
        for table in sorted({*before, *after})
    ]
    why = say(
        "What the script overwrote is not kept beside, so rows cannot be compared; restored from the safety backup they can:"
    )
    return [*_counts(counts, _CHANGED), *_how_to_compare(run, why)]


def _overwritten(run: Run) -> list[str]:
    """Return what was changed in chosen tables."""
    # Killed after the commit, the step's own receipt is lost: then what was compared right before tells.
    told = _receipt(run, "tables.restore") or _receipt(run, "tables.check")
    found = told.get("differences")
    if not isinstance(found, list):
        return [say("No table was compared yet."), ""]
    differences = [TableDifference.model_validate(d) for d in found]
    rows = [
        [code(d.table), *_around(d), str(d.inserted), str(d.updated), str(d.deleted), escape(_examples(d))]
        for d in differences
    ]
    head = ["Rows before", "Rows after", "Came back", "Overwritten", "Removed", "For example"]
    why = say(
        "What was overwritten and removed is in the safety backup; restored from it, it can be compared and brought:"
    )
    return [*table([say("Table"), *map(say, head)], rows), *_how_to_compare(run, why)]


def _around(difference: TableDifference) -> tuple[str, str]:
    """Return the rows of the live table before and after it was made equal."""
    after = difference.rows
    if after is None:
        return say("not known"), say("not known")
    return f"{after - difference.inserted + difference.deleted:,}", f"{after:,}"


def _how_to_compare(run: Run, why: str) -> list[str]:
    safety = run.plan.data.safety if run.plan.data is not None else None
    if safety is None:
        return [
            say("Nothing keeps what was overwritten: no safety backup was made, as was accepted by name."),
            "",
        ]
    only = "".join(f" --table {table}" for table in run.plan.data.tables) if run.plan.data is not None else ""
    commands = [
        f"backout backup restore {safety}   # names the database",
        f"backout data diff DATABASE{only}",
    ]
    return [why, "", *block(commands)]


def _swapped_back(run: Run, plan: DataPlan) -> list[str]:
    """After an abort what was live is live again; what was written in between is in the other one."""
    if not _is_changed(run):
        return []
    return [
        f"## {say('Data')}",
        "",
        say("The database that was live before is live again."),
        say("What was written in between stays in {database}.", database=plan.beside),
        "",
    ]


def _counts(
    counts: Iterable[TableCount], sides: tuple[Message, Message], *, most: int | None = None
) -> list[str]:
    lines, more = count_lines(counts, most)
    if not lines:
        return []
    rows = [[code(line.table), shown(line.now), shown(line.then)] for line in lines]
    rows += [[shown(more), "", ""]] if more is not None else []
    return table([say("Table"), *map(shown, sides)], rows)


def _differences(run: Run) -> list[str]:
    if not _is_changed(run):
        return []
    found = _receipt(run, "data.compare").get("differences")
    if not isinstance(found, list):
        return [
            say("What was written since the backup was not compared yet:"),
            "",
            *block(["backout data diff"]),
        ]
    differences = [TableDifference.model_validate(d) for d in found]
    if not differences:
        return [say("Nothing was written since the backup."), ""]
    rows = [
        [code(d.table), str(d.inserted), str(d.updated), str(d.deleted), escape(_examples(d))]
        for d in differences
    ]
    head = [say("Table"), say("Inserted"), say("Updated"), say("Deleted"), say("For example")]
    return [
        say("Written since the backup; it stays in the kept database and comes over by choice:"),
        "",
        *table(head, rows),
        *block(["backout data diff", f"backout data bring {shlex.quote(differences[0].table)} --dry-run"]),
    ]


def _examples(difference: TableDifference) -> str:
    if difference.unknown is not None:
        return f"{say('NOT COMPARED')}: {difference.unknown}"
    return "; ".join(f"{what}: {', '.join(keys)}" for what, keys in difference.examples.items() if keys)


def _is_changed(run: Run) -> bool:
    """Whether another database is the live one; killed right after that, the step's own receipt is lost."""
    return any(
        run.plan.step(p.key).spec.kind in CHANGES_DATABASE
        and p.state in (StepState.APPLIED, StepState.CONFIRMED)
        for p in run.steps
    )


def _changed(run: Run) -> dict[str, Json]:
    """Return what the step told that made another database the live one."""
    return next((told for kind in CHANGES_DATABASE if (told := _receipt(run, kind))), {})


def _receipt(run: Run, kind: str) -> dict[str, Json]:
    return next(iter(_receipts(run, kind)), {})


def _receipts(run: Run, kind: str) -> list[dict[str, Json]]:
    return [
        progress.receipt.data
        for progress in run.steps
        if run.plan.step(progress.key).spec.kind == kind and progress.receipt is not None
    ]


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) else None


def _number(value: int | None) -> str:
    return say("not known") if value is None else f"{value:,}"
