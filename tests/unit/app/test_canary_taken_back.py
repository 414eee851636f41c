"""A canary that a way back took, or while releases stand still: nothing gives it more, and its state says so."""

from __future__ import annotations

import pytest
from tests.unit.app.test_canary_now import MEANT
from tests.unit.app.test_canary_now import parts as parts

from backout.app.canary import advance, status
from backout.app.run import Conduct
from backout.app.watch_marks import freeze
from backout.errors import NeedsAcceptance
from backout.message import msg
from backout.release import Quarantine, ReleaseState


@pytest.fixture
def taken_back(parts):
    """v2 was the canary, and was backed out by a run."""
    parts.canaries.mean(MEANT, "run-1", 0)
    entry = Quarantine(version="v2", reason="backed out to v1", since=parts.clock.now())
    parts.book.quarantine(entry, ReleaseState.BAD, None)
    return parts


def test_it_gets_no_more_not_even_by_the_end_of_a_pause(taken_back):
    taken_back.canaries.pause(None)
    for resume in (False, True):
        with pytest.raises(NeedsAcceptance, match="v2 was backed out: backed out to v1") as caught:
            advance(taken_back, Conduct(), resume=resume)
        assert caught.value.next_command == "backout canary start v2 --accept backed-out"


def test_its_state_says_so_and_what_to_type(taken_back):
    found = status(taken_back)
    assert "v2 was backed out: nothing gives it more requests." in map(str, found.notes)
    assert found.next_command == "backout canary stop"


def test_while_releases_stand_still_its_state_names_what_lets_them_go_on(parts):
    freeze(parts, "v1", msg("the way back would lose rows"))
    found = status(parts)
    assert "v1 is frozen since" in str(found.notes[-1])
    assert found.next_command.startswith("backout watch --resume")
