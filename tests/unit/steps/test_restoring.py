"""Steps of a way back of the data: what they make true from every state, and what they refuse."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable

import pytest

from backout.backup import (
    Backup,
    BackupFormat,
    BesideDatabase,
    BesideState,
    Reading,
    RestoreOrder,
    SwapOrder,
    TableCount,
    TableDifference,
)
from backout.databases.restores import Checked, Comparable, Restorable
from backout.document import Json
from backout.errors import BackupUnusable, ExitCode, LossAboveCeiling, StepFailed
from backout.message import Message, msg
from backout.plan.base import Acting, Probed, Receipt, World
from backout.plan.model import StepSpec
from backout.steps import generic_step_kinds
from backout.testing.steps import (
    acting_on,
    check_inverses,
    check_probe_changes_nothing,
    check_pure_half,
    drive,
)

from .server import NOW, Server

Note = Callable[[Message], None]
KINDS = generic_step_kinds()
NAME, KEPT = "shop_restored_20261123_120000", "shop_before_20261123_120000"
WORLD = World(serving=frozenset({"5.5.0"}), fingerprint="sha256:new", code="5.5.0")
ORDER = RestoreOrder(
    backup="b1", path="/b/b1", format=BackupFormat.CUSTOM, identity="b1:1", database=NAME, live="shop"
)
SWAP = SwapOrder(live="shop", live_oid=7, beside=NAME, kept=KEPT)


def spec(kind: str, **params: Json) -> StepSpec:
    return StepSpec(kind=kind, target="database", params=params, timeout_s=5.0)


RESTORE = spec("restore.beside", order=ORDER.model_dump(mode="json"), unpacked_bytes=None)
DROP = RESTORE.model_copy(update={"kind": "restore.drop"})
CHECK = spec("restore.check", beside=NAME, live="shop", usable=["sha256:old"], rows={"public.t": 3})
SWAPS = spec(
    "data.swap", order=SWAP.model_dump(mode="json"), fingerprint="sha256:old", prior_fingerprint="sha256:new"
)


class Reader:
    """The target `backups`: what reading told, and what was found in a prepared database."""

    def __init__(self, error: BackupUnusable | None = None, known: Checked | None = None) -> None:
        self._error, self._known = error, known

    def good(self, backup: Backup, note: Note) -> Reading:
        if self._error is not None:
            raise self._error
        return Reading(backup=backup.name, identity=backup.identity, ok=True, read_at=NOW, seconds=1.5)

    def checked(self, name: str) -> Checked | None:
        return self._known


def on(server: Server, key: str = "step", known: Checked | None = None) -> Acting:
    return acting_on({"database": server, "backups": Reader(known=known)}, step_name=f"run-1/{key}")


def stands(state: BesideState, identity: str = "b1:1") -> Server:
    made = BesideDatabase(name=NAME, oid=50, state=state, backup="b1", identity=identity, why="disk full")
    return Server(databases={} if state is BesideState.ABSENT else {NAME: made})


def probed(server: Server, step: StepSpec) -> Probed:
    check_probe_changes_nothing(KINDS[step.kind], step, on(server), server.snapshot)
    return KINDS[step.kind].probe(step, on(server)).answer


def test_the_server_of_these_tests_is_what_the_steps_ask_for() -> None:
    assert isinstance(Server(), Restorable) and isinstance(Server(), Comparable)


def test_each_kind_keeps_the_promises_of_its_pure_half() -> None:
    steps = [RESTORE, DROP, CHECK, SWAPS, spec("data.compare", kept=KEPT)]
    steps.append(spec("data.count", beside=NAME, ceiling_rows=5))
    steps.append(spec("service.reconnect", version="5.5.0", within_s=1.0, restart=[]))
    for step in steps:
        check_pure_half(KINDS[step.kind], step, WORLD)
    check_inverses(KINDS, steps)


# --- restore beside -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (BesideState.ABSENT, Probed.NOT_DONE),
        (BesideState.CUT_SHORT, Probed.NOT_DONE),
        (BesideState.FAILED, Probed.NOT_DONE),
        (BesideState.RESTORING, Probed.PARTIAL),
        (BesideState.RESTORED, Probed.DONE),
        (BesideState.KEPT, Probed.DONE),
    ],
)
def test_how_far_a_restore_is(state: BesideState, answer: Probed) -> None:
    assert probed(stands(state), RESTORE) is answer


def test_a_restore_that_goes_on_by_itself_is_waited_for_and_not_begun_anew() -> None:
    probe = KINDS["restore.beside"].probe(RESTORE, on(stands(BesideState.RESTORING)))
    assert probe.in_progress


@pytest.mark.parametrize("state", [BesideState.ABSENT, BesideState.CUT_SHORT, BesideState.FAILED])
def test_what_was_cut_short_or_failed_is_begun_anew_in_the_name_of_the_run(state: BesideState) -> None:
    server = stands(state)
    assert drive(KINDS["restore.beside"], RESTORE, on(server)).answer is Probed.DONE
    assert server.done == [f"restore {NAME} for run-1"]


def test_why_a_restore_failed_is_said() -> None:
    probe = KINDS["restore.beside"].probe(RESTORE, on(stands(BesideState.FAILED)))
    assert "disk full" in str(probe.evidence)


@pytest.mark.parametrize("state", [BesideState.RESTORED, BesideState.KEPT])
def test_a_database_of_that_name_with_another_backup_is_not_taken_for_ours(state: BesideState) -> None:
    assert probed(stands(state, "b0:1"), RESTORE) is Probed.UNKNOWN


# --- drop ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", [BesideState.RESTORED, BesideState.RESTORING, BesideState.CUT_SHORT, BesideState.FAILED]
)
def test_what_was_restored_is_dropped_and_its_restore_ended_first(state: BesideState) -> None:
    server = stands(state)
    assert drive(KINDS["restore.drop"], DROP, on(server)).answer is Probed.DONE
    assert server.done == [f"stop {NAME}", f"drop {NAME}"]


@pytest.mark.parametrize("state", [BesideState.ABSENT, BesideState.KEPT])
def test_what_was_live_or_is_gone_is_not_dropped(state: BesideState) -> None:
    server = stands(state)
    assert drive(KINDS["restore.drop"], DROP, on(server)).answer is Probed.DONE
    assert server.done == []


# --- check --------------------------------------------------------------------------------------


def test_what_is_whole_passes_and_its_rows_are_in_the_receipt() -> None:
    receipt = KINDS["restore.check"].apply(CHECK, on(Server()))
    assert receipt.data == {"rows": {"public.t": 3}, "fingerprint": "sha256:old", "head": None}


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(fingerprint="sha256:other"), "not one that the release is known to use"),
        (Server(problems=(msg("constraint t_fk is not valid"),)), "constraint t_fk is not valid"),
        (Server(rows={"public.t": 2}), "public.t has 2 rows, and had 3"),
        (Server(rows={}), "public.t has 0 rows, and had 3"),
    ],
)
def test_what_is_not_as_it_has_to_be_stops_before_anything_is_swapped(server: Server, reason: str) -> None:
    with pytest.raises(BackupUnusable, match=reason) as raised:
        KINDS["restore.check"].apply(CHECK, on(server))
    assert "live database is not touched" in str(raised.value.state)


def test_rows_written_to_a_prepared_database_are_noticed() -> None:
    with pytest.raises(BackupUnusable, match="has 4 rows"):
        KINDS["restore.check"].apply(CHECK, on(Server(rows={"public.t": 4})))


def test_what_was_found_when_it_was_prepared_is_not_looked_for_again_and_held_to_the_same() -> None:
    server = Server(rows={})
    whole = Checked("sha256:old", None, {"public.t": 3}, (), 3)
    assert "seen when it was prepared" in str(
        KINDS["restore.check"].apply(CHECK, on(server, known=whole)).what
    )
    assert server.done == []
    with pytest.raises(BackupUnusable, match="not one that the release is known to use"):
        KINDS["restore.check"].apply(CHECK, on(server, known=whole._replace(fingerprint="sha256:other")))


def test_where_nothing_is_known_nothing_is_compared() -> None:
    anything = spec("restore.check", beside=NAME, live="shop", usable=[])
    KINDS["restore.check"].apply(anything, on(Server(fingerprint="sha256:other", rows={})))


# --- count --------------------------------------------------------------------------------------


def counts(live: int, *, exact: bool = True) -> tuple[TableCount, ...]:
    return (
        TableCount(table="public.t", live=live, restored=3, live_exact=exact),
        TableCount(table="public.u", live=0, restored=100),
    )


def test_no_more_than_was_approved_may_stay_behind() -> None:
    step = spec("data.count", beside=NAME, ceiling_rows=2)
    receipt = KINDS["data.count"].apply(step, on(Server(counted=counts(5))))
    assert receipt.data["rows_behind"] == 2
    with pytest.raises(LossAboveCeiling) as raised:
        KINDS["data.count"].apply(step, on(Server(counted=counts(6))))
    assert raised.value.exit_code is ExitCode.NEEDS_APPROVAL
    assert "--max-loss 3" in raised.value.next_command


def test_a_ceiling_of_zero_is_a_ceiling_and_none_is_none() -> None:
    with pytest.raises(LossAboveCeiling):
        KINDS["data.count"].apply(
            spec("data.count", beside=NAME, ceiling_rows=0), on(Server(counted=counts(4)))
        )
    KINDS["data.count"].apply(
        spec("data.count", beside=NAME, ceiling_rows=None), on(Server(counted=counts(4)))
    )


def test_an_estimate_is_said_to_be_one() -> None:
    step = spec("data.count", beside=NAME, ceiling_rows=None)
    said = [
        str(KINDS["data.count"].apply(step, on(Server(counted=counts(5, exact=e)))).what)
        for e in (True, False)
    ]
    assert "(counted)" in said[0] and "estimated" in said[1]


def test_a_look_is_done_once_this_run_holds_its_receipt() -> None:
    step = spec("data.count", beside=NAME, ceiling_rows=None)
    acting = on(Server(), "07-data-count")
    assert KINDS["data.count"].probe(step, acting).answer is Probed.NOT_DONE
    seen = dataclasses.replace(acting, confirmed={"07-data-count": Receipt(what=msg("Counted."))})
    assert KINDS["data.count"].probe(step, seen).answer is Probed.DONE


# --- swap ---------------------------------------------------------------------------------------


def test_a_swap_is_made_once_and_tells_how_long_nobody_could_write() -> None:
    server = stands(BesideState.RESTORED)
    assert probed(server, SWAPS) is Probed.NOT_DONE
    receipt = KINDS["data.swap"].apply(SWAPS, on(server))
    assert receipt.data == {"closed_s": 0.25}
    assert probed(server, SWAPS) is Probed.DONE
    KINDS["data.swap"].apply(SWAPS, on(server))
    assert (server.live_oid, server.databases[KEPT].oid) == (50, 7)


def test_a_swap_cut_short_is_neither_done_nor_undone_and_swapping_again_ends_it() -> None:
    server = stands(BesideState.RESTORED)
    server.accepts = False
    assert probed(server, SWAPS) is Probed.PARTIAL
    assert drive(KINDS["data.swap"], SWAPS, on(server)).answer is Probed.DONE
    assert server.accepts and server.live_oid == 50


def back() -> StepSpec:
    inverse = KINDS["data.swap"].inverse(SWAPS)
    assert inverse is not None
    return inverse


def test_swapping_back_makes_the_one_that_was_live_live_again() -> None:
    server = stands(BesideState.RESTORED)
    KINDS["data.swap"].apply(SWAPS, on(server))
    assert probed(server, back()) is Probed.NOT_DONE
    assert drive(KINDS["data.swap"], back(), on(server)).answer is Probed.DONE
    assert server.live_oid == 7
    assert server.databases[NAME].state is BesideState.KEPT


def test_swapping_back_what_was_never_swapped_finds_it_done() -> None:
    assert probed(stands(BesideState.RESTORED), back()) is Probed.DONE


def test_swapping_back_a_swap_that_was_cut_short_opens_the_old_one_again() -> None:
    server = stands(BesideState.RESTORED)
    server.accepts = False
    assert drive(KINDS["data.swap"], back(), on(server)).answer is Probed.DONE
    assert server.accepts and server.live_oid == 7


@pytest.mark.parametrize("accepted", [(), ("*",)])
def test_what_is_in_the_way_stops_the_swap_also_where_slots_were_accepted(accepted: tuple[str, ...]) -> None:
    server = stands(BesideState.RESTORED)
    server.blocked = (msg("Prepared transaction 7 is open"),)
    order = SWAP.model_copy(update={"accept_slots": accepted})
    step = SWAPS.model_copy(update={"params": SWAPS.params | {"order": order.model_dump(mode="json")}})
    with pytest.raises(StepFailed, match="Prepared transaction 7") as raised:
        KINDS["data.swap"].guard(step, on(server))
    assert "Nothing was swapped" in str(raised.value.state)
    assert server.live_oid == 7


# --- compare ------------------------------------------------------------------------------------


def test_tables_without_a_difference_are_left_out_of_the_receipt() -> None:
    server = Server(
        found=(TableDifference(table="public.t", inserted=2, updated=1), TableDifference(table="public.u"))
    )
    receipt = KINDS["data.compare"].apply(spec("data.compare", kept=KEPT), on(server))
    differences = receipt.data["differences"]
    assert isinstance(differences, list) and len(differences) == 1
    assert "2 rows inserted, 1 updated, 0 deleted, in 1 tables" in str(receipt.what)


# --- read ---------------------------------------------------------------------------------------


def test_a_backup_that_reads_to_its_end_is_said_to_be_whole_and_any_other_stops() -> None:
    backup = Backup(name="b1", path="/b/b1", format=BackupFormat.PLAIN, size_bytes=1, identity="b1:1")
    step = StepSpec(kind="backup.read", target="backups", params={"backup": backup.model_dump(mode="json")})
    receipt = KINDS["backup.read"].apply(step, acting_on({"backups": Reader()}))
    assert "b1 is whole" in str(receipt.what)
    error = BackupUnusable(msg("cut off"), state=msg("Nothing."), next_command="backout backup list")
    with pytest.raises(BackupUnusable):
        KINDS["backup.read"].apply(step, acting_on({"backups": Reader(error)}))


# --- what a person types ------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", ["a b", 'q"q', "it's", "$(touch /tmp/x)", "`id`", "100%", "größe", "-d"])
def test_names_that_a_shell_would_run_stand_quoted_in_what_a_person_types(hostile: str) -> None:
    order = ORDER.model_copy(update={"database": hostile, "path": f"/b/{hostile}"})
    for form in BackupFormat:
        dumped: Json = order.model_copy(update={"format": form}).model_dump(mode="json")
        for kind in ("restore.beside", "restore.drop"):
            lines = KINDS[kind].by_hand(spec(kind, order=dumped, unpacked_bytes=None))
            assert any(hostile in shlex.split(line, comments=True) for line in lines), lines
    for step in (
        spec("restore.check", beside=hostile, live="shop", usable=[]),
        spec("data.count", beside=hostile, ceiling_rows=None),
    ):
        assert any(hostile in shlex.split(li, comments=True) for li in KINDS[step.kind].by_hand(step))
