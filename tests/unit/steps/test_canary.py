"""The note of a canary: written before the router is told, and not past a stop or a pause."""

from __future__ import annotations

import pytest

from backout.canary import Canary, Meant
from backout.clock import SystemClock
from backout.errors import LostRace
from backout.execute.canaries import Canaries
from backout.execute.journal import Journal
from backout.execute.store import Store
from backout.plan.base import Probed, World
from backout.redact import Redactor
from backout.steps.canary import CanaryNote, note_spec
from backout.testing.steps import acting_on, check_pure_half, drive

FIRST = Meant(version="v2", ref="v2", side="green", control="blue", share=1)
SECOND = FIRST.model_copy(update={"share": 5})


@pytest.fixture
def canaries(tmp_path):
    store = Store(tmp_path)
    yield Canaries(Journal(store, SystemClock(), "ana@web1", Redactor()))
    store.close()


def acting(canaries, run="run-1"):
    return acting_on({"canary": canaries}, step_name=f"{run}/02-canary-note")


def test_the_pure_half():
    check_pure_half(CanaryNote(), note_spec(SECOND, FIRST, "before"), World(serving=frozenset({"v1"})))


def test_it_is_noted_once_for_each_run(canaries):
    spec = note_spec(FIRST, None, None)
    assert drive(CanaryNote(), spec, acting(canaries)).answer is Probed.DONE
    assert CanaryNote().probe(spec, acting(canaries)).answer is Probed.DONE
    assert CanaryNote().probe(spec, acting(canaries, "run-2")).answer is Probed.NOT_DONE
    assert canaries.canary().run == "run-1"


@pytest.mark.parametrize(
    ("meanwhile", "told"),
    [
        (lambda canaries: canaries.pause("odd"), "it is paused, by ana@web1"),
        (lambda canaries: canaries.stop("green", "v2", None), "it is stopped, by ana@web1"),
        (lambda canaries: canaries.mean(SECOND, "run-9", 0), "it is to go on"),
        (lambda canaries: canaries.mean(None, "run-9", 0), "it was withdrawn"),
    ],
)
def test_what_somebody_did_since_the_plan_was_made_stops_it(canaries, meanwhile, told):
    canaries.mean(FIRST, "run-0", 0)
    spec = note_spec(SECOND, FIRST, canaries.canary().changed)
    meanwhile(canaries)
    with pytest.raises(LostRace, match=told) as caught:
        CanaryNote().guard(spec, acting(canaries))
    assert caught.value.next_command == "backout canary status"


def test_undone_it_is_as_it_was(canaries):
    canaries.mean(FIRST, "run-0", 0)
    spec = note_spec(SECOND, FIRST, canaries.canary().changed)
    drive(CanaryNote(), spec, acting(canaries))
    drive(CanaryNote(), CanaryNote().inverse(spec), acting(canaries, "run-2"))
    assert canaries.canary().meant == FIRST
    begun = note_spec(FIRST, None, None)
    drive(CanaryNote(), CanaryNote().inverse(begun), acting(canaries, "run-3"))
    assert canaries.canary().model_copy(update={"changed": None}) == Canary()
