"""The published figures are what was counted, and keep what is promised."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]
made = runpy.run_path(str(ROOT / "bench/_guard_page.py"))
FIGURES = json.loads((ROOT / "bench/guard.json").read_text())
PAGE = (ROOT / "docs/guard.md").read_text()


def test_the_page_was_made_from_the_figures() -> None:
    assert made["page"](PAGE, FIGURES) == PAGE, "type: .venv/bin/python bench/guard.py --page"


def test_false_back_outs_are_at_most_what_is_promised_at_each_size_of_traffic() -> None:
    rows = FIGURES["sections"]["false"]
    without_ids = [row for row in rows if row["case"].startswith("retries")]
    promised = [row for row in rows if row not in without_ids]
    assert len(promised) == 9 and len(without_ids) == 1
    for row in promised:
        _, high = made["interval"](row["guard"]["backed_out"], row["runs"])
        assert high <= FIGURES["conditions"]["alpha"], row["case"]


def test_the_interval_is_the_usual_one() -> None:
    low, high = made["interval"](10, 100)
    assert (round(low, 3), round(high, 3)) == (0.055, 0.174)  # Wilson, as in Newcombe (1998)
    assert made["interval"](0, 100)[0] == 0.0
