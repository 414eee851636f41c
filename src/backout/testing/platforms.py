"""What every platform promises, as a class to inherit from in tests.

    class TestMyPlatform(PlatformContract):
        @pytest.fixture
        def stage(self): ...

The stage is a real service of which `new` runs; every test takes it back to `old`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backout.clock import SystemClock
from backout.errors import BackoutError, LeaseLost, UnknownVersion
from backout.plan.base import Probed, World
from backout.plan.model import StepSpec
from backout.platforms.base import Platform
from backout.release import Artefact
from backout.testing.lease import check_lease_store, lease_of
from backout.testing.records import check_record_store
from backout.testing.steps import (
    acting_on,
    check_inverses,
    check_probe_changes_nothing,
    check_pure_half,
    drive,
)

DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A real service to test a platform with.

    Attributes:
        old: Ref of a release that is deployed and does not run.
        new: Ref of the release that runs.
        served: Returns the refs that really answer now, each as often as a process runs it.
        half_done: By name, what brings the service into a state that a cut-short deploy or run leaves.
        snapshot: Returns everything that observing must not change.
    """

    platform: Platform
    old: str
    new: str
    served: Callable[[], list[str]]
    half_done: Mapping[str, Callable[[], None]]
    snapshot: Callable[[], object]


class PlatformContract:
    """The promises; inherit and give a fixture `stage`."""

    def test_observes_what_runs_and_changes_nothing(self, stage: Stage) -> None:
        """What it says runs is what answers."""
        before = stage.snapshot()
        workload = stage.platform.observe(DEADLINE_S)
        assert [a.ref for a in workload.running] == [stage.new] == stage.served()
        assert workload.wanted is not None and workload.wanted.ref == stage.new
        assert stage.platform.observe(DEADLINE_S) == workload
        assert stage.snapshot() == before

    def test_lists_what_it_could_run(self, stage: Stage) -> None:
        """A platform with history names both releases, each once; one without says that it cannot."""
        if not stage.platform.capabilities.history:
            try:
                stage.platform.artefacts(DEADLINE_S)
            except BackoutError as error:
                assert str(error.what) and error.next_command
                return
            raise AssertionError("it has no history, and answers all the same")
        refs = [a.ref for a in stage.platform.artefacts(DEADLINE_S)]
        assert {stage.old, stage.new} <= set(refs) and len(refs) == len(set(refs))

    def test_identity(self, stage: Stage) -> None:
        """Where identity is promised, a digest is stable and differs between releases."""
        old, again, new = (stage.platform.identify(ref) for ref in (stage.old, stage.old, stage.new))
        assert old == again and old.ref == stage.old
        if stage.platform.capabilities.immutable_identity:
            assert old.digest and new.digest and old.digest != new.digest
        else:
            assert old.digest is None

    def test_unknown_release_is_named(self, stage: Stage) -> None:
        """A release that is not there is an error that names it."""
        if not stage.platform.capabilities.history:
            return
        try:
            stage.platform.identify("no-such-release")
        except UnknownVersion as error:
            assert "no-such-release" in str(error.what) and error.next_command
            return
        raise AssertionError("it identified a release that is not there")

    def test_switch_is_pure_and_its_steps_keep_their_promises(self, stage: Stage) -> None:
        """Steps have registered kinds, name their version, and undo each other."""
        before, specs, kinds = stage.snapshot(), propose(stage), stage.platform.step_kinds()
        assert specs == propose(stage)
        assert stage.snapshot() == before
        world = World(serving=frozenset({stage.new}), code=stage.new)
        for spec in specs:
            assert spec.params["version"] in (stage.old, stage.new) and spec.target == "platform"
            check_pure_half(kinds[spec.kind], spec, world)
            world = kinds[spec.kind].effect(spec, world)[-1]
        assert world.serving == {stage.old} and world.code == stage.old
        check_inverses(kinds, specs)

    def test_probes_change_nothing(self, stage: Stage) -> None:
        """Before and after the switch."""
        specs, kinds = propose(stage), stage.platform.step_kinds()
        for _ in range(2):
            for spec in specs:
                acting = acting_on({"platform": stage.platform})
                check_probe_changes_nothing(kinds[spec.kind], spec, acting, stage.snapshot)
            carry_out(stage, specs)

    def test_takes_back_and_forward_again(self, stage: Stage) -> None:
        """The steps make the target run, once; the inverses bring the other one back."""
        specs, kinds = propose(stage), stage.platform.step_kinds()
        carry_out(stage, specs)
        assert_runs(stage, stage.old)
        inverses = [kinds[s.kind].inverse(s) for s in reversed(specs)]
        carry_out(stage, tuple(s for s in inverses if s is not None))
        assert_runs(stage, stage.new)

    def test_twice_is_once(self, stage: Stage) -> None:
        """Steps that are done say so, and switching to what runs changes nothing."""
        carry_out(stage, propose(stage))
        before = stage.snapshot()
        for spec in propose(stage):
            kind = stage.platform.step_kinds()[spec.kind]
            assert kind.probe(spec, acting_on({"platform": stage.platform})).answer is Probed.DONE
        assert stage.snapshot() == before

    def test_works_from_every_half_done_state(self, stage: Stage) -> None:
        """Whatever a cut-short deploy left behind, the target runs in the end, once."""
        for name, break_it in stage.half_done.items():
            carry_out(stage, propose(stage, to=stage.new))
            break_it()
            carry_out(stage, propose(stage))
            assert_runs(stage, stage.old, name)

    def test_lease(self, stage: Stage) -> None:
        """Compare-and-set, if the platform keeps a lease."""
        store = stage.platform.lease_store()
        if store is not None:
            check_lease_store(store)
        assert not (stage.platform.capabilities.fenced and store is None), "fenced, but by what?"

    def test_a_zombies_write_is_refused(self, stage: Stage) -> None:
        """An owner whose lease was taken over cannot change anything, where the platform is fenced."""
        store = stage.platform.lease_store()
        if store is None or not stage.platform.capabilities.fenced:
            return
        assert store.swap(None, lease_of(1)) and store.swap(1, lease_of(2))
        before, kinds = stage.snapshot(), stage.platform.step_kinds()
        for spec in propose(stage):
            acting = acting_on({"platform": stage.platform}, generation=1)
            if kinds[spec.kind].probe(spec, acting).answer is Probed.DONE:
                continue
            try:
                kinds[spec.kind].apply(spec, acting)
            except LeaseLost:
                continue
            raise AssertionError(f"{spec.kind} let a zombie write")
        assert stage.snapshot() == before and stage.served() == [stage.new]

    def test_records(self, stage: Stage) -> None:
        """Add, replace and read, if the platform keeps records."""
        store = stage.platform.record_store()
        if store is not None:
            check_record_store(store)

    def test_doctor_names_a_remedy_for_what_fails(self, stage: Stage) -> None:
        """Each line says what was tried; each failing one what to do."""
        before = stage.snapshot()
        lines = list(stage.platform.doctor())
        assert lines
        assert all(str(line.evidence) for line in lines)
        assert all(line.remedy for line in lines if line.ok is not True)
        assert stage.snapshot() == before


def propose(stage: Stage, to: str | None = None) -> tuple[StepSpec, ...]:
    """Return the steps from what runs now to `to` (default: the old release)."""
    workload, target = stage.platform.observe(DEADLINE_S), to or stage.old
    source = stage.new if target == stage.old else stage.old
    artefact: Artefact = stage.platform.identify(target)
    return stage.platform.switch(workload, artefact, from_version=source, to_version=target)


def carry_out(stage: Stage, specs: tuple[StepSpec, ...]) -> None:
    """Drive the steps to their end; each must be done."""
    for number, spec in enumerate(specs):
        name = f"run/{number}-{SystemClock().monotonic_s()}"
        acting = acting_on({"platform": stage.platform}, step_name=name, generation=2)
        probe = drive(stage.platform.step_kinds()[spec.kind], spec, acting)
        assert probe.answer is Probed.DONE, f"{spec.kind}: {probe.answer}: {probe.evidence}"


def assert_runs(stage: Stage, ref: str, after: str = "") -> None:
    """Assert that exactly this release runs, once, and that the platform says so."""
    workload = stage.platform.observe(DEADLINE_S)
    assert [a.ref for a in workload.running] == [ref], after
    assert workload.wanted is not None and workload.wanted.ref == ref, after
    assert stage.served() == [ref], after
