"""Why a pod does not come up, as the kubelet tells it."""

from __future__ import annotations

from backout.kubernetes.pods import reason_of


def test_why_a_program_cannot_even_be_started_stands_with_its_last_end() -> None:
    status = {
        "containerStatuses": [
            {
                "name": "web",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                "lastState": {"terminated": {"exitCode": 128, "message": "exec: nowhere: not found"}},
            }
        ]
    }
    assert reason_of({"status": status}) == (
        "web",
        "CrashLoopBackOff, last exit code 128",
        "exec: nowhere: not found",
    )
