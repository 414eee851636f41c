"""What a report and a runbook say about data that went back: which backup, rows before and after, what stayed behind."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from backout.backup import TableCount, TableDifference
from backout.document import Json
from backout.execute.run import Run
from backout.plan.model import DataPlan
from backout.report.duration import duration, moment
from backout.report.markup import block, code, escape, facts, say, shown, table


def data_plan_section(plan: DataPlan | None) -> list[str]:
    """Return the Markdown lines of a plan about its data; nothing where only the code goes back."""
    if plan is None:
        return []
    pairs = [
        (say("Backup"), code(plan.backup)),
        (say("Why this one"), shown(plan.why)),
        (say("Taken"), moment(plan.taken_at) if plan.taken_at else say("not known")),
        (say("Restored as"), code(plan.beside) + (f" ({say('stands ready')})" if plan.prepared else "")),
        (say("What is live now is kept as"), code(plan.kept)),
        (say("Rows that stay behind"), _number(plan.rows_behind)),
        (say("At most"), _number(plan.ceiling_rows)),
        (say("Tenants affected"), _number(plan.tenants)),
        (say("Queues that go back too"), ", ".join(code(q) for q in plan.queues)),
    ]
    return [f"## {say('Data')}", "", *facts(pairs), *_counts(plan.counts)]


def data_section(run: Run) -> list[str]:
    """Return the Markdown lines of a report about what happened to the data."""
    plan = run.plan.data
    if plan is None:
        return []
    if run.plan.purpose != "back":
        return _swapped_back(run, plan)
    swapped = _receipt(run, "data.swap").get("closed_s")
    pairs = [
        (say("Backup"), code(plan.backup)),
        (say("Taken"), moment(plan.taken_at) if plan.taken_at else say("not known")),
        (say("Why this one"), shown(plan.why)),
        (
            say("Nobody could connect for"),
            duration(float(swapped)) if isinstance(swapped, int | float) else "",
        ),
        (say("What was live is kept as"), code(plan.kept)),
        (say("Queues that went back too"), ", ".join(code(q) for q in plan.queues)),
    ]
    counted = _receipt(run, "data.count").get("counts")
    counts = [TableCount.model_validate(c) for c in counted] if isinstance(counted, list) else plan.counts
    lines = [f"## {say('Data')}", "", *facts(pairs), *_counts(counts)]
    return lines + _differences(run)


def _swapped_back(run: Run, plan: DataPlan) -> list[str]:
    """After an abort what was live is live again; what was written in between is in the other one."""
    if not _receipt(run, "data.swap"):
        return []
    return [
        f"## {say('Data')}",
        "",
        say("The database that was live before is live again."),
        say("What was written in between stays in {database}.", database=plan.beside),
        "",
    ]


def _counts(counts: Iterable[TableCount]) -> list[str]:
    rows = [
        [code(c.table), _count(c.live, c.live_exact), _count(c.restored, c.restored_exact)] for c in counts
    ]
    if not rows:
        return []
    return [*table([say("Table"), say("Rows before"), say("Rows after")], rows)]


def _differences(run: Run) -> list[str]:
    if not _receipt(run, "data.swap"):
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


def _receipt(run: Run, kind: str) -> dict[str, Json]:
    for progress in run.steps:
        if run.plan.step(progress.key).spec.kind == kind and progress.receipt is not None:
            return progress.receipt.data
    return {}


def _number(value: int | None) -> str:
    return say("not known") if value is None else f"{value:,}"


def _count(value: int | None, exact: bool) -> str:
    if value is None:
        return say("not known")
    return f"{value:,}" if exact else f"{say('about')} {value:,}"
