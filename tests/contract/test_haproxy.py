"""A real HAProxy keeps the contracts of routers that hold, and of those that divide requests."""

from __future__ import annotations

import os
import signal
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.haproxy import haproxy
from tests.sides import sides

from backout.errors import NotPossible, StepFailed, TargetUnreachable
from backout.observed import Answer
from backout.testing.routers import RouterCase, RouterContract, typed
from backout.testing.steps import wait_until
from backout.testing.traffic import SteadyLoad, TrafficCase, TrafficContract, tunnel

pytestmark = pytest.mark.slow

SIDES = {"blue": ("blue1", "blue2"), "green": ("green1",)}


@pytest.fixture
def proxy(tmp_path, require_service):
    require_service("haproxy")
    with sides("blue", "green") as running:
        ports = {one: running[side].port for side, own in SIDES.items() for one in own}
        with haproxy(tmp_path, ports) as made:
            router = made.router(SIDES)
            router.shift({"blue": 100, "green": 0})
            yield made, router


@pytest.fixture
def with_another(tmp_path, require_service):
    """A backend with a server that belongs to no side, and is in maintenance when it starts."""
    require_service("haproxy")
    with sides("blue", "green", "other") as running:
        ports = {own: running[own].port for own in running}
        with haproxy(tmp_path, ports) as made:
            yield made.router({"blue": ("blue",), "green": ("green",)})


class TestHolding(RouterContract):
    @pytest.fixture
    def case(self, proxy):
        made, router = proxy
        url = f"http://127.0.0.1:{made.port}"
        return RouterCase(router=router, url=f"{url}/", slow_url=f"{url}/slow", kill=made.kill)


class TestTraffic(TrafficContract):
    @pytest.fixture
    def case(self, proxy):
        made, router = proxy
        return TrafficCase(
            router=router,
            port=made.port,
            sides=("blue", "green"),
            reload=made.reload,
            kill=made.kill,
            cookie=lambda side: f"SIDE={SIDES[side][0]}",
        )


def told(router) -> dict[str, tuple[int, bool]]:
    """Return weight and whether it is shut, by server."""
    return {one.name: (one.weight, one.shut) for one in router.servers().values()}


def test_a_hold_is_one_order_so_that_none_is_half_there(proxy):
    """Of a hold that was cut short nobody could tell who had a share."""
    _, router = proxy
    before = told(router)
    orders = []
    order = router.runtime.order
    router.runtime.order = lambda *commands: (orders.append(commands), order(*commands))
    router.hold("maintenance")
    router.release({"held": False})
    assert [len(commands) for commands in orders] == [2, 2]
    assert told(router) == before


def test_releasing_what_is_not_held_lets_nobody_in(proxy):
    """A side that stands there with a weight and in maintenance, as `disabled` in haproxy.cfg makes it."""
    _, router = proxy
    router.runtime.order("set server app/green1 weight 1")
    before = told(router)
    router.release({"held": False})
    router.release({})
    assert told(router) == before
    assert router.traffic(5).shares == {"blue": 100, "green": 0}


def test_a_server_of_no_side_that_may_get_requests_is_told_and_nothing_is_claimed(with_another):
    """It takes requests past every share, and while it is held."""
    router = with_another
    router.shift({"blue": 100, "green": 0})
    router.hold("maintenance")
    router.runtime.order("set server app/other weight 1; set server app/other state ready")
    assert router.observe(1.0).held is Answer.UNKNOWN
    for act in (
        lambda: router.traffic(5),
        lambda: router.shift({"blue": 0, "green": 100}),
        lambda: router.hold("maintenance"),
    ):
        with pytest.raises(TargetUnreachable, match=r"app/other .* belongs to no side") as caught:
            act()
        assert "set server app/other state maint" in caught.value.next_command
    assert [one.ok for one in router.doctor()] == [False]
    # What was held is let through all the same.
    router.release({"held": False})
    router.runtime.order("set server app/other state maint")
    assert router.traffic(5).shares == {"blue": 100, "green": 0}


def test_held_and_released_by_hand_a_side_that_was_shut_stays_so(proxy):
    _, router = proxy
    # As a server is that haproxy.cfg calls `disabled`, and gives a weight.
    router.runtime.order("set server app/green1 weight 7")
    prior = router.observe(5).prior
    for _ in range(2):
        typed(router.by_hand("maintenance", prior))
        assert router.observe(5).held is Answer.YES
    typed(router.by_hand(None, prior))
    assert router.traffic(5).shares == {"blue": 100, "green": 0}
    assert router.servers()["green1"].shut


def test_a_hold_ends_what_is_inside_at_the_limit_and_says_so_before(proxy):
    made, _ = proxy
    router = made.router(SIDES, drain_timeout_s=0.3)
    fact = router.observe(5)
    assert fact.ends_after_s == 0.3
    with tunnel(made.port) as open_tunnel:
        router.hold("maintenance")
        assert open_tunnel.recv(64) == b""
    assert router.observe(5).held is Answer.YES
    router.release(fact.prior)
    assert router.observe(5) == fact


def test_a_hold_that_somebody_lets_go_meanwhile_is_none(proxy):
    _, router = proxy
    end = router.runtime.order

    def let_in(*commands):
        end(*commands)
        if any("state maint" in one for one in commands):
            end("set server app/blue1 state ready")

    router.runtime.order = let_in
    with pytest.raises(StepFailed, match="does not hold any more") as caught:
        router.hold("maintenance")
    assert "Requests reach the service" in str(caught.value.state)


@pytest.mark.parametrize("taken", ["state maint", "state drain", "weight 0"])
def test_a_server_that_somebody_took_out_gets_nothing_whatever_its_side_does(proxy, taken):
    """It goes with its side out and in, over a hold too, and is told."""
    made, router = proxy
    router.runtime.order(f"set server app/blue2 {taken}")
    found = told(router)["blue2"]

    def is_out() -> bool:
        return router.taken_out(router.servers()) == {"blue2"}

    router.shift({"blue": 90, "green": 10})
    assert (router.traffic(5).shares, told(router)["blue2"]) == ({"blue": 90, "green": 10}, found)
    assert is_out() and "left so: blue2" in router.shift_by_hand({"blue": 100, "green": 0})[0]
    lines = [line for line in router.doctor() if line.ok is not True]
    assert [line.subject for line in lines] == ["router haproxy: server blue2"] and lines[0].remedy
    before, prior = told(router), router.observe(5).prior
    router.hold("maintenance")
    router.release(prior)
    assert told(router) == before and is_out()
    router.shift({"blue": 0, "green": 100})
    assert router.servers()["blue2"].shut
    made.reload()
    router.hold("maintenance")
    router.shift({"blue": 100, "green": 0})
    router.release(prior)
    assert router.traffic(5).shares == {"blue": 100, "green": 0} and is_out()
    assert not router.servers()["blue1"].shut
    router.runtime.order("set server app/blue2 weight 256", "set server app/blue2 state ready")
    assert router.taken_out(router.servers()) == set()


def test_a_weight_that_a_shut_side_had_is_there_after_a_hold(proxy):
    _, router = proxy
    router.runtime.order("set server app/green1 weight 7")
    before = told(router)
    router.hold("maintenance")
    router.release({})
    assert told(router) == before
    router.shift({"blue": 0, "green": 100})
    assert router.traffic(5).shares == {"blue": 0, "green": 100}


def test_held_and_released_by_hand_who_was_taken_out_stays_shut(proxy):
    _, router = proxy
    router.runtime.order("set server app/blue2 state drain")
    prior = router.observe(5).prior
    typed(router.by_hand("maintenance", prior))
    assert router.observe(5).held is Answer.YES
    typed(router.by_hand(None, prior))
    assert router.servers()["blue2"].shut and router.traffic(5).shares == {"blue": 100, "green": 0}


def test_where_it_could_not_be_kept_nothing_is_changed(proxy):
    made, _ = proxy
    router = made.router(SIDES, state_file="nowhere/state")
    before = told(router)
    for act in (router.shift, router.shift_by_hand):
        with pytest.raises(
            NotPossible, match=r"nowhere/state cannot be written: there is no folder"
        ) as caught:
            act({"blue": 0, "green": 100})
        assert str(caught.value.state) == "Nothing was changed." and caught.value.next_command
    assert told(router) == before
    assert "router haproxy: kept over a reload" in [one.subject for one in router.doctor() if one.ok is False]


def test_what_a_process_from_before_a_reload_has_counts_and_is_not_said_to_be_ended(proxy):
    made, _ = proxy
    router = made.router(SIDES, drain_timeout_s=0.2)
    with tunnel(made.port) as websocket:
        made.reload()
        # Both servers of the side are one service here.
        assert router.traffic(5).of("blue").inside == 2
        (pid,) = router.earlier()
        router.shift({"blue": 0, "green": 100})
        assert (router.traffic(5).of("blue").inside, router.traffic(5).of("green").inside) == (2, 0)
        with pytest.raises(StepFailed, match=rf"from before a reload.*kill -TERM {pid}$") as caught:
            router.cut("blue")
        assert "gets no new requests" in str(caught.value.state)
        assert "router haproxy: before a reload" in [one.subject for one in router.doctor() if one.ok is None]
        os.kill(pid, signal.SIGTERM)
        assert websocket.recv(64) == b""
    wait_until(lambda: router.earlier() == ())
    assert (router.cut("blue"), router.traffic(5).of("blue").inside) == (0, 0)


@pytest.mark.parametrize("when", ["weight", "state maint"])
def test_a_reload_in_the_middle_of_a_shift_is_told_and_the_next_one_makes_it_so(proxy, when):
    """The new process does as the state file says, which is from before."""
    made, router = proxy
    order = router.runtime.order

    def reloaded_after(*commands):
        order(*commands)
        if commands and when in commands[0]:
            made.reload()

    router.runtime.order = reloaded_after
    with SteadyLoad(made.port) as load:
        load.goes_on()
        with pytest.raises(StepFailed, match="HAProxy was reloaded, or somebody else") as caught:
            router.shift({"blue": 0, "green": 100})
        assert "blue=100" in str(caught.value.state) or "take requests as before" in str(caught.value.state)
        router.runtime.order = order
        router.shift({"blue": 0, "green": 100})
        load.goes_on()
    assert load.total.failed == []
    assert router.traffic(5).shares == {"blue": 0, "green": 100}


def test_doctor_tells_whether_haproxy_would_read_the_state_file(proxy):
    made, router = proxy

    def line(router=router):
        return next(one for one in router.doctor() if one.subject == "router haproxy: read at a reload")

    assert line().ok is True
    assert line(made.router(SIDES, state_file="another")).ok is False
    configuration = made.folder / "haproxy.cfg"
    text = configuration.read_text()
    configuration.write_text(text.replace("load-server-state-from-file global", ""))
    assert line().ok is False and "load-server-state-from-file global" in line().remedy
    configuration.unlink()
    assert line().ok is None and "grep" in line().remedy


def test_weights_that_an_agent_changes_are_told_and_make_no_shares(tmp_path, require_service):
    require_service("haproxy")
    with sides("blue", "green") as running, agent(b"50%\n") as port:
        ports = {own: running[own].port for own in running}
        more = {"blue": f"check inter 200 agent-check agent-port {port} agent-inter 50ms weight 100"}
        with haproxy(tmp_path, ports, more=more) as made:
            router = made.router({"blue": ("blue",), "green": ("green",)})
            for act in (router.shift, router.shift_by_hand):
                with pytest.raises(
                    NotPossible, match="agent of server app/blue changes its weight"
                ) as caught:
                    act({"blue": 90, "green": 10})
                assert "disable agent app/blue" in caught.value.next_command
            assert "router haproxy: server blue" in [one.subject for one in router.doctor() if one.ok is None]
            # All or nothing is none of its business.
            for shares in ({"blue": 0, "green": 100}, {"blue": 100, "green": 0}):
                router.shift(shares)
                assert router.traffic(5).shares == shares
            typed((router.typed("disable agent app/blue"),))
            router.shift({"blue": 90, "green": 10})


def test_a_server_that_follows_one_that_is_shut_is_not_said_to_be_let_in(tmp_path, require_service):
    require_service("haproxy")
    with sides("blue", "green", "other") as running:
        ports = {own: running[own].port for own in running}
        with haproxy(tmp_path, ports, more={"green": "track app/other"}) as made:
            router = made.router({"blue": ("blue",), "green": ("green",)})
            before = told(router)
            for act in (router.shift, router.shift_by_hand):
                with pytest.raises(NotPossible, match="No server of side green can be let in"):
                    act({"blue": 0, "green": 100})
            assert told(router) == before
            line = next(one for one in router.doctor() if one.subject == "router haproxy: server green")
            assert line.ok is None and "app/other" in str(line.evidence)


@contextmanager
def agent(words: bytes) -> Iterator[int]:
    """Give the port of an agent that answers so."""

    class Answers(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(words)

    with socketserver.TCPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
