"""The rule that proves a schema difference harmless to old code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.assess.additive import additive, differences
from backout.observed import Answer
from backout.schema import Column, Schema, Table

TEXT = Column(type="text", nullable=True)
REQUIRED = Column(type="text", nullable=False)


def schema(objects: dict[str, str] | None = None, **tables: Table) -> Schema:
    return Schema(tables={f"public.{name}": table for name, table in tables.items()}, objects=objects or {})


def table(**columns: Column) -> Table:
    return Table(kind="table", columns=columns)


OLD = schema(reports=table(id=REQUIRED, body=TEXT))


def changed(**values: object) -> Schema:
    return Schema(tables={"public.reports": OLD.tables["public.reports"].model_copy(update=values)})


@pytest.mark.parametrize(
    ("new", "answer"),
    [
        (OLD, Answer.YES),
        (schema(reports=table(id=REQUIRED, body=TEXT, source=TEXT)), Answer.YES),
        (
            schema(reports=table(id=REQUIRED, body=TEXT, n=Column(type="int", nullable=False, default="0"))),
            Answer.YES,
        ),
        (schema(reports=table(id=REQUIRED, body=TEXT, source=REQUIRED)), Answer.NO),
        (schema(reports=table(id=REQUIRED)), Answer.NO),
        (schema(reports=table(id=REQUIRED, text=TEXT)), Answer.NO),
        (schema(), Answer.NO),
        (schema(reports=table(id=REQUIRED, body=Column(type="integer", nullable=True))), Answer.NO),
        (schema(reports=table(id=REQUIRED, body=REQUIRED)), Answer.UNKNOWN),
        (schema(reports=table(id=TEXT, body=TEXT)), Answer.UNKNOWN),
        (schema(reports=OLD.tables["public.reports"], other=table(id=REQUIRED)), Answer.YES),
        (changed(indexes={"i": "CREATE INDEX i ON public.reports USING btree (body)"}), Answer.YES),
        (
            changed(indexes={"i": "CREATE UNIQUE INDEX i ON public.reports USING btree (body)"}),
            Answer.UNKNOWN,
        ),
        (changed(constraints={"c": "CHECK ((body <> ''::text))"}), Answer.UNKNOWN),
        (changed(triggers={"t": "CREATE TRIGGER t …"}), Answer.UNKNOWN),
        (changed(policies={"": "enabled"}), Answer.UNKNOWN),
        (schema({"enum public.kind": "a, b"}, reports=OLD.tables["public.reports"]), Answer.YES),
        (schema({"event trigger e": "…"}, reports=OLD.tables["public.reports"]), Answer.UNKNOWN),
    ],
)
def test_what_old_code_can_live_with(new: Schema, answer: Answer) -> None:
    assert additive(differences(OLD, new)) is answer


def test_a_new_table_can_forbid_deletes_in_an_old_one() -> None:
    def child(rule: str) -> Schema:
        definition = f"FOREIGN KEY (report) REFERENCES reports(id){rule}"
        new = Table(kind="table", columns={"report": TEXT}, constraints={"fk": definition})
        return schema(reports=OLD.tables["public.reports"], notes=new)

    assert additive(differences(OLD, child(""))) is Answer.UNKNOWN
    assert additive(differences(OLD, child(" ON DELETE CASCADE"))) is Answer.YES


def test_a_changed_label_list_is_unknown_and_a_removed_object_is_no() -> None:
    old = schema({"enum public.kind": "a"})
    assert additive(differences(old, schema({"enum public.kind": "a, b"}))) is Answer.UNKNOWN
    assert additive(differences(old, schema())) is Answer.NO


names = st.sampled_from("abcd")
columns = st.builds(
    Column,
    type=st.sampled_from(["text", "integer"]),
    nullable=st.booleans(),
    default=st.sampled_from([None, "0"]),
)
schemas = st.builds(
    lambda tables: Schema(tables={f"public.{n}": Table(kind="table", columns=c) for n, c in tables.items()}),
    st.dictionaries(names, st.dictionaries(names, columns, max_size=3), max_size=3),
)


@given(schemas)
def test_a_schema_does_not_differ_from_itself(one: Schema) -> None:
    assert differences(one, one) == ()


@given(schemas, schemas)
def test_yes_means_that_nothing_old_is_missing_or_changed(old: Schema, new: Schema) -> None:
    if additive(differences(old, new)) is not Answer.YES:
        return
    for name, before in old.tables.items():
        for column, definition in before.columns.items():
            assert new.tables[name].columns[column] == definition


@given(schemas, schemas)
def test_equal_fingerprints_mean_no_difference(one: Schema, other: Schema) -> None:
    assert (one.fingerprint == other.fingerprint) == (differences(one, other) == () and one == other)
