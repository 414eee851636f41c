"""A canary as a fold of the journal's events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backout.canary import MEANT, PAUSED, RESUMED, STOPPED, WITHDRAWN, Canary, Meant, fold

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def meant(share: int, version: str = "v2", side: str = "green") -> Meant:
    return Meant(version=version, ref=version, side=side, control="blue", share=share)


def after(*events: tuple[str, object]) -> Canary:
    """Return the state after events a minute apart, each of a run of its own."""
    told = []
    for at, (kind, what) in enumerate(events):
        body = what.model_dump(mode="json") if isinstance(what, Meant) else what or {}
        told.append((NOON + timedelta(minutes=at), "ana@web1", f"run-{at}", kind, body))
    return fold(told)


def test_nothing_is_under_way_at_first():
    assert after() == Canary()


def test_it_goes_on_from_step_to_step_since_it_was_started():
    state = after((MEANT, meant(1)), (MEANT, meant(5)))
    assert (state.meant, state.since, state.run) == (meant(5), NOON, "run-1")


def test_another_release_is_another_canary_and_not_paused():
    state = after((MEANT, meant(5)), (PAUSED, {"reason": "odd"}), (MEANT, meant(1, "v3")))
    assert (state.since, state.paused) == (NOON + timedelta(minutes=2), None)


def test_a_pause_stays_over_a_step_and_ends_when_it_is_ended():
    paused = after((MEANT, meant(1)), (PAUSED, {"reason": "odd"}), (MEANT, meant(5)))
    assert paused.paused is not None and (paused.paused.by, paused.paused.reason) == ("ana@web1", "odd")
    assert after((MEANT, meant(1)), (PAUSED, {}), (RESUMED, {})).paused is None


def test_a_stopped_release_is_backed_out_until_it_is_started_again():
    stop = (STOPPED, {"side": "green", "version": "v2", "reason": "bad"})
    state = after((MEANT, meant(5)), stop)
    assert state.meant is None and state.stopped is not None and state.stopped.side == "green"
    assert state.backed_out["v2"].reason == "bad"
    assert set(after((MEANT, meant(5)), stop, (MEANT, meant(1, "v3"))).backed_out) == {"v2"}
    assert after((MEANT, meant(5)), stop, (MEANT, meant(1))).backed_out == {}


def test_a_stop_that_does_not_know_what_ran_backs_no_release_out():
    assert after((STOPPED, {"side": "green", "version": None})).backed_out == {}


def test_what_was_meant_is_withdrawn_when_its_run_is_undone():
    assert after((MEANT, meant(1)), (WITHDRAWN, {})).meant is None


def test_each_event_makes_another_state():
    events = [(MEANT, meant(1)), (PAUSED, {}), (RESUMED, {}), (STOPPED, {"side": "green", "version": "v2"})]
    changed = [after(*events[:n]).changed for n in range(len(events) + 1)]
    assert len(set(changed)) == len(changed)
