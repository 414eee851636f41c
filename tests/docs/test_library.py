"""The example of docs/reference/library.md runs, and prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from .console import ROOT, Where

PAGE = ROOT / "docs" / "reference" / "library.md"


@pytest.mark.slow
def test_the_example_runs_and_prints_what_is_shown(stage_named: Callable[[str], Where]):
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)[:2]
    where = stage_named("bad")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=where.directory,
        env={**where.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_every_public_method_is_in_the_table():
    from backout import Backout, Migrations

    page = PAGE.read_text()
    names = [name for kind in (Backout, Migrations) for name in vars(kind) if not name.startswith("_")]
    assert len(names) >= 30
    assert [name for name in names if f"{name}(" not in page] == []


def test_what_the_page_takes_from_backout_is_there():
    import backout

    taken = set(
        re.findall(r"\b(?:Backout|Migrations|Request|Recording|Conduct|Bringing)\b", PAGE.read_text())
    )
    assert len(taken) == 6
    assert taken <= set(backout.__all__)
    assert [name for name in backout.__all__ if not hasattr(backout, name)] == []
