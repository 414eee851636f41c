"""The guard over a real HAProxy: a release that fails beside one that does not, an incident of both, a pause, a restart."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import Cli, Done
from tests.haproxy import Haproxy
from tests.nginx import Nginx
from tests.sides import Side
from tests.stories.blue_green import behind

from backout.testing.steps import wait_until
from backout.testing.traffic import ShiftingRouter, SteadyLoad

pytestmark = pytest.mark.slow

GUARD = """\
guard:
  interval_s: 1
  metrics:
    - {kind: router}
"""
HARM, UNSURE = 4, 9


@dataclass(frozen=True)
class Canary:
    """v1 is on blue with 80 %, v2 on green with 20 %."""

    cli: Cli
    proxy: Haproxy | Nginx
    router: ShiftingRouter
    running: dict[str, Side]

    def configure(self, **guard: object) -> None:
        path = self.cli.directory / "backout.yaml"
        path.write_text(
            path.read_text().replace(
                "guard:\n", "guard:\n" + "".join(f"  {k}: {v}\n" for k, v in guard.items())
            )
        )

    def watch(self, *words: str, seconds: int = 30) -> Done:
        return self.cli("watch", "--for", str(seconds), *words)


@pytest.fixture
def canary(tmp_path: Path, require_service: Callable[[str], None]) -> Iterator[Canary]:
    require_service("haproxy")
    with behind("haproxy", tmp_path) as shop:
        with (tmp_path / "backout.yaml").open("a") as config:
            config.write(GUARD)
        shop.router.shift({"blue": 80, "green": 20})
        shop.cli("record", "--version", "v2", "--state", "deploying").ended(0)
        yield Canary(shop.cli, shop.proxy, shop.router, shop.running)


def told(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_release_that_fails_beside_one_that_does_not_is_told_and_a_person_asked(canary: Canary) -> None:
    canary.running["green"].failing = True
    with SteadyLoad(canary.proxy.port):
        done = canary.watch("--json")
    assert done.code == HARM, done.everything
    seen = told(done)
    assert (seen["verdict"]["say"], seen["decision"]["act"]) == ("back out", "ask")
    assert seen["next_command"] == "backout canary stop"
    (finding,) = seen["verdict"]["findings"]
    assert finding["compared"] is True
    # Counters have no ids of requests: the chance of a false alarm is not claimed.
    assert seen["verdict"]["promised"] is None


def test_an_incident_of_both_is_not_the_releases(canary: Canary) -> None:
    for side in canary.running.values():
        side.failing = True
    with SteadyLoad(canary.proxy.port):
        done = canary.watch(seconds=4)
    assert done.code == UNSURE, done.everything
    assert "cannot tell yet" in done.out


def test_without_requests_it_is_never_fine(canary: Canary) -> None:
    done = canary.watch(seconds=3)
    assert done.code == UNSURE, done.everything


def test_what_was_seen_is_known_after_a_restart(canary: Canary) -> None:
    with SteadyLoad(canary.proxy.port):
        canary.watch("--once")
        canary.watch("--once")
    before = told(canary.watch("--once", "--json"))
    again = told(canary.watch("--once", "--json"))
    (first,), (second,) = before["verdict"]["findings"], again["verdict"]["findings"]
    assert first["evidence"]["fields"]["requests"] > 0
    assert second["evidence"]["fields"]["requests"] == first["evidence"]["fields"]["requests"]


def test_two_guards_of_one_release_are_one_too_many(canary: Canary) -> None:
    other = canary.cli.start("watch", "--for", "60")
    try:
        wait_until(lambda: any(canary.cli.directory.rglob("v2.json")))
        canary.watch("--once").refused(
            3, what="Another guard watches v2", now="Nothing", next="backout watch --pause"
        )
    finally:
        other.send_signal(signal.SIGINT)
        assert canary.cli.finish(other).code == UNSURE


def test_paused_it_sees_and_does_nothing(canary: Canary) -> None:
    canary.cli("watch", "--pause", "--reason", "maintenance").ended(0)
    canary.configure(action="automatic")
    canary.running["green"].failing = True
    with SteadyLoad(canary.proxy.port):
        done = canary.watch(seconds=6)
    assert done.code == HARM, done.everything
    assert "maintenance" in done.everything
    assert canary.router.traffic(5).shares == {"blue": 80, "green": 20}
    canary.cli("watch", "--resume").ended(0)


def test_it_goes_back_by_itself_where_that_is_named_and_never_takes_that_back(canary: Canary) -> None:
    canary.configure(action="automatic")
    router = canary.router
    router.shift({"blue": 0, "green": 100})
    canary.running["green"].failing = True
    with SteadyLoad(canary.proxy.port):
        done = canary.watch("--json")
        assert done.code == 6, done.everything
        seen = told(done)
        assert (seen["decision"]["act"], router.traffic(5).shares) == ("back out", {"blue": 100, "green": 0})
        assert seen["next_command"] == f"backout report {seen['run']}"
        # What it went back to fails, too: that is for a person, and releases stand still until one has looked.
        canary.running["blue"].failing = True
        done = canary.watch("--release", "v1", "--json")
    assert done.code == 8, done.everything
    assert (told(done)["decision"]["act"], router.traffic(5).shares) == ("freeze", {"blue": 100, "green": 0})
    assert told(done)["next_command"].startswith("backout releases ")


def test_a_second_time_within_a_day_it_asks(canary: Canary) -> None:
    canary.configure(action="automatic")
    router = canary.router
    canary.running["green"].failing = True
    for code in (6, HARM):
        router.shift({"blue": 0, "green": 100})
        canary.cli("record", "--version", "v2", "--state", "deploying", "--accept", "quarantined").ended(0)
        with SteadyLoad(canary.proxy.port):
            done = canary.watch()
        assert done.code == code, done.everything
    assert router.traffic(5).shares == {"blue": 0, "green": 100}


def test_without_metrics_there_is_nothing_to_watch(canary: Canary) -> None:
    path = canary.cli.directory / "backout.yaml"
    path.write_text(path.read_text().split("guard:")[0])
    canary.watch("--once").refused(2, what="No metric is declared", now="Nothing", next="guard.metrics")
    canary.watch("--pause", "--resume").refused(
        2, what="at once", now="Nothing", next="backout watch --pause"
    )


def test_a_release_that_was_taken_back_is_told_to_get_no_requests_whatever_was_seen(canary: Canary) -> None:
    canary.running["green"].failing = True
    with SteadyLoad(canary.proxy.port):
        assert canary.watch().code == HARM
    canary.router.shift({"blue": 100, "green": 0})
    done = canary.watch("--once")
    assert done.code == UNSURE, done.everything
    assert "v2 gets no requests now" in done.out
    assert "next" not in done.out


def test_a_router_that_does_not_answer_is_no_reason_to_go_back(canary: Canary) -> None:
    canary.proxy.kill()
    done = canary.watch("--once")
    assert done.code == UNSURE, done.everything
    assert "did not answer" in done.out


def test_what_fails_while_requests_are_held_is_not_counted(canary: Canary) -> None:
    canary.watch("--once")
    canary.cli("hold", "--yes").ended(0)
    canary.running["green"].failing = True
    done = canary.watch("--once")
    assert done.code == UNSURE, done.everything
    assert "not counted" in done.out and "backout release-hold" in done.out
    canary.cli("release-hold").ended(0)
    with SteadyLoad(canary.proxy.port):
        assert canary.watch().code == HARM


def test_killed_while_it_goes_back_it_does_not_try_again_and_says_what_goes_on(canary: Canary) -> None:
    canary.configure(action="automatic")
    canary.router.shift({"blue": 0, "green": 100})
    canary.running["green"].failing = True
    fault = {"BACKOUT_FAULT": "haproxy.shift.before"}
    with SteadyLoad(canary.proxy.port):
        assert canary.cli("watch", "--for", "30", env=fault).code == -signal.SIGKILL
        done = canary.watch("--json")
    assert done.code == HARM, done.everything
    seen = told(done)
    assert (seen["decision"]["act"], seen["run"]) == ("ask", None)
    assert seen["next_command"].startswith("backout resume run-")
    assert "was about to" in str(seen["decision"]["reasons"])


def test_a_canary_that_fails_is_stopped_where_that_is_named_and_comes_back_by_name_only(
    canary: Canary,
) -> None:
    canary.configure(action="automatic")
    path = canary.cli.directory / "backout.yaml"
    path.write_text(path.read_text() + "canary: {steps: [50, 100]}\n")
    router = canary.router
    router.shift({"blue": 100, "green": 0})
    canary.cli("canary", "start", "v2").ended(0)
    canary.running["green"].failing = True
    with SteadyLoad(canary.proxy.port):
        done = canary.watch("--json")
        assert done.code == 6, done.everything
    assert (told(done)["decision"]["act"], router.traffic(5).shares) == (
        "back out",
        {"blue": 100, "green": 0},
    )
    assert "gets no request any more" in told(done)["taken_back"]["template"]
    assert any("No request goes to" in note["template"] for note in told(done)["notes"])
    canary.cli("record", "--version", "v2", "--state", "deploying").refused(
        8, what="v2 was backed out .its canary was stopped", now="Nothing", next="--accept quarantined"
    )
    canary.cli("canary", "start", "v2").refused(
        4, what="canary v2 was stopped by", now="Nothing", next="--accept backed-out"
    )
    canary.running["green"].failing = False
    canary.cli("canary", "start", "v2", "--accept", "backed-out").ended(0)
    assert router.traffic(5).shares == {"blue": 50, "green": 50}
    rows = canary.cli("releases", "--json").ended(0).json["rows"]
    assert [bool(row["quarantined"]) for row in rows if row["release"]["version"] == "v2"] == [False]


def test_while_a_release_is_frozen_no_canary_gets_more(canary: Canary) -> None:
    router = canary.router
    router.shift({"blue": 0, "green": 100})
    canary.cli("run", "--to", "v1", "--yes")
    canary.running["blue"].failing = True
    with SteadyLoad(canary.proxy.port):
        assert canary.watch("--release", "v1").code == 8
    canary.cli("canary", "start", "v2", "--accept", "backed-out").refused(
        3, what="v1 is frozen since", now="Nothing", next="backout watch --resume"
    )
    assert "v1 is frozen" in canary.cli().out
    canary.cli("watch", "--resume").ended(0)
    assert "frozen" not in canary.cli().out


@pytest.mark.parametrize(("share", "next_command"), [(20, "backout canary stop"), (100, "")])
def test_a_release_that_dies_is_told_and_a_person_asked_even_if_it_may_act(
    canary: Canary, share: int, next_command: str
) -> None:
    canary.configure(action="automatic")
    path = canary.cli.directory / "backout.yaml"
    path.write_text(path.read_text().replace("  kind: sides\n", "  kind: sides\n  ready_timeout_s: 1\n"))
    canary.router.shift({"blue": 100 - share, "green": share})
    assert canary.watch("--once").code == UNSURE
    canary.running["green"].shutdown()
    canary.running["green"].server_close()
    done = canary.watch("--json")
    assert done.code == HARM, done.everything
    seen = told(done)
    assert (seen["verdict"]["say"], seen["decision"]["act"]) == ("back out", "ask")
    assert "not ready since" in str(seen["verdict"]["reasons"])
    assert next_command in seen["next_command"]
