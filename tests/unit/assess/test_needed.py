"""Which backups must not be removed, since a way back would need them."""

from __future__ import annotations

from tests.unit.backed import NEW, OLD, backup, hours, release

from backout.assess.needed import needed
from backout.backup import Backup
from backout.release import Release, ReleaseState

WINDOW = hours(72)
GOOD = release("5.4.0", 48, OLD)
BAD = release("5.5.0", 3, NEW)


def pinned(backups: list[Backup], *releases: Release) -> dict[str, str]:
    return {name: str(why) for name, why in needed(backups, releases, WINDOW)}


def test_the_newest_from_before_a_release_and_the_newest_that_fits_the_one_before_are_kept() -> None:
    found = pinned(
        [backup("b4", 1, NEW), backup("b3", 4, NEW), backup("b2", 28, OLD), backup("b1", 40, OLD)], BAD, GOOD
    )
    assert found == {
        "b4": "a way back to 5.5.0",
        "b3": "the way back from 5.5.0",
        "b2": "the way back from 5.5.0",
    }


def test_before_the_bad_release_is_recorded_its_backup_by_schema_does_not_replace_the_one_from_before() -> (
    None
):
    found = pinned([backup("b2", 1, NEW), backup("b1", 28, OLD)], GOOD)
    assert found == {"b1": "a way back to 5.4.0"}


def test_before_it_is_recorded_the_manifests_tell_that_another_version_runs_also_on_the_same_schema() -> None:
    found = pinned(
        [
            backup("b4", 1, OLD, release="5.5.0"),
            backup("b3", 2, OLD, release="5.5.0"),
            backup("b2", 28, OLD, release="5.4.0"),
            backup("b1", 40, OLD, release="5.4.0"),
        ],
        GOOD,
    )
    assert found == {
        "b4": "a way back to 5.4.0",
        "b2": "the way back from 5.5.0, which is not recorded yet",
    }


def test_of_several_versions_that_nobody_recorded_each_has_its_way_back() -> None:
    backups = [
        backup("b3", 1, OLD, release="5.6.0"),
        backup("b2", 2, NEW, release="5.5.0"),
        backup("b1", 28, OLD, release="5.4.0"),
    ]
    assert set(pinned(backups, GOOD)) == {"b3", "b2", "b1"}
    # Nothing is recorded at all: what runs, and what ran before it, is known by the manifests alone.
    assert set(pinned(backups)) == {"b2", "b1"}


def test_a_version_that_nobody_recorded_closes_with_the_window_once_a_newer_one_came() -> None:
    def made(newest: float) -> list[Backup]:
        return [
            backup("b3", newest, OLD, release="5.6.0"),
            backup("b2", 100, OLD, release="5.5.0"),
            backup("b1", 200, OLD, release="5.4.0"),
        ]

    assert set(pinned(made(1))) == {"b2"}
    assert set(pinned(made(80))) == {"b2"}, "the newest one stays open however long it runs"


def test_what_serves_again_after_a_way_back_is_no_new_version() -> None:
    bad = BAD.model_copy(update={"state": ReleaseState.BAD})
    backups = [backup("b3", 1, OLD, release="5.4.0"), backup("b1", 28, OLD, release="5.4.0")]
    assert pinned(backups, bad, GOOD) == {"b3": "a way back to 5.4.0", "b1": "the way back from 5.5.0"}


def test_one_of_which_nothing_is_known_stands_for_none_that_fits() -> None:
    """A dump of another tool is never removed by us; it must not let ours be removed."""
    found = pinned([backup("dump", 2), backup("b1", 28, OLD)], GOOD)
    assert found == {"b1": "a way back to 5.4.0"}
