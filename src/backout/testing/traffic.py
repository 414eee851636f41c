"""The contract of routers that divide requests: subclass `TrafficContract`, give it a `case`, and run it with pytest."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from backout.errors import BackoutError
from backout.observed import Answer
from backout.routers.base import Router, ShiftsTraffic
from backout.testing.clients import Clients
from backout.testing.steps import wait_until

_DEADLINE_S = 5.0


class ShiftingRouter(Router, ShiftsTraffic, Protocol):
    """A router that holds, and divides."""


@dataclass(frozen=True, slots=True)
class TrafficCase:
    """A real router in front of a service with two sides, all requests to the first.

    Each side answers any path with 200 and its name, `/slow` after half a second, and `/tunnel` with 101, after which it
    sends its name back for each byte until the connection ends.

    Attributes:
        router: Bound to the router.
        port: Where the router listens, on `host`.
        sides: The two sides, as the router calls them.
        reload: Makes the router read its configuration again, as an operator would.
        kill: Ends the router at once; it may be called once.
        cookie: Makes a client stick to a side: a `Cookie` header for it; None: the router knows no such thing.
        shares: Of the second side, in per cent: some that the router can make, of which the second is looked at closely.
        connections: Whether it divides connections, and each stays where it is: as long as it is kept, it is asked there.
        host: Where the router listens.
    """

    router: ShiftingRouter
    port: int
    sides: tuple[str, str]
    reload: Callable[[], None]
    kill: Callable[[], None]
    cookie: Callable[[str], str] | None = None
    shares: tuple[int, ...] = (1, 10, 50, 90)
    connections: bool = False
    host: str = "127.0.0.1"


@dataclass(slots=True)
class Seen:
    """What became of requests: by side, and those that failed.

    Attributes:
        again: Sent a second time, because a connection that was used before was closed before the first byte of its reply:
            RFC 9112, 9.3.1 allows that for requests that may be repeated. Not among the failed.
    """

    by: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    again: int = 0


class SteadyLoad(Clients):
    """Clients of one port.

    Args:
        port: On `host`.
        clients: How many.
        fresh: Each request has a connection of its own; else they are kept.
        host: Who is asked.
    """

    def __init__(self, port: int, clients: int = 4, *, fresh: bool = False, host: str = "127.0.0.1") -> None:
        super().__init__(clients)
        self._port, self._fresh, self._host = port, fresh, host
        self.seen = [Seen() for _ in range(clients)]

    @property
    def total(self) -> Seen:
        """All clients' requests together."""
        whole = Seen()
        for one in self.seen:
            whole.by += one.by
            whole.failed += one.failed
            whole.again += one.again
        return whole

    def goes_on(self, requests: int = 40) -> None:
        """Wait until so many more requests are answered."""
        wanted = self.total.by.total() + requests
        wait_until(lambda: self.total.by.total() >= wanted)

    def ask(self, client: int) -> None:
        """Ask, and note what came of it."""
        seen, connection = self.seen[client], self._connection()
        while not self.stop.is_set():
            used, answer = connection.sock is not None, None
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                side = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # No byte of the reply had come.
                if used and answer is None and isinstance(error, ConnectionResetError | BrokenPipeError):
                    seen.again += 1
                else:
                    seen.failed.append(f"{type(error).__name__}: {error}")
                continue
            if answer.status == 200:
                seen.by[side] += 1
            else:
                seen.failed.append(str(answer.status))
            if self._fresh:
                connection.close()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=30)


def get(
    connection: http.client.HTTPConnection, path: str = "/", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Return status and body of one GET."""
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


class TrafficContract:
    """What every router keeps that divides requests; a subclass provides the pytest fixture `case`."""

    def test_looking_changes_nothing_and_says_where_requests_go(self, case: TrafficCase) -> None:
        """Twice the same, and what is told is what is answered."""
        one, other = case.sides
        traffic = case.router.traffic(_DEADLINE_S)
        assert traffic.shares == {one: 100, other: 0} and set(case.router.sides) == {one, other}
        assert (traffic.of(one).admits, traffic.of(other).admits) == (True, False)
        assert _answering(case) == {one}
        assert case.router.traffic(_DEADLINE_S).shares == traffic.shares

    def test_no_request_fails_while_all_go_from_side_to_side(self, case: TrafficCase) -> None:
        """At a steady load over kept connections; each shift is whole when it returns."""
        one, other = case.sides
        with _load(case) as load:
            load.goes_on()
            for to, left in ((other, one), (one, other), (other, one)):
                case.router.shift({to: 100, left: 0})
                _emptied(case, left)
                before = load.total.by[left]
                load.goes_on()
                # An answer may still have been on its way to its client.
                assert load.total.by[left] <= before + len(load.seen)
        assert load.total.failed == []

    def test_it_is_kept_over_a_reload(self, case: TrafficCase) -> None:
        """And under load no request fails by that either."""
        one, other = case.sides
        case.router.shift({one: 0, other: 100})
        assert case.router.traffic(_DEADLINE_S).kept is Answer.YES
        with _load(case) as load:
            load.goes_on()
            case.reload()
            load.goes_on()
        assert (load.total.failed, set(load.total.by)) == ([], {other})
        assert case.router.traffic(_DEADLINE_S).shares == {one: 0, other: 100}

    def test_shares_are_absolute_and_twice_is_once(self, case: TrafficCase) -> None:
        """What is asked for is what is told, and about what happens."""
        one, other = case.sides
        assert case.router.begun({one: 100, other: 0}) and not case.router.begun({one: 0, other: 100})
        for share in case.shares:
            for _ in range(2):
                case.router.shift({one: 100 - share, other: share})
                assert case.router.begun({one: 100 - share, other: share})
                assert case.router.traffic(_DEADLINE_S).shares == {one: 100 - share, other: share}
        share = case.shares[1]
        case.router.shift({one: 100 - share, other: share})
        with _load(case, fresh=case.connections) as load:
            load.goes_on(600)
        found = load.total
        assert found.failed == []
        assert 0.004 * share < found.by[other] / found.by.total() < 0.02 * share

    def test_requests_that_are_inside_end_well(self, case: TrafficCase) -> None:
        """A side that loses its share goes on with what it has."""
        one, other = case.sides
        with _slow(case) as answers:
            wait_until(lambda: case.router.traffic(_DEADLINE_S).of(one).inside != 0)
            case.router.shift({one: 0, other: 100})
        assert answers == [(200, one)]

    def test_clients_that_stick_to_a_side_go_elsewhere_when_it_has_no_share(self, case: TrafficCase) -> None:
        """A bad release lets nobody stay with it."""
        if case.cookie is None:
            return
        one, other = case.sides
        case.router.shift({one: 50, other: 50})
        stays = {"Cookie": case.cookie(other)}
        assert {_once(case, stays) for _ in range(8)} == {(200, other)}
        case.router.shift({one: 100, other: 0})
        assert {_once(case, stays) for _ in range(8)} == {(200, one)}

    def test_what_stays_inside_is_ended_when_it_is_cut(self, case: TrafficCase) -> None:
        """A WebSocket lives on a side that gets no requests any more, until it is cut off."""
        one, other = case.sides
        with tunnel(case.port, host=case.host) as open_tunnel:
            case.router.shift({one: 0, other: 100})
            open_tunnel.sendall(b"x")
            assert open_tunnel.recv(64) == one.encode()
            # None: a router that cannot tell says so, and never that it is nobody.
            assert case.router.traffic(_DEADLINE_S).of(one).inside in (1, None)
            assert case.router.cut(one) in (1, None)
            assert open_tunnel.recv(64) == b""
        wait_until(lambda: _is_empty(case, one))
        assert case.router.cut(one) == 0

    def test_a_side_that_gets_requests_is_not_cut(self, case: TrafficCase) -> None:
        """It would be a failed request for nothing."""
        try:
            case.router.cut(case.sides[0])
        except BackoutError as error:
            assert str(error.state) and error.next_command
            return
        raise AssertionError("it was cut")

    def test_while_it_holds_it_goes_on_holding(self, case: TrafficCase) -> None:
        """And lets through to the other side afterwards."""
        one, other = case.sides
        prior = case.router.observe(_DEADLINE_S).prior
        case.router.hold("maintenance")
        case.router.shift({one: 0, other: 100})
        assert case.router.observe(_DEADLINE_S).held is Answer.YES
        assert case.router.traffic(_DEADLINE_S).shares == {one: 0, other: 100}
        assert _once(case)[0] == 503
        case.router.release(prior)
        assert _answering(case) == {other}

    def test_what_a_person_would_type_does_the_same(self, case: TrafficCase) -> None:
        """Shares, and that they are kept."""
        from backout.testing.routers import typed

        one, other = case.sides
        for shares in ({one: 0, other: 100}, {one: 75, other: 25}, {one: 100, other: 0}):
            typed(case.router.shift_by_hand(shares))
            traffic = case.router.traffic(_DEADLINE_S)
            assert (traffic.shares, traffic.kept) == (shares, Answer.YES)

    def test_a_dead_router_is_an_error_never_a_guess(self, case: TrafficCase) -> None:
        """Each says in which state things are, and what to type."""
        one, other = case.sides
        case.kill()
        acts: list[Callable[[], object]] = [
            lambda: case.router.traffic(1.0),
            lambda: case.router.shift({one: 0, other: 100}),
            lambda: case.router.cut(other),
        ]
        for act in acts:
            try:
                act()
            except BackoutError as error:
                assert str(error.what) and str(error.state) and error.next_command
            else:
                raise AssertionError("a dead router claimed success")


def _is_empty(case: TrafficCase, side: str) -> bool:
    return case.router.traffic(_DEADLINE_S).of(side).inside == 0


def _emptied(case: TrafficCase, side: str) -> None:
    """Wait until nothing is inside; where the router cannot tell, what may be is ended, as a drain does at its limit."""
    if case.router.traffic(_DEADLINE_S).of(side).inside is None:
        case.router.cut(side)
    wait_until(partial(_is_empty, case, side))


def _load(case: TrafficCase, *, fresh: bool = False) -> SteadyLoad:
    return SteadyLoad(case.port, fresh=fresh, host=case.host)


def _once(case: TrafficCase, headers: dict[str, str] | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(case.host, case.port, timeout=10)
    try:
        return get(connection, headers=headers)
    finally:
        connection.close()


def _answering(case: TrafficCase) -> set[str]:
    found = [_once(case) for _ in range(12)]
    assert {status for status, _ in found} == {200}
    return {side for _, side in found}


@contextmanager
def _slow(case: TrafficCase) -> Iterator[list[tuple[int, str]]]:
    """Send a request that takes half a second; its answer is in the list at the end."""
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(case.host, case.port, timeout=30)
        answers.append(get(connection, "/slow"))
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    yield answers
    thread.join(30)
    assert not thread.is_alive(), "a request was never answered"


@contextmanager
def tunnel(port: int, cookie: str = "", host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Open a connection that is handed through, as a WebSocket is; `cookie` makes it stick to a side."""
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(
            # Key and answer are those of RFC 6455, 1.3.
            b"GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + (f"Cookie: {cookie}\r\n".encode() if cookie else b"")
            + b"\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = connection.recv(1)
            assert part, f"no tunnel: {head!r}"
            head += part
        assert b" 101 " in head.split(b"\r\n")[0], head
        yield connection
