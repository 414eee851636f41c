"""What a terminal shows of a plan."""

from __future__ import annotations

import re

import pytest
from tests.unit.plan.planned import KINDS, full, planned

from backout.cli.screen import show_plan


def test_a_plan_of_data_shows_the_rows_now_and_in_the_backup(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(planned(full(rows={"public.t": 1500, "public.with_a_long_name": 70})), KINDS)
    lines = capsys.readouterr().out.splitlines()
    start = next(n for n, line in enumerate(lines) if "rows by table" in line)
    assert [re.split(" {2,}", line.strip()) for line in lines[start : start + 3]] == [
        ["rows by table", "now", "in the backup"],
        ["public.t", "about 1,500", "1,000"],
        ["public.with_a_long_name", "about 70", "not there"],
    ]


def test_a_plan_of_code_shows_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(planned(full()).model_copy(update={"data": None}), KINDS)
    assert "rows by table" not in capsys.readouterr().out
