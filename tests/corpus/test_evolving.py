"""A schema file with all its forms in it: which lines are there at a step, and what its steps are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpus.evolving import Evolving, Planned

TEXT = """\
//@ 1 init
//@ 2 name: people.name = title; people = persons
//@ 3 filled
const title = text("title"); //@ -1
const name = text("name"); //@ 2-
export const people = table("people", { //@ 2-2
  id: serial("id"),
  name: text("name"), //@ 2-
}, (t) => ({
  by: index("by").on(t.id),
}));

export const kept = table("kept", {
  id: serial("id"),
});
"""


@pytest.fixture
def evolving(tmp_path: Path) -> Evolving:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/02_name.before.sql").write_text("SELECT 2")
    (tmp_path / "one/03_filled.sql").write_text("SELECT 3")
    file = tmp_path / "one.ts"
    file.write_text(TEXT)
    return Evolving(file)


def body(evolving: Evolving, number: int) -> str:
    return "".join(line + "\n" for line in evolving.at(number).splitlines() if not line.startswith("//"))


def test_a_line_is_there_from_its_first_to_its_last_step(evolving: Evolving) -> None:
    kept = '\nexport const kept = table("kept", {\n  id: serial("id"),\n});\n'
    assert body(evolving, 1) == 'const title = text("title");\n' + kept
    assert body(evolving, 3) == 'const name = text("name");\n' + kept


def test_a_block_goes_with_its_first_line_to_its_last_bracket(evolving: Evolving) -> None:
    found = body(evolving, 2)
    assert (
        'export const people = table("people", {\n  id: serial("id"),\n  name: text("name"),\n}, (t)' in found
    )
    assert found.count("});") == 1 and found.count("}));") == 1


def test_the_head_says_the_steps_and_the_folder_what_is_written_by_hand(evolving: Evolving) -> None:
    assert evolving.steps == (
        Planned(1, "init"),
        Planned(2, "name", None, "SELECT 2", {"people.name": "title", "people": "persons"}),
        Planned(3, "filled", "SELECT 3"),
    )
    assert evolving.steps[1].title == "02_name"
