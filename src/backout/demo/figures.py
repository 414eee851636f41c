"""What the demo promises, and the figures it ends with. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.demo.releases import GOOD

MIN_REQUESTS = 500


def broken_promises(measured: dict[str, Any]) -> list[str]:
    """Return what was promised and is not so."""
    back, after = measured["way_back"], measured["afterwards"]
    promises = {
        "the run ended done and proven": measured["exit_code_of_run"] == 0,
        f"at least {MIN_REQUESTS} requests were sent during the way back": back["requests_sent"]
        >= MIN_REQUESTS,
        "no request failed": back["requests_failed"] == 0 and after["requests_failed"] == 0,
        "no acknowledged row was lost": back["rows_lost"] == 0 and back["rows_acknowledged"] > 0,
        f"only {GOOD} answers": set(after["answered_by"]) == {GOOD},
    }
    if "data" in measured:
        data = measured["data"]
        promises |= {
            "rows written since the backup stayed behind, and all came over": data["rows_behind"] > 0
            and data["rows_still_behind"] == 0,
            "no row is damaged any more": data["damaged_rows_after"] == 0,
        }
    return [promise for promise, kept in promises.items() if not kept]


def closing_lines(measured: dict[str, Any]) -> Iterator[str]:
    """Yield the figures, as the demo prints them last."""
    back, bad = measured["way_back"], measured["bad_release"]
    yield "\n── Measured ──"
    if bad["errors"]:
        yield f"  the bad release failed {bad['errors']} of {bad['requests_sent']} requests in {bad['seconds']} s"
    yield f"  the way back took {back['seconds']} s, proof included; clients sent {back['requests_sent']} requests meanwhile"
    yield f"  failed: {back['requests_failed']}   (and {back['errors_of_the_bad_release']} more errors by the bad release, before it was gone)"
    yield f"  longest request: {back['longest_request_seconds']} s (it waited at the front port)"
    yield f"  rows acknowledged: {back['rows_acknowledged']}, lost: {back['rows_lost']}"
    if "data" in measured:
        data = measured["data"]
        yield f"  damaged rows: {data['damaged_rows_before']} before, {data['damaged_rows_after']} after"
        yield f"  written since the backup: {data['rows_behind']} acknowledged rows stayed behind; still behind after bringing: {data['rows_still_behind']}"
        yield f"  nobody could connect to the database for {data['closed_seconds']} s, and requests were held for {data['held_seconds']} s"
    yield f"  report: {', '.join(measured['reports'])}"
