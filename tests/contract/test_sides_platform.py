"""Two sides behind a real HAProxy keep the contract of platforms."""

from __future__ import annotations

import http.client

import pytest
from tests.haproxy import haproxy
from tests.sides import sides

from backout.clock import SystemClock
from backout.errors import ConfigError, LostRace, StepFailed
from backout.observed import Answer
from backout.plan.base import Probed, World
from backout.platforms.base import Site
from backout.platforms.sides import SidesOptions, SidesPlatform
from backout.redact import Redactor
from backout.testing.platforms import PlatformContract, Stage, carry_out, propose
from backout.testing.steps import acting_on, wait_until
from backout.testing.traffic import SteadyLoad, get, tunnel

pytestmark = pytest.mark.slow

SIDES = {"blue": ("blue1", "blue2"), "green": ("green1",)}


def platform_of(running, folder, **options) -> SidesPlatform:
    told = {
        name: {
            "version_url": f"http://127.0.0.1:{one.port}/version",
            "ready_url": f"http://127.0.0.1:{one.port}/ready",
        }
        for name, one in running.items()
    }
    site = Site("collector", "test", folder, {}, SystemClock(), Redactor())
    return SidesPlatform.create(SidesOptions.model_validate({"sides": told} | options), site)


@pytest.fixture
def stand(tmp_path, require_service):
    """v2 on green gets requests, v1 is on blue."""
    require_service("haproxy")
    with sides("blue", "green") as running:
        running["blue"].version, running["green"].version = "v1", "v2"
        ports = {one: running[side].port for side, own in SIDES.items() for one in own}
        with haproxy(tmp_path, ports) as proxy:
            router = proxy.router(SIDES)
            platform = platform_of(running, tmp_path, drain_timeout_s=2)
            platform.behind(router)
            router.shift({"blue": 0, "green": 100})
            yield platform, router, proxy, running


class TestSides(PlatformContract):
    @pytest.fixture
    def stage(self, stand):
        platform, router, proxy, _ = stand

        def served() -> list[str]:
            found = set()
            for _ in range(8):
                connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
                found.add(get(connection, "/version")[1])
                connection.close()
            return sorted(found)

        def order(*lines: str) -> None:
            for line in lines:
                router.runtime.order(line)

        return Stage(
            platform=platform,
            old="v1",
            new="v2",
            served=served,
            half_done={
                "both get requests": lambda: router.shift({"blue": 50, "green": 50}),
                "let in, and not kept": lambda: order(
                    "set server app/blue1 weight 256", "set server app/blue1 state ready"
                ),
                "the other shut out only": lambda: order(
                    *(f"set server app/{one} weight 256" for one in SIDES["blue"]),
                    *(f"set server app/{one} state ready" for one in SIDES["blue"]),
                    "set server app/green1 state maint",
                ),
                "one server of the side alone": lambda: (
                    router.shift({"blue": 100, "green": 0}),
                    order("set server app/blue2 state maint"),
                ),
            },
            snapshot=lambda: (
                [(one.name, one.weight, one.shut, one.drains) for one in router.servers().values()],
                router.state_file.read_text().split("\n")[2:] and router.traffic(5).kept,
            ),
        )


def test_no_request_fails_on_the_way_back(stand):
    platform, _, proxy, _ = stand
    with SteadyLoad(proxy.port) as load:
        load.goes_on()
        stage = Stage(platform, "v1", "v2", list, {}, lambda: None)
        carry_out(stage, propose(stage))
        load.goes_on()
    assert load.total.failed == []
    assert set(load.total.by) == {"blue", "green"}


def test_a_side_that_is_not_ready_gets_no_request(stand):
    platform, router, _, running = stand
    running["blue"].ready = False
    stage = Stage(platform, "v1", "v2", list, {}, lambda: None)
    ready = propose(stage)[0]
    kind = platform.step_kinds()[ready.kind]
    probe = kind.probe(ready, acting_on({"platform": platform}))
    assert (probe.answer, probe.in_progress) == (Probed.NOT_DONE, True)
    assert "answers 503" in str(probe.evidence)
    running["blue"].ready, running["blue"].version = True, "v3"
    probe = kind.probe(ready, acting_on({"platform": platform}))
    assert (probe.answer, probe.in_progress) == (Probed.NOT_DONE, False)
    assert "runs v3, and not v1" in str(probe.evidence)
    assert router.traffic(5).shares == {"blue": 0, "green": 100}


def test_what_somebody_else_has_divided_meanwhile_is_not_written_over(stand):
    platform, router, _, _ = stand
    stage = Stage(platform, "v1", "v2", list, {}, lambda: None)
    shift = propose(stage)[1]
    router.shift({"blue": 30, "green": 70})
    with pytest.raises(LostRace, match="blue=30 green=70") as caught:
        platform.step_kinds()[shift.kind].guard(shift, acting_on({"platform": platform}))
    assert caught.value.next_command == "backout plan"


def test_undoing_a_shift_from_shares_of_both_has_both_serve_again(stand):
    platform, router, _, _ = stand
    router.shift({"blue": 30, "green": 70})
    shift = propose(Stage(platform, "v1", "v2", list, {}, lambda: None))[1]
    kind = platform.step_kinds()[shift.kind]
    both = World(serving=frozenset({"v1", "v2"}), code="v2")
    after = kind.effect(shift, both)[-1]
    assert (after.serving, after.code) == ({"v1"}, "v1")
    assert kind.effect(kind.inverse(shift), after)[-1] == both


@pytest.mark.parametrize("what", ["weight 0", "state drain"])
def test_a_side_that_clients_who_stick_to_it_reach_still_serves(stand, what):
    """A weight that somebody took away by hand leaves them there: their requests need the later schema."""
    platform, router, _, _ = stand
    router.shift({"blue": 100, "green": 0})
    router.runtime.order("set server app/green1 state ready", "set server app/green1 weight 5")
    router.runtime.order(f"set server app/green1 {what}")
    router.keep()
    assert router.traffic(5).shares == {"blue": 100, "green": 0}
    assert [one.ref for one in platform.observe(5).running] == ["v1", "v2"]
    stage = Stage(platform, "v1", "v2", list, {}, lambda: None)
    _, shift, drain = propose(stage)
    acting = acting_on({"platform": platform})
    probe = platform.step_kinds()[shift.kind].probe(shift, acting)
    assert probe.answer is Probed.PARTIAL and "stick to green" in str(probe.evidence)
    carry_out(stage, (shift, drain))
    assert [one.ref for one in platform.observe(5).running] == ["v1"]


def test_a_side_whose_last_requests_have_not_ended_still_serves(stand):
    platform, router, proxy, _ = stand
    with tunnel(proxy.port):
        router.shift({"blue": 100, "green": 0})
        workload = platform.observe(5)
        assert workload.wanted.ref == "v1"
        assert [one.ref for one in workload.running] == ["v1", "v2"]
        router.cut("green")
    wait_until(lambda: [one.ref for one in platform.observe(5).running] == ["v1"])


def test_a_shift_that_was_cut_short_is_taken_up_or_undone(stand):
    """Between letting in and shutting out shares are neither the earlier nor the wanted ones."""
    platform, router, _, _ = stand
    shift = propose(Stage(platform, "v1", "v2", list, {}, lambda: None))[1]
    kind, acting = platform.step_kinds()[shift.kind], acting_on({"platform": platform})
    order = router.runtime.order
    for step, shares in (
        (shift, {"blue": 100, "green": 0}),
        (kind.inverse(shift), {"blue": 0, "green": 100}),
    ):
        router.shift({"blue": 0, "green": 100})
        router.runtime.order = _once(order)
        with pytest.raises(InterruptedError):
            router.shift({"blue": 100, "green": 0})
        router.runtime.order = order
        assert router.traffic(5).shares == {"blue": 67, "green": 33}
        kind.guard(step, acting)
        kind.apply(step, acting)
        assert router.traffic(5).shares == shares


def _once(order):
    """Return an order that is carried out the first time, and then no more."""
    done = []

    def ordered(*commands):
        if done:
            raise InterruptedError
        done.append(order(*commands))

    return ordered


def test_without_a_state_file_the_way_is_there_and_it_is_told(stand):
    platform, _, proxy, _ = stand
    router = proxy.router(SIDES, state_file=None)
    platform.behind(router)
    stage = Stage(platform, "v1", "v2", list, {}, lambda: None)
    specs = propose(stage)
    carry_out(stage, specs)
    assert router.traffic(5).kept is Answer.UNKNOWN
    probe = platform.step_kinds()[specs[1].kind].probe(specs[1], acting_on({"platform": platform}))
    assert probe.answer is Probed.DONE and "not known" in str(probe.evidence)


def test_a_side_that_the_router_cannot_reach_gets_no_more_than_a_share(stand):
    """It may answer us, and not HAProxy: who takes requests is shut out only after a check."""
    platform, router, proxy, running = stand
    running["blue"].shutdown()
    running["blue"].server_close()
    with SteadyLoad(proxy.port) as load:
        load.goes_on()
        for _ in range(2):
            with pytest.raises(StepFailed, match="side blue is down") as caught:
                router.shift({"blue": 100, "green": 0})
        load.goes_on()
    assert "not shut out" in str(caught.value.state) and caught.value.next_command
    assert load.total.failed == [] and set(load.total.by) == {"green"}
    assert "router's checks" in platform.not_ready_side("blue", router.traffic(5))


def test_the_way_is_there_from_shares_that_no_weights_make_again(tmp_path, require_service):
    """A person gave them: one of many servers, with the least weight."""
    require_service("haproxy")
    many = tuple(f"blue{n}" for n in range(8))
    with sides("blue", "green") as running:
        running["blue"].version, running["green"].version = "v1", "v2"
        ports = dict.fromkeys(many, running["blue"].port) | {"green1": running["green"].port}
        with haproxy(tmp_path, ports) as proxy:
            platform, router = (
                platform_of(running, tmp_path),
                proxy.router({"blue": many, "green": ("green1",)}),
            )
            platform.behind(router)
            router.shift({"blue": 0, "green": 100})
            router.runtime.order("set server app/green1 weight 99", "set server app/blue0 weight 1")
            router.runtime.order("set server app/blue0 state ready")
            stage = Stage(platform, "v1", "v2", list, {}, lambda: None)
            specs = propose(stage)
            kind = platform.step_kinds()[specs[1].kind]
            assert kind.inverse(specs[1]) is None
            assert "blue=1 green=99" in str(kind.no_inverse_because(specs[1]))
            carry_out(stage, specs)
            assert router.traffic(5).shares == {"blue": 100, "green": 0}


def test_a_router_that_does_not_divide_or_has_other_sides_is_told(stand, tmp_path):
    platform, _, proxy, _ = stand
    with pytest.raises(ConfigError, match="needs a router that divides"):
        platform.behind(object())
    with pytest.raises(ConfigError, match="the router black, white"):
        platform.behind(proxy.router({"black": ("blue1",), "white": ("green1",)}))


def test_undone_the_later_side_is_asked_before_it_gets_requests_and_the_earlier_one_drains(stand):
    platform, router, _, _ = stand
    kinds = platform.step_kinds()
    specs = propose(Stage(platform, "v1", "v2", list, {}, lambda: None))
    assert [one.kind for one in specs] == ["sides.ready", "sides.shift", "sides.drain"]
    undone = [kinds[one.kind].inverse(one) for one in reversed(specs)]
    assert [(one.kind, one.params.get("side"), one.params["version"]) for one in undone] == [
        ("sides.ready", "green", "v2"),
        ("sides.shift", None, "v2"),
        ("sides.drain", "blue", "v1"),
    ]
    router.shift({"blue": 30, "green": 70})
    specs = propose(Stage(platform, "v1", "v2", list, {}, lambda: None))
    undone = [kinds[one.kind].inverse(one) for one in reversed(specs)]
    assert [one and one.kind for one in undone] == ["sides.ready", "sides.shift", None]
