"""A check's result for people and for machines."""

from __future__ import annotations

import json

import pytest

from backout.migration_proof import Breaks, LockTaken, MigrationProof, ProvenChange, Verdict, Way
from backout.report.proof import lines, markdown, sarif, workflow_commands

REFUSED = MigrationProof(
    command="psql -f a.sql",
    verdict=Verdict.REFUSED,
    server="15.1",
    changes=(
        ProvenChange(what="column public.t.a dropped (hidden)", way=Way.ROWS_SINCE),
        ProvenChange(what="type public.r made", way=Way.REFUSED, why="no way | back <b>"),
    ),
    breaks=(Breaks(what="public.t.a is not there", kind="ban-drop-column"),),
    locks=(
        LockTaken(
            table="public.t",
            mode="AccessExclusiveLock",
            blocks="reads and writes",
            rows=10,
            seconds=1.5,
            because=("it is written anew",),
        ),
    ),
    rows=3,
    tables=1,
    written=2,
    seconds=1,
)


def test_the_verdict_comes_first() -> None:
    assert next(lines(REFUSED)) == "It cannot be taken back."
    assert markdown(REFUSED).startswith("### ⛔ It cannot be taken back.\n")


@pytest.mark.parametrize("verdict", Verdict)
def test_the_state_now_and_the_next_command_come_last(verdict: Verdict) -> None:
    state, command = list(lines(REFUSED.model_copy(update={"verdict": verdict})))[-2:]
    assert state == "now    Nothing was changed but scratch databases, which are gone."
    assert command.startswith("next   backout ")
    assert "-- psql -f a.sql" in command


def test_every_part_is_told() -> None:
    said = "\n".join(lines(REFUSED))
    assert "column public.t.a dropped (hidden): O(rows written since)" in said
    assert "no way | back <b>" in said
    assert "breaks   public.t.a is not there (ban-drop-column)" in said
    assert (
        "locks    public.t (10 rows): AccessExclusiveLock, which blocks reads and writes, for about 1.5 s: it is written anew"
        in said
    )


def test_nothing_of_a_migration_becomes_markup_of_the_page() -> None:
    (row,) = [line for line in markdown(REFUSED).splitlines() if "no way" in line]
    assert row == "|  | type public.r made | refused: no way \\| back &lt;b&gt; |"


def test_workflow_commands_are_one_line_each() -> None:
    told = REFUSED.model_copy(update={"wrong": ("one\ntwo: 100%",)})
    found = list(workflow_commands(told, "db/a,b.sql"))
    assert found[0] == "::error file=db/a%2Cb.sql,title=backout::It cannot be taken back."
    assert "::error file=db/a%2Cb.sql,title=backout::one%0Atwo: 100%25" in found
    assert all("\n" not in line for line in found)
    assert sum(line.startswith("::warning") for line in found) == 1


def test_sarif_names_each_rule_that_its_results_have() -> None:
    (run,) = json.loads(sarif(REFUSED, "db/a.sql", "1.0"))["runs"]
    assert {one["ruleId"] for one in run["results"]} == {"way-back-refused", "ban-drop-column"}
    assert {one["id"] for one in run["tool"]["driver"]["rules"]} == {"way-back-refused", "ban-drop-column"}
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "db/a.sql"


def test_what_is_proven_has_no_result_for_code_scanning() -> None:
    proven = MigrationProof(command="x", verdict=Verdict.PROVEN, server="15")
    assert json.loads(sarif(proven, None, "1.0"))["runs"][0]["results"] == []
    assert list(workflow_commands(proven, None)) == [
        "::notice title=backout::It can be taken back, with everything."
    ]


def _of(*statements: str | None) -> MigrationProof:
    changes = [
        ProvenChange(what=f"{n}", way=Way.REFUSED, statement=statement)
        for n, statement in enumerate(statements)
    ]
    return REFUSED.model_copy(update={"changes": tuple(changes)})


def test_changes_stand_below_the_statement_that_made_them() -> None:
    said = [
        line for line in lines(_of("DROP TABLE a", "DROP TABLE a", "DROP TABLE b", None)) if line[:1] == " "
    ]
    assert said == [
        "  DROP TABLE a",
        "    0: refused",
        "    1: refused",
        "  DROP TABLE b",
        "    2: refused",
        "  3: refused",
    ]


def test_a_long_statement_is_cut_in_a_table_and_is_no_markup() -> None:
    (row,) = [line for line in markdown(_of("SELECT '<b>|' " + "x" * 90)).splitlines() if "SELECT" in line]
    assert row == f"| <code>SELECT '&lt;b&gt;\\|' {'x' * 66} …</code> | 0 | refused |"


def test_what_a_statement_does_is_shown_at_its_line() -> None:
    proof = _of("ALTER TABLE a DROP b, DROP c", "DROP TABLE nowhere")
    text = "-- first\n\nALTER TABLE a\n  DROP b,\n  DROP c;\n"
    found = [line for line in workflow_commands(proof, "a.sql", text) if "refused" in line]
    assert [line.partition("::")[2].partition("::")[0] for line in found] == [
        "error file=a.sql,title=backout,line=3",
        "error file=a.sql,title=backout",
    ]
    (run,) = json.loads(sarif(proof, "a.sql", "1.0", text))["runs"]
    places = [one["locations"][0]["physicalLocation"]["region"]["startLine"] for one in run["results"]]
    assert places[:2] == [3, 1]
