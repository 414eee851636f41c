"""The figures of `bench/guard.json` as tables in `docs/guard.md`; nothing is counted here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

BEGIN, END = "<!-- guard: begin -->", "<!-- guard: end -->"
_OTHERS = {"four": "over the limit four times", "row": "three times in a row", "kayenta": "Mann-Whitney"}


def page(text: str, figures: dict[str, Any]) -> str:
    """Return the page with the figures put in between its marks."""
    made = f"{BEGIN}\n{tables(figures)}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: made, text, flags=re.DOTALL)


def tables(figures: dict[str, Any]) -> str:
    """Return all tables, with the conditions."""
    told, rows = figures["conditions"], figures["sections"]
    return "\n\n".join(
        (
            (
                f"Measured {told['measured_at']} with Python {told['python']}, NumPy {told['numpy']}, seed {told['seed']}, alpha"
                f" {told['alpha']:g}: {told['took_s']} s at a load of {told['load_average']:g} on {told['processors']} processors."
                f" Mann-Whitney: the first {told['kayenta_runs']} runs of each row."
            ),
            (
                "### Nothing is wrong with the release\n\n"
                "How often it was taken back all the same within 120 looks; in brackets the 95 % interval."
            ),
            _table(rows["false"], "both arms alike", _wrongly),
            (
                "### The release fails more often\n\n"
                "How often that was found within 120 looks, and after how many looks: the median, and what nine of ten did not exceed."
            ),
            _table(rows["found"], "both arms → release, canary requests a look", _found),
            "### Durations: p95, 1.25 times the control arm's is allowed\n\nFixed limit of the others: 0.5 s; the true p95 is 0.27 s.",
            _table(rows["durations"], "release, canary requests a look", _found),
            "### Errors, p95 and p99 share alpha",
            _table(rows["several"], "release, canary requests a look", _found, others=()),
            (
                "### No control arm: against a limit of 2 %\n\n"
                "No chance of a false alarm is promised here. These are the figures."
            ),
            _table(rows["alone"], "failures, requests a look", _found, others=("four", "row")),
            (
                '### "Continue", and low traffic\n\n'
                '"Continue" is said when the rate is shown to be less than half a point above the control arm\'s.'
            ),
            _continues(rows["continues"]),
        )
    )


def _table(
    rows: Sequence[dict[str, Any]],
    first: str,
    cell: Callable[[dict[str, Any], int], str],
    others: Sequence[str] = tuple(_OTHERS),
) -> str:
    head = [first, "runs", "**guard**", *(_OTHERS[name] for name in others)]
    lines = [
        [
            row["case"],
            f"{row['runs']:,}",
            *(cell(row[name], row["since"]) if name in row else "–" for name in ("guard", *others)),
        ]
        for row in rows
    ]
    return _lines(head, lines)


def _lines(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def _wrongly(said: dict[str, Any], _: int) -> str:
    low, high = interval(said["backed_out"], said["runs"])
    return f"{_percent(said['backed_out'] / said['runs'])} ({_percent(low)} to {_percent(high)})"


def _found(said: dict[str, Any], since: int) -> str:
    if not said["backed_out"]:
        low, high = interval(0, said["runs"])
        return f"never ({_percent(low)} to {_percent(high)})"
    early = f"; {_percent(said['early'] / said['runs'])} before it" if since else ""
    when = f", {said['median']}, {said['p90']}" if "median" in said else ""
    return f"{_percent((said['backed_out'] - said['early']) / said['runs'])}{when}{early}"


def _continues(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        said, kept = row["continued"], row.get("kept")
        told = f"{_percent(kept['kept'] / kept['asked'])} of {kept['asked']}" if kept else ""
        median = str(said.get("median", ""))
        back = _percent(row["guard"]["backed_out"] / row["runs"])
        when = f", {row['guard']['median']}" if "median" in row["guard"] else ""
        lines.append(
            [
                row["case"],
                f"{row['runs']:,}",
                _percent(said["runs"] / row["runs"]),
                median,
                f"{back}{when}",
                told,
            ]
        )
    head = [
        "release, canary requests a look",
        "runs",
        "continue",
        "median look",
        "back out, median look",
        "within the requests that were told to be needed",
    ]
    return _lines(head, lines)


def interval(count: int, runs: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson)."""
    z, rate = 1.96, count / runs
    middle = (rate + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z * math.sqrt(rate * (1 - rate) / runs + z * z / (4 * runs * runs)) / (1 + z * z / runs)
    return (max(0.0, middle - half) if count else 0.0), (min(1.0, middle + half) if count < runs else 1.0)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if 0 < share < 0.01 else f"{100 * share:.3g} %"
