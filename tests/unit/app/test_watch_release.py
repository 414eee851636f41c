"""Which release is watched: the one that was named, the canary, or the newest that was recorded."""

from __future__ import annotations

import pytest
from tests.unit.app.test_canary_now import MEANT
from tests.unit.app.test_canary_now import parts as parts
from tests.unit.backed import release

from backout.app.watch_release import to_watch
from backout.config.model import GuardSection
from backout.errors import ConfigError, UsageError
from backout.signals.options import RouterErrors


@pytest.fixture
def guarded(parts):
    """A service whose guard has something to look at."""
    parts.guard = GuardSection(metrics=(RouterErrors(kind="router"),))
    return parts


def test_a_canary_that_nobody_recorded_is_watched_since_it_began_and_not_the_release_beside_it(guarded):
    guarded.book.record(release("v1", 5), None)
    guarded.canaries.mean(MEANT, "run-1", 0)
    for named in (None, "v2"):
        found = to_watch(guarded, named)
        assert (found.version, found.deployed_at) == ("v2", guarded.canaries.canary().since)
        assert found.artefact is not None and found.artefact.ref == "v2"
    assert to_watch(guarded, "v1").version == "v1"


def test_a_canary_on_record_is_watched_as_it_was_recorded(guarded):
    recorded = release("v2", 1)
    guarded.book.record(recorded, None)
    guarded.book.record(release("v1", 0.5), None)
    guarded.canaries.mean(MEANT, "run-1", 0)
    assert to_watch(guarded, None).deployed_at == recorded.deployed_at


def test_what_was_recorded_after_the_canary_began_is_the_newest(guarded):
    guarded.canaries.mean(MEANT, "run-1", 0)
    guarded.book.record(release("v3", 0, deployed_at=guarded.clock.now()), None)
    assert to_watch(guarded, None).version == "v3"


def test_without_a_canary_it_is_the_newest_on_record(guarded):
    guarded.book.record(release("v1", 5), None)
    guarded.book.record(release("v2", 1), None)
    assert to_watch(guarded, None).version == "v2"


def test_who_is_neither_on_record_nor_the_canary_is_told(guarded):
    guarded.canaries.mean(MEANT, "run-1", 0)
    with pytest.raises(UsageError, match="v9 is not on record"):
        to_watch(guarded, "v9")


def test_without_a_metric_there_is_nothing_to_watch(parts):
    with pytest.raises(ConfigError, match="No metric is declared"):
        to_watch(parts, None)
