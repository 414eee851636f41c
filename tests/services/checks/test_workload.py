"""`workload`: what the platform says runs."""

from __future__ import annotations

import pytest

from backout.checks.base import Outcome
from backout.checks.run import run_checks
from backout.observed import Workload
from backout.release import Artefact

from .support import FAIL, GOOD, INCONCLUSIVE, PASS, V1, Standing, outcomes, subject

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("workload", "digests", "outcome"),
    [
        (GOOD, {}, PASS),
        (GOOD.model_copy(update={"up": 1}), {}, FAIL),
        (GOOD.model_copy(update={"expected": 0, "up": 0}), {}, FAIL),
        (GOOD.model_copy(update={"running": ()}), {}, FAIL),
        (GOOD.model_copy(update={"wanted": None}), {}, FAIL),
        (GOOD.model_copy(update={"wanted": Artefact(ref="releases/v2")}), {}, FAIL),
        (GOOD.model_copy(update={"running": (V1, Artefact(ref="releases/v2"))}), {}, FAIL),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref, digest="sha256:2"),)}), {}, FAIL),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {V1.ref: "sha256:1"}, PASS),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {V1.ref: "sha256:9"}, FAIL),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {V1.ref: None}, INCONCLUSIVE),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {}, INCONCLUSIVE),
        (None, {}, INCONCLUSIVE),
    ],
)
def test_workload(workload: Workload | None, digests: dict[str, str | None], outcome: Outcome) -> None:
    found = run_checks([], subject(platform=Standing(workload, digests)), 5)
    assert outcomes(found.results)["workload"] is outcome


def test_workload_without_digest_is_told_by_name() -> None:
    bare = Artefact(ref=V1.ref)
    found = run_checks([], subject(artefact=bare), 5)
    assert outcomes(found.results)["workload"] is PASS
