"""A canary behind a real HAProxy: its share grows in steps, and one command takes all from it, whatever is stuck."""

from __future__ import annotations

import http.client
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.stories.blue_green import Shop, behind

from backout import Backout, Request
from backout.testing.steps import wait_until
from backout.testing.traffic import SteadyLoad, get, tunnel

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(tmp_path: Path, require_service: Callable[[str], None]) -> Iterator[Shop]:
    require_service("haproxy")
    with behind("haproxy", tmp_path) as shop:
        yield shop


def side_of(shop: Shop, cookie: str) -> str:
    """Return which side answers a client that sticks."""
    with closing(http.client.HTTPConnection("127.0.0.1", shop.proxy.port, timeout=10)) as connection:
        connection.request("GET", "/", headers={"Cookie": f"SIDE={cookie}"})
        return connection.getresponse().read().decode()


def test_the_share_grows_to_all_and_no_request_fails(shop: Shop) -> None:
    shop.configure(("checks:", "canary: {steps: [25, 100]}\nchecks:"))
    shop.cli("canary", "next").refused(
        3, what="No canary", now="Nothing", next="^backout canary start RELEASE"
    )
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
        shop.cli("canary", "start", "v2").ended(0)
        load.goes_on(200)
        assert shop.shares == {"blue": 75, "green": 25}
        # The checks meet both releases, and judge neither.
        for version, state in (("v2", "unknown"), ("v1", "good")):
            done = shop.cli("record", "--version", version).ended(9)
            assert done.out == f"recorded {version} as {state}\n"
            assert "not judged: the canary v2 shares the requests" in done.err
        shop.cli("verify").refused(
            9, what="v1 cannot be judged while the canary v2", now="Nothing", next="canary status"
        )
        shop.running["green"].ready = False
        shop.cli("canary", "next").refused(3, what="green is not ready", now="blue 75 %", next="doctor")
        shop.running["green"].ready = True
        shop.proxy.reload()
        told = shop.cli("canary", "status", "--json").ended(0).json
        assert (told["share"], told["at_step"], told["kept"]) == (25, True, "yes")
        with Backout.from_config(shop.cli.directory / "backout.yaml") as backout:
            backout.canary_pause("the p95 looks odd")
            assert backout.plan().to_version == "v1", "the way back of a canary is what was there before"
        shop.cli("canary", "next").refused(
            3, what="paused by .*: the p95 looks odd", now="Nothing", next="^backout canary next --resume"
        )
        shop.cli("canary", "next", "--resume").ended(0)
        load.goes_on()
    seen = load.total
    assert (seen.failed, set(seen.by), shop.shares) == ([], {"blue", "green"}, {"blue": 0, "green": 100})
    assert shop.cli("canary", "status").ended(0).out.endswith("→ backout record\n")
    assert shop.cli("record").ended(0).out == "recorded v2 as good\n"
    assert shop.cli("canary", "status").ended(0).out.endswith("→ backout\n")
    shop.cli("canary", "stop").refused(3, what="green gets all", now="Nothing", next="backout plan")
    assert shop.running["blue"].ready and shop.router.traffic(5).of("blue").inside == 0


def test_stop_takes_clients_that_stick_too_and_ends_what_stays_open(shop: Shop) -> None:
    shop.cli("canary", "start", "v2").ended(0)
    assert side_of(shop, "green1") == "green"
    with SteadyLoad(shop.proxy.port) as load, tunnel(shop.proxy.port, "SIDE=green1"):
        load.goes_on()
        done = shop.cli("canary", "stop", "--reason", "orders are charged twice").ended(0)
        load.goes_on()
    assert "Stopped: green with v2" in done.out and "1 connections were ended" in done.out
    assert "1 requests or connections are still inside green" in done.err
    assert (load.total.failed, shop.shares, side_of(shop, "green1")) == (
        [],
        {"blue": 100, "green": 0},
        "blue",
    )
    assert shop.cli("canary", "stop").ended(0).out.startswith("Stopped: green")
    # What was just stopped is not the next thing to type.
    assert shop.cli().out.endswith("→ backout releases\n")
    told = shop.cli("canary", "status", "--json").ended(0).json["canary"]
    assert told["meant"] is None and told["backed_out"]["v2"]["reason"] == "orders are charged twice"
    shop.cli("canary", "start", "v2").refused(
        4, what="v2 was stopped by", now="Nothing", next="--accept backed-out$"
    )
    shop.cli("canary", "start", "v2", "--accept", "backed-of").refused(
        2, what="no risk backed-of", now="Nothing", next="^backout canary start v2"
    )


def test_stop_needs_neither_lease_nor_state_file_nor_the_canary(shop: Shop) -> None:
    shop.cli("canary", "start", "v2").ended(0)
    # A run holds the lease, and hangs at the router; somebody holds the state file's lock, too.
    frozen = {"BACKOUT_FAULT": "haproxy.shift.before", "BACKOUT_FAULT_SIGNAL": "STOP"}
    stuck = shop.cli.start("canary", "next", env=frozen)
    wait_until(lambda: Path(f"/proc/{stuck.pid}/stat").read_text().split()[2] == "T")
    shop.running["green"].ready = False
    try:
        with closing(sqlite3.connect(shop.cli.directory / ".backout" / "state.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            stop = shop.cli.start("canary", "stop")
            wait_until(lambda: shop.shares == {"blue": 100, "green": 0})
            other.rollback()
        done = shop.cli.finish(stop).ended(0)
        assert done.out.startswith("Stopped: green with v2")
        assert "was under way and does not go on; if its process hangs" in done.err
    finally:
        os.kill(stuck.pid, signal.SIGKILL)
        shop.cli.finish(stuck)
    # What was stuck does not go on when it is taken up again.
    assert shop.cli("resume").code == 2
    shop.router.shift({"blue": 95, "green": 5})
    shop.configure(("checks:", 'database: {kind: postgres, url: "${NOT_SET}"}\nchecks:'))
    (shop.cli.directory / ".backout" / "state.db").write_bytes(b"rubbish" * 100)
    done = shop.cli("canary", "stop").ended(0)
    assert "as its share says, 5 %" in done.out and "merged by the next command" in done.err
    assert shop.shares == {"blue": 100, "green": 0}
    told = shop.cli("canary", "status").ended(0).out
    assert "What was meant is not known" in told and "blue      100 %  v1" in told


@pytest.mark.parametrize(("point", "share"), [("canary.note.after", 1), ("haproxy.shift.after", 5)])
def test_killed_in_a_step_the_router_tells_the_truth(shop: Shop, point: str, share: int) -> None:
    with Backout.from_config(shop.cli.directory / "backout.yaml") as backout:
        backout.canary_start("v2")
    assert shop.cli("canary", "next", env={"BACKOUT_FAULT": point}).code == -signal.SIGKILL
    with Backout.from_config(shop.cli.directory / "backout.yaml") as backout:
        found = backout.canary_status()
        assert found.share == shop.shares["green"] == share and found.waits is not None
        assert backout.resume().exit_code == 0
        assert backout.canary_status().share == 5 and backout.canary_status().waits is None


def test_all_requests_go_to_a_dead_side_only_if_that_is_named(shop: Shop) -> None:
    shop.cli("canary", "start", "v2").ended(0)
    shop.running["blue"].shutdown()
    shop.running["blue"].server_close()
    wait_until(lambda: shop.router.traffic(5).of("blue").healthy == "no")
    stop = shop.cli("canary", "stop").refused(
        4,
        what="blue is to get all requests, and is not ready",
        now="blue 99 %, green 1 %",
        next="backout hold$",
    )
    assert "--accept control-not-ready" in stop.error["next"]
    assert shop.shares == {"blue": 99, "green": 1}
    shop.cli("canary", "stop", "--accept", "control-not-ready").ended(0)
    assert shop.shares == {"blue": 100, "green": 0}
    with closing(http.client.HTTPConnection("127.0.0.1", shop.proxy.port, timeout=10)) as connection:
        assert get(connection, "/")[0] == 503


def test_a_router_that_does_not_answer_is_told_and_nothing_is_claimed(shop: Shop) -> None:
    killed = shop.cli("canary", "start", "v2", env={"BACKOUT_FAULT": "canary.note.after"})
    assert (killed.code, shop.shares["green"]) == (-signal.SIGKILL, 0)
    told = shop.cli().ended(0).out
    assert "canary    v2: run run-" in told and "was cut short" in told and "backout canary status" in told
    shop.cli("canary", "start", "v2").ended(0)
    shop.proxy.kill()
    for verb in ("stop", "status", "next"):
        shop.cli("canary", verb).refused(3, what="did not answer", now="", next=".")


def test_the_earlier_side_is_kept_for_its_window_and_stopped_by_name_only(shop: Shop) -> None:
    off = shop.running["blue"].off = shop.cli.directory / "blue-off"
    commands = f"start: [rm, -f, {off}], stop: [touch, {off}], installed: [echo, v1]"
    shop.configure(
        ("blue: {version_url", f"blue: {{{commands}, version_url"),
        ("checks:", "canary: {steps: [100]}\nchecks:"),
    )
    file = shop.cli.directory / "backout.yaml"
    with Backout.from_config(file) as backout:
        backout.canary_start("v2")
        (kept,) = backout.canary_status().warm
        assert str(kept).startswith("blue with v1 gets no requests since ")
        assert "going back to it takes seconds" in str(kept)
    assert "blue with v1 gets no requests since" in shop.cli("status").ended(0).out
    shop.cli("canary", "retire", "green").refused(
        3, what="green gets requests: 100 %", now="Nothing", next="."
    )
    shop.cli("canary", "retire", "blue").refused(
        4, what="is kept until", now="Nothing", next="^backout canary retire blue --accept still-warm$"
    )
    off.touch()
    with Backout.from_config(file) as backout:
        assert "side blue: kept" in [one.subject for one in backout.doctor().lines if not one.ok]
    off.unlink()
    shop.configure(("drain_timeout_s: 2", "drain_timeout_s: 2\n  keep_warm_s: 0"))
    with Backout.from_config(file) as backout:
        (over,) = backout.canary_status().warm
        assert str(over) == "blue runs v1; it is kept no longer: backout canary retire blue"
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
        done = shop.cli("canary", "retire", "blue", env={"BACKOUT_FAULT": "sides.stop.before"})
        assert done.code == -signal.SIGKILL
        shop.cli("canary", "retire", "blue").ended(0)
        load.goes_on()
    assert (off.exists(), load.total.failed, set(load.total.by)) == (True, [], {"green"})
    with Backout.from_config(file) as backout:
        assert backout.canary_status().warm == ()
        assert "side blue: kept" not in [one.subject for one in backout.doctor().lines]
        assert backout.plan(Request(to="v1")).steps[2].spec.kind == "sides.start"
