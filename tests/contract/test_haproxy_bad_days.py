"""HAProxy's runtime API is silent, loses its reply, or is used by somebody else; a side dies during the switch."""

from __future__ import annotations

import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.haproxy import haproxy
from tests.sides import sides

from backout.errors import StepFailed, TargetUnreachable
from backout.observed import Answer
from backout.routers.haproxy.runtime import Runtime
from backout.testing.steps import wait_until
from backout.testing.traffic import SteadyLoad

pytestmark = pytest.mark.slow

SIDES = {"blue": ("blue",), "green": ("green",)}
BACK = {"blue": 0, "green": 100}


@pytest.fixture
def shop(tmp_path, require_service):
    require_service("haproxy")
    with sides(*SIDES) as running, haproxy(tmp_path, {one: own.port for one, own in running.items()}) as made:
        router = made.router(SIDES)
        router.shift({"blue": 100, "green": 0})
        yield made, router, running


@contextmanager
def relay(to: Path, loses: Callable[[str], bool]) -> Iterator[Path]:
    """Give a socket before the runtime API; the reply to a command that it loses never comes, though it is carried out."""
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        path, over = Path(folder) / "s", threading.Event()

        class Hands(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                command = self.rfile.readline().decode().strip()
                reply = Runtime(str(to), 5.0, "").ask(command) if command else ""
                if loses(command):
                    over.wait(30)
                else:
                    self.wfile.write(reply.encode())

        class Relay(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            pass

        with Relay(str(path), Hands) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield path
            over.set()
            server.shutdown()
            thread.join()


def test_one_that_takes_connections_and_never_answers_is_unknown_in_time(shop):
    made, router, _ = shop
    with relay(made.socket, lambda _: True) as path:
        silent = made.router(SIDES, socket=str(path), timeout_s=0.2)
        assert silent.observe(0.5).held is Answer.UNKNOWN
        for act in (
            lambda: silent.shift(BACK),
            lambda: silent.hold("maintenance"),
            lambda: silent.cut("green"),
        ):
            with pytest.raises(
                TargetUnreachable, match=r"did not answer: no whole answer in time|timed out"
            ) as caught:
                act()
            assert caught.value.next_command
        assert [one.ok for one in silent.doctor()] == [False]
    assert router.traffic(5).shares == {"blue": 100, "green": 0}


@pytest.mark.parametrize("lost", ["weight 256", "state maint"])
def test_a_reply_that_is_lost_after_the_change_is_not_known_and_the_next_shift_finds_it(shop, lost):
    made, router, _ = shop
    with SteadyLoad(made.port) as load, relay(made.socket, lambda command: lost in command) as path:
        load.goes_on()
        with pytest.raises(TargetUnreachable, match="did not answer") as caught:
            made.router(SIDES, socket=str(path), timeout_s=0.2).shift(BACK)
        assert "whether the last command was carried out is not known" in str(caught.value.state)
        assert router.begun(BACK)
        router.shift(BACK)
        load.goes_on()
    assert load.total.failed == []
    assert (router.traffic(5).shares, router.traffic(5).kept) == (BACK, Answer.YES)


@pytest.mark.parametrize(
    ("at", "does"),
    [("state ready", "set server app/green state maint"), ("state maint", "set server app/blue state ready; set server app/blue weight 9")],
)  # fmt: skip
def test_somebody_else_who_divides_them_meanwhile_is_told(shop, at, does):
    made, router, _ = shop
    order = router.runtime.order

    def and_another(*commands):
        order(*commands)
        if any(at in one for one in commands):
            order(does)

    router.runtime.order = and_another
    with SteadyLoad(made.port) as load:
        load.goes_on()
        with pytest.raises(StepFailed, match="somebody else"):
            router.shift(BACK)
        load.goes_on()
    assert load.total.failed == [] and load.total.by["blue"]


def test_the_later_side_dies_during_the_switch_and_the_earlier_one_serves(shop):
    made, router, running = shop
    order = router.runtime.order

    def dies(*commands):
        order(*commands)
        running["blue"].shutdown()
        running["blue"].server_close()

    router.runtime.order = dies
    router.shift(BACK)
    with SteadyLoad(made.port) as load:
        load.goes_on()
    assert (load.total.failed, set(load.total.by)) == ([], {"green"})
    assert router.traffic(5).shares == BACK


def test_the_earlier_side_dies_during_the_switch_and_the_later_one_is_not_shut_out(shop):
    made, router, running = shop
    running["green"].shutdown()
    running["green"].server_close()
    with SteadyLoad(made.port) as load:
        load.goes_on()
        with pytest.raises(StepFailed, match="side green is down") as caught:
            router.shift(BACK)
        assert "take requests as before" in str(caught.value.state)
        wait_until(lambda: router.traffic(5).of("green").healthy is Answer.NO)
        load.goes_on()
    assert (load.total.failed, set(load.total.by)) == ([], {"blue"})
