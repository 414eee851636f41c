"""What is asked of the sides, and the one that is chosen of several."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.sides import Side, sides

from backout.clock import SystemClock
from backout.errors import TargetUnreachable
from backout.observed import Answer, SideTraffic, Traffic, Workload
from backout.platforms.base import Site
from backout.platforms.sides import SidesOptions, SidesPlatform
from backout.redact import Redactor
from backout.release import Artefact


class Divided:
    """A router that divides requests as it was last told."""

    def __init__(self, shares: Mapping[str, int]) -> None:
        self.shares, self.asked = dict(shares), 0
        self.healthy = Answer.UNKNOWN

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(self.shares)

    def traffic(self, deadline_s: float) -> Traffic:
        self.asked += 1
        told = [
            SideTraffic(name=name, share=share, admits=bool(share), healthy=self.healthy, inside=0)
            for name, share in self.shares.items()
        ]
        return Traffic(sides=tuple(told), kept=Answer.YES)

    def shift(self, shares: Mapping[str, int]) -> None:
        self.shares = dict(shares)

    def begun(self, shares: Mapping[str, int]) -> bool:
        return False

    def cut(self, side: str) -> int:
        return 0

    def shift_by_hand(self, shares: Mapping[str, int]) -> tuple[str, ...]:
        return ("divide " + " ".join(f"{name}={share}" for name, share in shares.items()),)


def platform(urls: Mapping[str, str], shares: Mapping[str, int], **options: object) -> SidesPlatform:
    told = {
        name: {"version_url": f"{url}/version", "ready_url": f"{url}/ready"} for name, url in urls.items()
    }
    site = Site("shop", "test", Path(), {}, SystemClock(), Redactor())
    made = SidesPlatform.create(SidesOptions.model_validate({"sides": told} | options), site)
    made.behind(Divided(shares))
    return made


def urls_of(running: Mapping[str, Side]) -> dict[str, str]:
    return {name: f"http://127.0.0.1:{one.port}" for name, one in running.items()}


@pytest.fixture
def silent() -> Iterator[str]:
    """Somebody who takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        kept: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for one in kept:
            one.close()


def test_a_side_that_never_answers_does_not_take_the_others_with_it(silent):
    with sides("blue") as running:
        urls = urls_of(running) | {"green": silent, "red": silent}
        found = platform(urls, {"blue": 100, "green": 0, "red": 0}).observe(0.5)
    assert found.wanted == Artefact(ref="blue")
    assert found.detail["versions"] == {"blue": "blue", "green": None, "red": None}
    assert found.detail["ready"] == ["blue"]


def test_a_side_with_requests_that_never_answers_is_an_error_that_names_it(silent):
    with sides("blue") as running:
        made = platform(urls_of(running) | {"green": silent}, {"blue": 0, "green": 100})
        with pytest.raises(TargetUnreachable, match=r"Side green does not answer"):
            made.observe(0.4)


def test_the_router_is_asked_once_for_each_look():
    with sides("blue", "green") as running:
        made = platform(urls_of(running), {"blue": 100, "green": 0})
        made.observe(5)
        made.artefacts(5)
        made.not_ready()
    assert made.router.asked == 2


@pytest.mark.parametrize(
    ("shares", "ready", "chosen", "also"),
    [
        ({"blue": 0, "old": 0, "green": 100}, ["blue", "green"], "blue", ["old"]),
        ({"blue": 0, "old": 0, "green": 100}, ["old", "green"], "old", ["blue"]),
        ({"blue": 10, "old": 20, "green": 70}, ["blue", "old"], "old", ["blue"]),
        ({"blue": 10, "old": 20, "green": 70}, ["blue"], "blue", ["old"]),
        ({"blue": 0, "old": 0, "green": 100}, [], "blue", ["old"]),
    ],
)
def test_of_two_sides_with_the_wanted_version_the_ready_one_is_taken_and_told(shares, ready, chosen, also):
    urls = dict.fromkeys(shares, "http://127.0.0.1:1")
    detail = {"shares": shares, "versions": {"blue": "v1", "old": "v1", "green": "v2"}, "ready": ready}
    made = platform(urls, shares)
    workload = Workload(wanted=Artefact(ref="v2"), running=(Artefact(ref="v2"),), detail=detail)
    first, shift, *_ = made.switch(workload, Artefact(ref="v1"), from_version="v2", to_version="v1")
    assert (first.params["side"], first.params["also"]) == (chosen, also)
    assert shift.params["shares"][chosen] == 100
    told = str(made.step_kinds()[first.kind].describe(first))
    assert told == f"Wait until side {chosen} is ready with v1; {also[0]} runs it, too."
