"""What the demo promises, and the figures it ends with. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.demo.releases import GOOD

MIN_REQUESTS = 500


def broken_promises(measured: dict[str, Any]) -> list[str]:
    """Return what was promised and is not so."""
    back, after = measured["way_back"], measured["afterwards"]
    failed, code = back["requests_failed"] + after["requests_failed"], measured["exit_code_of_run"]
    kept = {
        f"the run did not end done and proven: exit code {code}": code == 0,
        f"fewer than {MIN_REQUESTS} requests were sent during the way back: {back['requests_sent']}": (
            back["requests_sent"] >= MIN_REQUESTS
        ),
        f"requests failed: {failed}": failed == 0,
        f"acknowledged rows were lost: {back['rows_lost']} of {back['rows_acknowledged']}": (
            back["rows_lost"] == 0 and back["rows_acknowledged"] > 0
        ),
        f"not only {GOOD} answers: {', '.join(sorted(after['answered_by'])) or 'nothing'}": (
            set(after["answered_by"]) == {GOOD}
        ),
    }
    if "data" in measured:
        data = measured["data"]
        kept |= {
            f"rows written since the backup did not all come over: {data['rows_still_behind']} of {data['rows_behind']}": (
                data["rows_behind"] > 0 and data["rows_still_behind"] == 0
            ),
            f"rows are still damaged: {data['damaged_rows_after']}": data["damaged_rows_after"] == 0,
        }
    if "schema" in measured:
        schema = measured["schema"]
        kept |= {
            f"rows or values beside the reports were lost: {schema['other_rows_lost']}, {schema['values_lost']}": (
                schema["other_rows_lost"] == schema["values_lost"] == 0
            ),
            "nothing was written under the migrated release": schema[
                "rows_written_under_the_migrated_release"
            ]
            > 0,
            f"rows were lost on the way forward again: {schema['rows_lost_forward_again']}": (
                schema["rows_lost_forward_again"] == 0
            ),
        }
    return [what_failed for what_failed, so in kept.items() if not so]


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
    if "schema" in measured:
        schema = measured["schema"]
        yield f"  written under {bad['version']} and still there: {schema['rows_written_under_the_migrated_release']} reports, and a row changed, added and removed"
        yield f"  of what the migration dropped, changed and deleted: {schema['other_rows_lost']} rows and {schema['values_lost']} values lost"
        yield f"  forward again: {schema['rows_lost_forward_again']} lost"
    yield f"  report: {', '.join(measured['reports'])}"
