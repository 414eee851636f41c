"""What the benches measure is held against what is promised."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"
marks_exceeded = runpy.run_path(str(BENCH / "all.py"))["marks_exceeded"]


def test_a_figure_above_its_pass_mark_is_named() -> None:
    one = {
        "code_seconds": 181.0,
        "data_seconds": 600,
        "pass_marks": {"code_seconds": 180, "data_seconds": 600},
    }
    assert marks_exceeded({"kubernetes": one, "journal": {}}) == [
        "kubernetes: code_seconds is 181.0, the pass mark is 180"
    ]


def test_what_is_published_passes() -> None:
    results = json.loads((BENCH / "results.json").read_text())["results"]
    assert results["kubernetes"]["pass_marks"] and marks_exceeded(results) == []
