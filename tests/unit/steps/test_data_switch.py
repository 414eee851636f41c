"""`data.switch`: real commands on disk, a server that is only names; what the probe tells decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backout.backup import SwapOrder
from backout.clock import Clock, SystemClock
from backout.databases.restores import InTheWay, Switchable
from backout.errors import LostRace, NotPossible, StepFailed
from backout.message import Message, msg
from backout.plan.base import Acting, Probed
from backout.plan.model import StepSpec
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.restores.switch import OwnSwitch, SwitchCommandOptions
from backout.steps.switch import SwitchData
from backout.testing.steps import acting_on, check_probe_changes_nothing, drive

Note = Callable[[Message], None]
NEW = "shop_restored_20261123_120000"
ORDER = SwapOrder(live="shop", live_oid=7, beside=NEW, kept="shop")
KIND = SwitchData()
RUN = 'echo "$BACKOUT_DATABASE_FROM $BACKOUT_DATABASE_TO" >>ran; [ -e fail ] && exit 3; printf "%s\\n" "$BACKOUT_DATABASE_TO" >used'


class Databases:
    """Implements `Switchable`; says what it was asked to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.kept: str | None = None
        self.blocked: tuple[Message, ...] = ()

    def follow(self, used: Callable[[], str], server: str | None = None) -> None: ...

    def place(self, database: str) -> tuple[str, str]:
        return f"server-of-{database}", "5433"

    def elsewhere(self, database: str | None) -> str | None:
        return None

    def in_the_way_of_a_switch(self) -> InTheWay:
        return InTheWay((), ())

    def switch_blockers(self, order: SwapOrder) -> tuple[Message, ...]:
        return self.blocked

    def begin_switch(self, order: SwapOrder, *, held: bool, note: Note) -> None:
        self.done.append(f"begin {order.live}")

    def end_switch(self, order: SwapOrder, *, held: bool) -> None:
        self.done.append(f"keep {order.live}")
        self.kept = order.live

    def undo_switch(self, order: SwapOrder, *, held: bool) -> None:
        self.done.append(f"open {order.live}")

    def switch_ended(self, order: SwapOrder) -> bool:
        return self.kept == order.live

    def left_behind(self, deadline_s: float) -> tuple[str, ...]:
        return ()


class Scene:
    """A folder with the command, the probe, and what the service uses now."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.databases = folder, Databases()
        assert isinstance(self.databases, Switchable)
        self.uses("shop")
        self.redactor = Redactor()
        self.switch = self.made(["sh", "-c", "cat used"])
        self.spec = StepSpec(
            kind="data.switch",
            target="database",
            params={
                "order": ORDER.model_dump(mode="json"),
                "command": list(self.switch.shown()),
                "cwd": str(folder),
                "held": False,
                "fingerprint": "sha256:old",
                "prior_fingerprint": "sha256:new",
            },
            timeout_s=10.0,
        )

    def made(self, probe: list[str], clock: Clock | None = None) -> OwnSwitch:
        options = SwitchCommandOptions.model_validate({"run": ["sh", "-c", RUN], "probe": probe})
        environ = {"PATH": "/usr/bin:/bin"}
        return OwnSwitch(
            options, Site("shop", "production", self.folder, environ, clock or SystemClock(), self.redactor)
        )

    def uses(self, name: str) -> None:
        (self.folder / "used").write_text(f"{name}\n")

    @property
    def acting(self) -> Acting:
        return acting_on({"database": self.databases, "switch": self.switch})

    @property
    def ran(self) -> list[str]:
        log = self.folder / "ran"
        return log.read_text().splitlines() if log.exists() else []

    def probed(self) -> Probed:
        return KIND.probe(self.spec, self.acting).answer


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path.resolve())


def test_the_old_one_is_closed_first_and_kept_once_the_service_uses_the_new_one(scene: Scene) -> None:
    assert scene.probed() is Probed.NOT_DONE
    assert drive(KIND, scene.spec, scene.acting).answer is Probed.DONE
    assert scene.databases.done == ["begin shop", "keep shop"]
    assert scene.ran == [f"shop {NEW}"]
    check_probe_changes_nothing(
        KIND, scene.spec, scene.acting, lambda: (scene.ran, list(scene.databases.done))
    )


def test_the_command_is_told_where_the_new_one_is(scene: Scene) -> None:
    script = 'echo "$BACKOUT_HOST_TO:$BACKOUT_PORT_TO" >place; echo "$BACKOUT_DATABASE_TO" >used'
    options = scene.switch.options.model_copy(update={"run": ("sh", "-c", script)})
    scene.switch.options = options
    KIND.apply(scene.spec, scene.acting)
    assert (scene.folder / "place").read_text() == f"server-of-{NEW}:5433\n"


def test_by_hand_each_statement_goes_to_the_server_that_has_the_database(scene: Scene) -> None:
    spec = scene.spec.model_copy(update={"params": {**scene.spec.params, "servers": {NEW: "db2:5433"}}})
    lines = KIND.by_hand(spec)
    assert [line.startswith("psql -h db2 -p 5433 ") for line in lines if line.startswith("psql")] == [
        False,
        False,
        True,
    ]
    assert f"BACKOUT_DATABASE_TO={NEW} BACKOUT_HOST_TO=db2 BACKOUT_PORT_TO=5433 sh" in lines[-1]
    back = KIND.inverse(spec)
    assert back is not None
    lines = KIND.by_hand(back)
    assert [line.startswith("psql -h db2 -p 5433 ") for line in lines if line.startswith("psql")] == [
        True,
        True,
        False,
    ]
    assert "BACKOUT_HOST_TO=HOST BACKOUT_PORT_TO=PORT" in lines[-1]


def test_killed_before_the_command_ran_it_is_run_and_killed_after_it_is_not_run_again(scene: Scene) -> None:
    scene.databases.done.append("begin shop")
    assert scene.probed() is Probed.NOT_DONE
    scene.uses(NEW)
    assert scene.probed() is Probed.PARTIAL
    assert drive(KIND, scene.spec, scene.acting).answer is Probed.DONE
    assert scene.ran == [] and scene.databases.done == ["begin shop", "keep shop"]


def test_a_command_that_fails_opens_the_old_one_again(scene: Scene) -> None:
    (scene.folder / "fail").touch()
    with pytest.raises(StepFailed, match=r"still uses shop.*exit status 3") as raised:
        KIND.apply(scene.spec, scene.acting)
    assert "takes writes" in str(raised.value.state)
    assert scene.databases.done == ["begin shop", "open shop"]


def test_the_way_back_is_the_same_switch_with_the_names_exchanged(scene: Scene) -> None:
    KIND.apply(scene.spec, scene.acting)
    inverse = KIND.inverse(scene.spec)
    assert inverse is not None
    assert drive(KIND, inverse, scene.acting).answer is Probed.DONE
    assert scene.ran[-1] == f"{NEW} shop" and scene.databases.kept == NEW


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        ("exit 2", "ended with 2"),
        ("true", "no name of a database"),
        ("echo postgresql://u:hunter2@h/shop", "no name of a database"),
        ("sleep 60", "no answer within"),
    ],
)
def test_what_the_probe_does_not_tell_is_unknown(scene: Scene, probe: str, why: str) -> None:
    scene.switch = scene.made(["sh", "-c", probe])
    options = scene.switch.options.model_copy(update={"probe_timeout_s": 0.3})
    scene.switch.options = options
    told = KIND.probe(scene.spec, scene.acting)
    assert told.answer is Probed.UNKNOWN and why in str(told.evidence)
    assert "hunter2" not in str(told.evidence)
    with pytest.raises(StepFailed, match="not known"):
        KIND.guard(scene.spec, scene.acting)
    with pytest.raises(NotPossible, match="Which database the service uses is not known"):
        scene.switch.used()
    assert scene.databases.done == [] and scene.ran == []


def test_a_third_database_is_refused(scene: Scene) -> None:
    scene.uses("elsewhere")
    for act in (KIND.probe, KIND.apply):
        with pytest.raises(LostRace, match="uses elsewhere, neither shop nor shop_restored"):
            act(scene.spec, scene.acting)
    assert scene.databases.done == [] and scene.ran == []


def test_another_command_than_planned_is_refused_and_so_is_what_stands_in_the_way(scene: Scene) -> None:
    other = scene.spec.model_copy(update={"params": scene.spec.params | {"command": ["true"]}})
    with pytest.raises(LostRace, match="changed since the plan"):
        KIND.guard(other, scene.acting)
    scene.databases.blocked = (msg("admin owns it"),)
    with pytest.raises(StepFailed, match="admin owns it"):
        KIND.guard(scene.spec, scene.acting)
    scene.uses(NEW)  # what was made has only to be finished
    KIND.guard(scene.spec, scene.acting)


class Ticks(SystemClock):
    """A clock that moves only when somebody waits."""

    at_s = 0.0

    def monotonic_s(self) -> float:
        return self.at_s

    def wait(self, seconds: float) -> None:
        self.at_s += seconds


def test_the_name_is_asked_again_by_each_look_of_the_step_and_after_seconds(scene: Scene) -> None:
    clock = Ticks()
    scene.switch = scene.made(["cat", "used"], clock)
    assert scene.switch.used() == "shop"
    scene.uses(NEW)
    assert scene.switch.used() == "shop"
    scene.probed()
    assert scene.switch.used() == NEW
    scene.uses("shop")
    clock.wait(3)
    assert scene.switch.used() == "shop"
