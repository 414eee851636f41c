"""Every documented command is run, in order, on a real stage: it ends as the page says and prints what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from . import console
from .console import ROOT, Command, Where

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("[A-Z]*.md")])
PAGES = list(dict.fromkeys(PAGES))
WITH_COMMANDS = [p for p in PAGES if "console" in console.languages(p.read_text())]

# What is shown and not run, by the language of its block, and why.
NOT_RUN = {
    "sh": "installs something, needs a clone, or is a part of the reader's own script",
    "yaml": "a part of a configuration; whole ones are marked as files and are used",
    "text": "what a program prints, tested where it is made, or a sketch",
    "python": "tests/docs/test_library.py runs it",
    "toml": "a third party's pyproject.toml",
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=named)
def test_commands_end_and_print_as_documented(page: Path, stage_named: Callable[[str], Where]):
    text = page.read_text()
    stage = console.stage_of(text)
    assert stage, f"{named(page)} has commands and does not say what they start from: <!-- stage: good -->"
    where, wrong, new = stage_named(stage), [], text
    for action in console.actions(text):
        if not isinstance(action, Command):
            (where.directory / action.path).write_text(action.text)
            continue
        code, printed = console.run(action, where)
        told = f"{named(page)}:{action.place}: $ {action.line}"
        assert code == action.exit_code, f"{told}\nended with {code}, not {action.exit_code}:\n" + "\n".join(
            printed
        )
        if different := console.difference(action.shown, printed):
            wrong.append(f"{told}\n{different}")
            new = console.updated(new, action, printed)
    if os.environ.get("DOCS_UPDATE"):
        page.write_text(new)
    assert not wrong, "\n\n".join(
        [*wrong, "DOCS_UPDATE=1 pytest tests/docs writes what is printed into the page."]
    )


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_is_not_run_has_a_reason(page: Path):
    unknown = console.languages(page.read_text()) - {"console"} - set(NOT_RUN)
    assert not unknown, f"say in NOT_RUN why {', '.join(sorted(unknown))} is not run"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_command_of_backout_is_not_hidden_in_a_block_that_is_not_run(page: Path):
    hidden = [line for line in page.read_text().splitlines() if line.startswith("$ backout")]
    run = [c.line for c in console.actions(page.read_text()) if isinstance(c, Command)]
    assert [h.removeprefix("$ ") for h in hidden if h.removeprefix("$ ") not in run] == []


def test_a_page_that_prints_something_else_is_noticed():
    assert console.difference(("ok 12", "b"), ["ok 7", "b"]) == ""
    assert console.difference(("…", "b"), ["a", "a", "b"]) == ""
    assert "+c" in console.difference(("a", "b"), ["a", "c"])
    assert console.difference(("a",), ["a", "b"]) != ""
    assert console.difference((), ["a"]) != ""
