"""What a check has found, as text, as Markdown for a pull request, as annotations, and as SARIF. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from backout.migration_proof import MigrationProof, ProvenChange, Verdict, Way

SAID = {
    Verdict.PROVEN: "It can be taken back, with everything.",
    Verdict.ANSWER: "It can be taken back once you have told what nobody can compute.",
    Verdict.UNKNOWN: "Whether it can be taken back is not known.",
    Verdict.REFUSED: "It cannot be taken back.",
    Verdict.WRONG: "It was taken back, and not all was as it has to be: a mistake of backout.",
    Verdict.FAILED: "The command fails by itself.",
}
_WAYS = {
    Way.AT_ONCE: "at once, O(1)",
    Way.ROWS_SINCE: "O(rows written since)",
    Way.BACKGROUND: "at once, then O(n) in the background",
    Way.WHOLE_TABLE: "O(n), while nobody else can use the table",
    Way.ANSWER: "needs an answer",
    Way.REFUSED: "refused",
}
_LEVELS = {Way.REFUSED: "error", Way.ANSWER: "warning", Way.WHOLE_TABLE: "warning"}
_SHOWN = 80
_STOPS = (Way.REFUSED, Way.ANSWER)
_NEXT = {
    Verdict.PROVEN: "backout migrate -- {command}",
    Verdict.ANSWER: "backout check -- {command}   # again, with the answer beside the statement, or as an option",
    Verdict.UNKNOWN: "backout check --scratch URL -- {command}   # what stands in its way has to go: a server like the live one, or the command",
    Verdict.REFUSED: "backout check -- {command}   # again, when what is refused is done in another way",
    Verdict.WRONG: "backout check --json -- {command} > check.json   # for the report of this mistake; do not deploy it through backout",
    Verdict.FAILED: "backout check -- {command}   # again, when the command runs on a database of this schema",
}
_MARKS = {
    Verdict.PROVEN: "✅",
    Verdict.ANSWER: "⚠️",
    Verdict.UNKNOWN: "❔",
    Verdict.REFUSED: "⛔",
    Verdict.WRONG: "⛔",
    Verdict.FAILED: "⛔",
}


def line(proof: MigrationProof) -> str:
    """Return a migration of a history in one line; what is not proven with its reason."""
    said = f"{proof.verdict:<9}{proof.migration or proof.command}"
    reasons = [
        *proof.wrong,
        *(f"{one.what} {one.answer or one.why or ''}".strip() for one in proof.changes if one.way in _STOPS),
        *proof.unknown,
        *proof.output.splitlines()[-1:],
    ]
    return said if proof.verdict is Verdict.PROVEN or not reasons else f"{said}: {reasons[0]}"


def total(proofs: Sequence[MigrationProof]) -> str:
    """Return how many migrations of a history came to which verdict."""
    counts = Counter(one.verdict for one in proofs)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return f"{len(proofs)} migrations: {told or 'none was made'}"


def lines(proof: MigrationProof) -> Iterator[str]:
    """Yield what was found for a terminal, the verdict first."""
    yield SAID[proof.verdict]
    for one in proof.wrong:
        yield f"wrong    {one}"
    for one in proof.unknown:
        yield f"unknown  {one}"
    yield from (f"stays    {one}" for one in proof.stays)
    for statement, changes in groupby(proof.changes, lambda one: one.statement):
        if statement:
            yield f"  {statement}"
        for change in changes:
            indent = "    " if statement else "  "
            yield f"{indent}{change.what}: {_WAYS[change.way]}"
            if change.why:
                yield f"{indent}  {change.why}"
            if change.answer:
                yield f"{indent}  answer  {change.answer}"
    for broken in proof.breaks:
        yield f"breaks   {broken.what} ({broken.kind})"
    for lock in proof.locks:
        yield f"locks    {_lock(proof, lock.table)}"
    for table, why in proof.without_rows.items():
        yield f"no rows  {table}: {why}"
    if proof.output:
        yield "The command printed:"
        yield from (f"  {line}" for line in proof.output.splitlines())
    if proof.verdict is not Verdict.FAILED:
        yield (
            f"Tried with {proof.rows} rows in {proof.tables} tables and {proof.written} writes, on PostgreSQL {proof.server}: "
            f"{proof.seconds:.1f} s, of which the command itself {proof.command_s:.1f} s each time."
        )
    if proof.live_moved:
        yield "now    The live database is another one than before."
        yield "next   backout db status   # and what the command has done there; then --variable NAME, and no literal URL in its files"
    else:
        yield "now    Nothing was changed but scratch databases, which are gone."
        yield f"next   {_NEXT[proof.verdict].format(command=proof.command)}"


def _lock(proof: MigrationProof, table: str) -> str:
    (one,) = [lock for lock in proof.locks if lock.table == table]
    size = "a table of unknown size" if one.rows is None else f"{one.rows} rows"
    took = "for a moment" if not one.because else "for a time nobody can estimate"
    if one.because and one.seconds is not None:
        took = f"for about {one.seconds:.1f} s"
    why = f": {', '.join(one.because)}" if one.because else ""
    return f"{one.table} ({size}): {one.mode}, which blocks {one.blocks}, {took}{why}"


def markdown(proof: MigrationProof) -> str:
    """Return it as Markdown that a reviewer understands in ten seconds: the verdict, then a line for each change."""
    found = [f"### {_MARKS[proof.verdict]} {SAID[proof.verdict]}", "", f"`{proof.command}`", ""]
    found += [f"- **wrong:** {_cell(one)}" for one in proof.wrong]
    found += [f"- **unknown:** {_cell(one)}" for one in proof.unknown]
    found += [f"- **stays:** {_cell(one)}" for one in proof.stays]
    if proof.changes:
        found += ["| statement | change | way back |", "| --- | --- | --- |"]
        found += [f"| {_code(one.statement)} | {_cell(one.what)} | {_way(one)} |" for one in proof.changes]
    if proof.breaks:
        found += ["", "**While it runs, and until the new code is everywhere:**", ""]
        found += [f"- {_cell(one.what)} (`{one.kind}`)" for one in proof.breaks]
    if proof.locks:
        found += ["", "**Locks:**", ""]
        found += [f"- {_cell(_lock(proof, one.table))}" for one in proof.locks]
    if proof.output:
        found += [
            "",
            "<details><summary>The command printed</summary>",
            "",
            "```",
            proof.output.replace("```", "'''"),
            "```",
            "</details>",
        ]
    return "\n".join(found) + "\n"


def _way(change: ProvenChange) -> str:
    why = f": {_cell(change.why)}" if change.why else ""
    answer = f" `{_cell(change.answer)}`" if change.answer else ""
    return f"{_WAYS[change.way]}{why}{answer}"


def _code(statement: str | None) -> str:
    """Return a statement as it can stand in a table: of a long one the beginning."""
    if statement is None:
        return ""
    text = statement if len(statement) <= _SHOWN else f"{statement[:_SHOWN].rstrip()} …"
    return f"<code>{_cell(text)}</code>"


def _cell(text: str) -> str:
    """Return text as it can stand in a table: of a reviewer's page nothing may become a link, a tag or another cell."""
    escaped = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("|", "\\|")


def workflow_commands(proof: MigrationProof, file: str | None, text: str = "") -> Iterator[str]:
    """Yield workflow commands of GitHub Actions.

    Args:
        proof: What was found.
        file: The migration's file, relative to the repository, which annotations are shown at; None: there is none.
        text: What is in it: an annotation is shown at its statement, where that stands there.

    Source: GitHub documentation, "Workflow commands for GitHub Actions", "Setting an error message"; values are escaped as
    actions/toolkit, packages/core/src/command.ts does.
    """
    where = f" file={_property(file)},title=backout" if file else " title=backout"
    level = (
        "notice"
        if proof.verdict is Verdict.PROVEN
        else "warning"
        if proof.verdict is Verdict.ANSWER
        else "error"
    )
    yield f"::{level}{where}::{_data(SAID[proof.verdict])}"
    for change in proof.changes:
        if change.way in _LEVELS:
            said = f"{change.what}: {_WAYS[change.way]}. {change.why or ''} {change.answer or ''}".strip()
            line = _line_of(change, text)
            at = f"{where},line={line}" if file and line else where
            yield f"::{_LEVELS[change.way]}{at}::{_data(said)}"
    for said in (*proof.wrong, *proof.unknown):
        yield f"::error{where}::{_data(said)}"
    for broken in proof.breaks:
        yield f"::warning{where}::{_data(f'{broken.what} ({broken.kind})')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(proof: MigrationProof, file: str | None, version: str, text: str = "") -> str:
    """Return it as SARIF 2.1.0, as code scanning takes it.

    Args:
        proof: What was found.
        file: The migration's file, relative to the repository, which results are shown at; None: there is none.
        version: backout's own.
        text: What is in the file: a result is shown at its statement, where that stands there, else at its first line.
    """
    results: list[dict[str, Any]] = []
    for change in proof.changes:
        if change.way in _LEVELS:
            said = f"{change.what}: {_WAYS[change.way]}. {change.why or ''} {change.answer or ''}".strip()
            line = _line_of(change, text)
            results.append(_result(f"way-back-{change.way}", _LEVELS[change.way], said, file, line or 1))
    results += [_result("wrong", "error", said, file) for said in proof.wrong]
    results += [_result("unknown", "error", said, file) for said in proof.unknown]
    results += [_result(one.kind, "warning", one.what, file) for one in proof.breaks]
    if proof.verdict is Verdict.FAILED:
        results.append(_result("failed", "error", f"{SAID[proof.verdict]} {proof.output}".strip(), file))
    rules = sorted({one["ruleId"] for one in results})
    driver = {
        "name": "backout",
        "version": version,
        "rules": [{"id": rule, "shortDescription": {"text": rule.replace("-", " ")}} for rule in rules],
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _line_of(change: ProvenChange, text: str) -> int | None:
    """Return the line of a file that the statement of a change begins in."""
    words = (change.statement or "").split()
    found = re.search(r"\s+".join(map(re.escape, words)), text) if words else None
    return None if found is None else text.count("\n", 0, found.start()) + 1


def _result(rule: str, level: str, text: str, file: str | None, line: int = 1) -> dict[str, Any]:
    made: dict[str, Any] = {"ruleId": rule, "level": level, "message": {"text": text}}
    if file:
        made["locations"] = [
            {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line}}}
        ]
    return made
