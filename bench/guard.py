"""How often the guard is wrong, and how soon it is right, by simulation; beside what others do on the same looks.

`bench/guard.py --write` writes `bench/guard.json` and, from it, `docs/guard.md`: about 200 s of processor time, on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from _guard_page import page
from _guard_rules import (
    ALPHA,
    THRESHOLD,
    THRESHOLD_S,
    Said,
    guard_alone,
    guard_of_durations,
    guard_of_failures,
    guard_of_several,
    guard_with_history,
    mann_whitney,
    over_four_times,
    over_in_a_row,
    quantiles,
    rates,
    slow,
)
from _guard_streams import PROMETHEUS_S, Case, failing, lasting

SEED, CHUNKS, KAYENTA_RUNS = 20261129, 8, 160
RESULTS, PAGE = Path(__file__).with_name("guard.json"), Path(__file__).parents[1] / "docs/guard.md"

FALSE = [
    *(Case(f"0.5 %, {n:g} canary requests a look", n, runs=2000) for n in (0.05, 1, 20, 200, 2000)),
    Case("a service that fails at 2 %, 200", 200, (0.02, 0.02), runs=1000),
    Case("both arms at 5 % for 20 looks, 200", 200, incident=0.05, runs=1000),
    Case("the same while the share goes 1, 10, 50 %", 200, incident=0.05, shares=(0.01, 0.1, 0.5), runs=1000),
    Case("retries, 3 tries for each failure, 200", 200, clumps=3.0, runs=1000),
    Case("the same with ids, 200", 200, clumps=3.0, ids=True, runs=1000),
]
FOUND = [
    *(
        Case(f"{a:.1%} → {b:.1%}, {n}", n, (a, b))
        for a, b in ((0.005, 0.05), (0.01, 0.03), (0.005, 0.01))
        for n in (20, 200, 2000)
    ),
    Case("0.5% → 5.0% from look 61 on, 20", 20, (0.005, 0.05), since=60),
    Case("0.5% → 5.0% from look 61 on, 200", 200, (0.005, 0.05), since=60),
    Case("0.5% → 0.6%, 200: less than the 1.2 times that are allowed", 200, (0.005, 0.006)),
]
DURATIONS = [
    Case("alike, 20", 20, slower=1.0, runs=480),
    Case("alike, 200", 200, slower=1.0, runs=480),
    Case("both arms 3 times as slow for 20 looks, 200", 200, slower=1.0, incident=3.0, runs=480),
    Case("1.5 times as slow, 20", 20, slower=1.5, runs=200),
    Case("1.5 times as slow, 200", 200, slower=1.5, runs=200),
    Case("2 times as slow, 20", 20, slower=2.0, runs=200),
    Case("2 times as slow, 200", 200, slower=2.0, runs=200),
    Case(
        "2 times as slow, 200, Prometheus' default buckets", 200, slower=2.0, edges_s=PROMETHEUS_S, runs=200
    ),
    Case(
        "3 times as slow, 200, Prometheus' default buckets", 200, slower=3.0, edges_s=PROMETHEUS_S, runs=200
    ),
    Case(
        "2 times as slow, 200, Prometheus' default buckets: requests slower than 0.5 s are counted",
        200,
        slower=2.0,
        edges_s=PROMETHEUS_S,
        slow_s=0.5,
        runs=200,
    ),
    Case(
        "both arms 3 times as slow for 20 looks, 200, requests slower than 0.5 s are counted",
        200,
        slower=1.0,
        incident=3.0,
        slow_s=0.5,
    ),
    Case("alike, 200, Prometheus' default buckets", 200, slower=1.0, edges_s=PROMETHEUS_S, runs=200),
]
SEVERAL = [
    Case("alike, 200", 200, metrics=3, slower=1.0, runs=480),
    Case("0.5% → 5.0%, 20", 20, (0.005, 0.05), metrics=3, slower=1.0, runs=200),
    Case("0.5% → 5.0%, 200", 200, (0.005, 0.05), metrics=3, slower=1.0, runs=200),
    Case("2 times as slow, 200", 200, metrics=3, slower=2.0, runs=200),
]
ALONE = [
    Case("0.5 %, 200", 200, alone=True),
    Case("1.5 %, 200", 200, (0.015, 0.015), alone=True),
    Case("2 %, which is the limit, 200", 200, (0.02, 0.02), alone=True),
    Case("an incident that is not the release's: 5 % for 20 looks, 200", 200, incident=0.05, alone=True),
    Case("retries, 3 tries for each failure, 0.5 %, 200", 200, clumps=3.0, alone=True),
    Case(
        "an incident that began 10 looks before the release: 5 %, 200",
        200,
        (0.005, 0.05),
        alone=True,
        before=True,
        looks=60,
        runs=96,
    ),
    Case("0.5% → 5.0%, 20", 20, (0.005, 0.05), alone=True),
    Case("0.5% → 5.0%, 200", 200, (0.005, 0.05), alone=True),
    Case("1.0% → 3.0%, 200", 200, (0.01, 0.03), alone=True),
]
CONTINUES = [
    Case("alike, 0.5 %, 20", 20, looks=240, runs=200),
    Case("alike, 0.5 %, 200", 200, needs=True, runs=480),
    Case("alike, 0.5 %, 2000", 2000, runs=200),
    Case("no failure at all, 20", 20, (0.0, 0.0), runs=200),
    Case("half a point more, 0.5% → 1.0%, 200", 200, (0.005, 0.01), runs=480),
    Case("3 requests a minute in all, alike, an hour", 0.3, looks=60, runs=1000),
    Case("3 requests a minute in all, alike, a day", 0.3, looks=1440, runs=96),
    Case("3 requests a minute in all, no failure at all, a day", 0.3, (0.0, 0.0), looks=1440, runs=96),
    Case("3 requests a minute in all, 0.5% → 5.0%, a day", 0.3, (0.005, 0.05), looks=1440, runs=96),
    Case("3 requests a minute in all, 0.5% → 20%, a day", 0.3, (0.005, 0.2), looks=1440, runs=96),
]
SECTIONS: dict[str, Sequence[Case]] = {
    "false": FALSE,
    "found": FOUND,
    "durations": DURATIONS,
    "several": SEVERAL,
    "alone": ALONE,
    "continues": CONTINUES,
}


def measure() -> dict[str, Any]:
    """Return what is promised: the share of false back-outs at each size of traffic, in percent."""
    figures = simulated()["sections"]["false"]
    worst = max(row["guard"]["backed_out"] / row["runs"] for row in figures[:5])
    return {"worst_false_percent": round(100 * worst, 2), "pass_marks": {"worst_false_percent": 100 * ALPHA}}


def simulated(jobs: int = 2) -> dict[str, Any]:
    """Return all figures with their conditions."""
    began_s = time.monotonic()
    work = [
        (name, row, chunk)
        for name, cases in SECTIONS.items()
        for row in range(len(cases))
        for chunk in range(CHUNKS)
    ]
    found: dict[tuple[str, int], list[dict[str, Said | None]]] = {}
    with get_context("spawn").Pool(jobs) as pool:
        for (name, row, _), said in zip(work, pool.imap(_chunk, work), strict=True):
            found.setdefault((name, row), []).extend(said)
    return {
        "conditions": {
            "measured_at": f"{datetime.now(UTC):%Y-%m-%d}",
            "python": platform.python_version(),
            "numpy": np.__version__,
            "seed": SEED,
            "alpha": ALPHA,
            "kayenta_runs": KAYENTA_RUNS,
            "took_s": round(time.monotonic() - began_s),
            "processors": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 1),
        },
        "sections": {
            name: [_row(case, found[name, row]) for row, case in enumerate(cases)]
            for name, cases in SECTIONS.items()
        },
    }


def _chunk(work: tuple[str, int, int]) -> list[dict[str, Said | None]]:
    name, row, chunk = work
    case = SECTIONS[name][row]
    random = np.random.default_rng([SEED, zlib.crc32(f"{name} {row}".encode()), chunk])
    return [
        _run(case, random, kayenta=name != "continues" and run < KAYENTA_RUNS // CHUNKS)
        for run in range(case.runs // CHUNKS)
    ]


def _run(case: Case, random: np.random.Generator, *, kayenta: bool) -> dict[str, Said | None]:
    if case.metrics > 1:
        return {"guard": guard_of_several(failing(case, random), lasting(case, random))}
    if case.slower is not None:
        counts, limit = lasting(case, random), THRESHOLD_S
        said = (
            guard_of_failures(case, slow(case, counts)) if case.slow_s else guard_of_durations(case, counts)
        )
        canary, control = quantiles(counts.canary, case.edges_s), quantiles(counts.control, case.edges_s)
    else:
        counts, limit = failing(case, random), THRESHOLD
        decides = guard_with_history if case.before else guard_alone if case.alone else guard_of_failures
        said = decides(case, counts)
        if case.before:
            return {"guard": said}
        canary, control = (
            rates(counts.canary, counts.canary_errors),
            rates(counts.control, counts.control_errors),
        )
    return {
        "guard": said,
        "four": over_four_times(canary, limit),
        "row": over_in_a_row(canary, limit),
        "kayenta": mann_whitney(canary, control) if kayenta and not case.alone else None,
    }


def _row(case: Case, runs: Sequence[dict[str, Said | None]]) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case.name, "runs": len(runs), "since": case.since}
    for rule in runs[0]:
        said = [one for run in runs if (one := run[rule]) is not None]
        if not said:
            continue
        looks = [one.back_out for one in said if one.back_out is not None]
        early = sum(look <= case.since for look in looks)
        row[rule] = {"runs": len(said), "backed_out": len(looks), "early": early}
        after = [look - case.since for look in looks if look > case.since]
        if after:
            row[rule] |= {
                "median": statistics.median_low(after),
                "p90": sorted(after)[int(0.9 * (len(after) - 1))],
            }
        if rule == "guard":
            fine = [one.fine for one in said if one.fine is not None]
            kept = [one.kept for one in said if one.kept is not None]
            row["continued"] = {"runs": len(fine)} | ({"median": statistics.median_low(fine)} if fine else {})
            if kept:
                row["kept"] = {"asked": len(kept), "kept": sum(kept)}
    return row


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--write", action="store_true", help="write bench/guard.json and docs/guard.md")
    asked.add_argument(
        "--page", action="store_true", help="write docs/guard.md from bench/guard.json as it is"
    )
    asked.add_argument("--jobs", type=int, default=2)
    given = asked.parse_args()
    figures = json.loads(RESULTS.read_text()) if given.page else simulated(given.jobs)
    if given.write:
        RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    if given.write or given.page:
        PAGE.write_text(page(PAGE.read_text(), figures))
    else:
        json.dump(figures, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
