"""The contract of routers: subclass `RouterContract`, give it a `case`, and run it with pytest."""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from backout.errors import BackoutError
from backout.observed import Answer
from backout.routers.base import Router
from backout.testing.clients import Clients
from backout.testing.holds import check_hold

_DEADLINE_S = 5.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class RouterCase:
    """A real router in front of a real service, letting requests through.

    Attributes:
        router: Bound to the router.
        url: Answered with 200 by the service, through the router.
        slow_url: The same, but the service takes about half a second.
        kill: Ends the router at once; it may be called once.
    """

    router: Router
    url: str
    slow_url: str
    kill: Callable[[], None]


class Load(Clients):
    """Clients of one URL; `statuses` holds what came of each request."""

    def __init__(self, url: str, clients: int = 6) -> None:
        super().__init__(clients)
        self._url = url
        self.statuses: list[int] = []

    def goes_on_past(self, count: int) -> bool:
        """Whether many more than `count` requests have their answer."""
        return len(self.statuses) > count + 20

    def ask(self, client: int) -> None:
        """Ask, and note the status."""
        while not self.stop.is_set():
            self.statuses.append(ask(self._url))


def ask(url: str) -> int:
    """Return the status of one GET; 0 when there was no answer within 30 s."""
    try:
        with _OPENER.open(url, timeout=30) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def until(reached: Callable[[], bool], what: str) -> None:
    """Wait until something is so; fails after 5 s."""
    deadline = time.monotonic() + _DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline, f"not within {_DEADLINE_S} s: {what}"
        time.sleep(0.01)


def typed(commands: tuple[str, ...]) -> None:
    """Type commands as a person would; each has to succeed."""
    for command in commands:
        argv = ["sh", "-c", command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"


class RouterContract:
    """What every router keeps; a subclass provides the pytest fixture `case`.

    What is said of requests that wait holds for a router that can let them wait (`queue`).
    """

    def test_observing_says_what_release_has_to_put_back(self, case: RouterCase) -> None:
        """A router that lets through is not held, and its prior state is enough to come back to it."""
        fact = case.router.observe(_DEADLINE_S)
        assert (fact.held, fact.mode) == (Answer.NO, None)
        case.router.hold("maintenance")
        case.router.release(fact.prior)
        assert case.router.observe(_DEADLINE_S) == fact

    def test_hold_and_release_are_idempotent_and_exactly_undone(self, case: RouterCase) -> None:
        """Twice is the same as once, for every mode, and release puts back what was."""
        for mode in case.router.observe(_DEADLINE_S).modes:
            check_hold(case.router, mode)
        assert ask(case.url) == 200

    def test_release_puts_back_a_hold_that_was_there_before(self, case: RouterCase) -> None:
        """Prior is absolute: what somebody else held stays held."""
        case.router.hold("maintenance")
        prior = case.router.observe(_DEADLINE_S).prior
        case.router.hold(_gentlest(case))
        case.router.release(prior)
        fact = case.router.observe(_DEADLINE_S)
        assert (fact.held, fact.mode) == (Answer.YES, "maintenance")

    def test_queue_loses_nothing_under_load(self, case: RouterCase) -> None:
        """While held nothing is answered; afterwards everything is, and nothing was refused."""
        if _gentlest(case) != "queue":
            return
        prior = case.router.observe(_DEADLINE_S).prior
        with Load(case.url) as load:
            until(lambda: len(load.statuses) > 20, "the load runs")
            for _ in range(3):
                case.router.hold("queue")
                # An answer may still be on its way from the router to a client.
                settled = self._settled(load)
                time.sleep(0.1)
                assert len(load.statuses) == settled, "a request got through a hold"
                case.router.release(prior)
                until(partial(load.goes_on_past, settled), "the load goes on")
        assert set(load.statuses) == {200}

    def test_hold_returns_when_no_request_is_left_inside(self, case: RouterCase) -> None:
        """A request that was inside when the hold came is answered before the hold returns."""
        statuses: list[int] = []
        inside = threading.Thread(target=lambda: statuses.append(ask(case.slow_url)))
        started = time.monotonic()
        inside.start()
        time.sleep(0.15)  # The request has to be inside; the service works on it for half a second.
        case.router.hold(_gentlest(case))
        assert time.monotonic() - started > 0.4, "hold returned while a request was inside"
        inside.join(5)
        assert statuses == [200]

    def test_maintenance_answers_503_with_retry_after(self, case: RouterCase) -> None:
        """People are told to come back."""
        case.router.hold("maintenance")
        try:
            _OPENER.open(case.url, timeout=5).close()
        except urllib.error.HTTPError as error:
            assert error.code == 503
            assert int(error.headers["Retry-After"]) > 0
            error.close()
        else:
            raise AssertionError("a request got through maintenance")

    def test_what_a_person_would_type_does_the_same(self, case: RouterCase) -> None:
        """The commands of the runbook work as they stand."""
        prior = case.router.observe(_DEADLINE_S).prior
        mode = _gentlest(case)
        typed(case.router.by_hand(mode, prior))
        assert case.router.observe(_DEADLINE_S).mode == mode
        typed(case.router.by_hand(None, prior))
        assert case.router.observe(_DEADLINE_S).held is Answer.NO

    def test_doctor_says_that_it_works(self, case: RouterCase) -> None:
        """Every line is green on a router that works, and looking changes nothing."""
        before = case.router.observe(_DEADLINE_S)
        assert [line.subject for line in case.router.doctor() if line.ok is not True] == []
        assert case.router.observe(_DEADLINE_S) == before

    def test_a_dead_router_is_unknown_never_guessed(self, case: RouterCase) -> None:
        """Nothing is claimed, and every refusal names the next command."""
        prior, mode = case.router.observe(_DEADLINE_S).prior, _gentlest(case)
        case.kill()
        assert case.router.observe(1.0).held is Answer.UNKNOWN
        red = [line for line in case.router.doctor() if line.ok is not True]
        assert red, "doctor is green about a dead router"
        assert all(line.remedy for line in red)
        acts: list[Callable[[], None]] = [
            lambda: case.router.hold(mode),
            lambda: case.router.release(prior),
        ]
        for act in acts:
            try:
                act()
            except BackoutError as error:
                assert error.next_command
                assert str(error.state)
            else:
                raise AssertionError("a dead router claimed success")

    @staticmethod
    def _settled(load: Load) -> int:
        seen = -1
        deadline = time.monotonic() + _DEADLINE_S
        while seen != len(load.statuses):
            assert time.monotonic() < deadline, "requests still get through"
            seen = len(load.statuses)
            time.sleep(0.05)
        return seen


def _gentlest(case: RouterCase) -> str:
    """Return `queue` where the router has it, else `maintenance`."""
    modes = case.router.observe(_DEADLINE_S).modes
    return "queue" if "queue" in modes else "maintenance"
