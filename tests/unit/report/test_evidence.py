"""The report names what was saved, and shows the last lines of logs alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from backout.message import msg
from backout.plan.base import Receipt
from backout.report.evidence import evidence_section


def run(*receipts: Receipt | None) -> Any:
    steps = [SimpleNamespace(key=str(n), receipt=r) for n, r in enumerate(receipts)]
    plan = SimpleNamespace(step=lambda _key: SimpleNamespace(spec=SimpleNamespace(kind="evidence.save")))
    return SimpleNamespace(steps=steps, plan=plan)


def test_nothing_is_said_where_nothing_was_to_be_saved() -> None:
    assert evidence_section(run(None)) == []


def test_logs_are_shown_and_others_named() -> None:
    files = {
        "web-1 log": {"file": "/x/web-1-log.txt", "bytes": 12, "tail": "the ``` end"},
        "web-1 status": {"file": "/x/web-1-status.txt", "bytes": 5, "tail": "{}"},
    }
    told = "\n".join(
        evidence_section(run(Receipt(what=msg("."), data={"files": files, "unsaved": ["database: x"]})))
    )
    assert "the ``` end" in told and "````" in told and "/x/web-1-status.txt" in told and "{}" not in told
    assert "Not saved: database: x" in told


def test_a_receipt_of_another_version_is_no_trouble() -> None:
    assert "None." in "\n".join(evidence_section(run(Receipt(what=msg("."), data={"files": ["odd"]}))))
