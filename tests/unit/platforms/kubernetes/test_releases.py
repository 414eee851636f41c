"""Releases of several workloads: which templates belong together, and what runs."""

from __future__ import annotations

from datetime import UTC, datetime

from backout.observed import Workload
from backout.plan.base import World
from backout.plan.model import Retry
from backout.platforms.kubernetes.releases import Deployed, known, live, ref_of, running
from backout.platforms.kubernetes.steps import step_kinds
from backout.platforms.kubernetes.switch import facts_of, propose, propose_restart
from backout.platforms.kubernetes.template import hash_of
from backout.release import Artefact
from backout.testing.steps import check_inverses, check_pure_half

from .objects import pod, seen, template

V1, V2 = template("r/collector:1.0.0"), template("r/collector:2.0.0")
W1, W2 = template("r/worker:1.0.0"), template("r/worker:2.0.0")
WORKER = "deployment/collector-worker"


def test_one_workload_has_a_release_for_each_template() -> None:
    web = seen(V2, V1, pods=(pod("a", "0"), pod("b", "1")))
    found = known([web], (), live([web], {}))
    assert [d.version for d in found] == ["2.0.0", "1.0.0"]
    assert found[1].ref == f"1.0.0+{hash_of(V1)[:8]}"
    assert running([web], found) == (found[0].ref, found[1].ref)


def test_several_are_put_together_by_what_they_are_called() -> None:
    web, worker = seen(V2, V1), seen(W2, W1, workload=WORKER)
    found = known([web, worker], (), live([web, worker], {}))
    assert [d.version for d in found] == ["2.0.0", "1.0.0"]
    assert found[1].templates == {"deployment/collector": hash_of(V1), WORKER: hash_of(W1)}
    assert found[1].ref == ref_of("1.0.0", found[1].templates)


def test_what_nobody_can_tell_is_no_release() -> None:
    web, worker = seen(V2, V1), seen(template("r/worker:a"), template("r/worker:b"), workload=WORKER)
    assert [d.version for d in known([web, worker], (), live([web, worker], {}))] == ["2.0.0"]


def test_one_that_never_changed_belongs_to_all() -> None:
    web, worker = seen(V2, V1), seen(template("r/worker:a"), workload=WORKER)
    assert [d.version for d in known([web, worker], (), live([web, worker], {}))] == ["2.0.0", "1.0.0"]


def test_a_record_is_believed_also_when_history_lost_it() -> None:
    web = seen(V2)
    then = datetime(2026, 1, 1, tzinfo=UTC)
    images = {"deployment/collector": {"collector": "sha256:" + "a" * 64}}
    old = Deployed(ref="1.0.0+x", version="1.0.0", templates={"deployment/collector": hash_of(V1)},
                   images=images, configs={}, since=then)  # fmt: skip
    found = known([web], (old,), live([web], {}))
    assert found[1] == old and found[1].digest
    assert found[0].digest is None, "no pod is ready: nobody saw its image"


def test_a_digest_needs_every_image() -> None:
    web = seen(V2, pods=(pod("a", "0"),))
    assert live([web], {}).digest == live([web], None).digest is not None
    disagree = pod("b", "0")
    disagree["status"]["containerStatuses"][0]["imageID"] = "sha256:" + "b" * 64
    assert live([seen(V2, pods=(pod("a", "0"), disagree))], {}).digest is None


def test_an_image_that_is_named_by_its_digest_is_known_without_a_record() -> None:
    old = template("r/collector@sha256:" + "c" * 64)
    web = seen(V2, old)
    assert known([web], (), live([web], {}))[1].digest


def workload(
    paused: bool = False, kind: str = WORKER, configs: dict[str, str] | None = None
) -> tuple[Workload, str]:
    web, worker = seen(V2, V1, paused=paused), seen(W2, W1, workload=kind)
    found = known([web, worker], (), live([web, worker], configs or {}))
    old = found[1].model_copy(update={"configs": {"settings": "then"} if configs else None})
    detail = {
        "workloads": [facts_of(s) for s in (web, worker)],
        "configs": configs or {},
        "releases": {d.ref: d.model_dump(mode="json") for d in (found[0], old)},
    }
    return Workload(wanted=found[0].artefact, running=(found[0].artefact,), detail=detail), old.ref


def steps(paused: bool = False, kind: str = WORKER, configs: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
    now, ref = workload(paused, kind, configs)
    return propose(
        now, Artefact(ref=ref), from_version="2.0.0", to_version="1.0.0", kubectl="kubectl", timeout_s=60
    )


def test_the_order_is_the_declared_one_and_undoing_is_backwards() -> None:
    kinds, specs = step_kinds(), steps()
    assert [s.params["workload"] for s in specs] == ["deployment/collector", WORKER]
    world = World(serving=frozenset({"2.0.0"}), code="2.0.0")
    worlds = []
    for spec in specs:
        check_pure_half(kinds[spec.kind], spec, world)
        world = kinds[spec.kind].effect(spec, world)[-1]
        worlds.append(world)
    assert [sorted(w.serving) for w in worlds] == [["1.0.0", "2.0.0"], ["1.0.0"]]
    assert world.code == "1.0.0"
    check_inverses(kinds, specs)
    for spec in reversed(specs):
        inverse = kinds[spec.kind].inverse(spec)
        assert inverse is not None
        world = kinds[inverse.kind].effect(inverse, world)[-1]
    assert world == World(serving=frozenset({"2.0.0"}), code="2.0.0")


def test_a_paused_roll_out_is_resumed_and_paused_again_when_undone() -> None:
    first = steps(paused=True)[0]
    assert first.params["paused"] is False
    back = step_kinds()[first.kind].inverse(first)
    assert back is not None and back.params["paused"] is True and back.retry is Retry.SAFE
    assert any("paused" in str(h.what) for h in step_kinds()[first.kind].hazards(first))


def test_pods_that_start_in_order_are_replaced_by_a_step_of_its_own() -> None:
    kinds, specs = step_kinds(), steps(kind="statefulset/collector-worker")
    assert [s.kind for s in specs] == ["kubernetes.template", "kubernetes.template", "kubernetes.replace"]
    world = World(serving=frozenset({"2.0.0"}), code="2.0.0")
    for spec in specs:
        check_pure_half(kinds[spec.kind], spec, world)
        world = kinds[spec.kind].effect(spec, world)[-1]
    assert world.serving == {"1.0.0"}
    check_inverses(kinds, specs)
    # Undoing has no step after it that would replace them: it does so itself.
    assert kinds[specs[2].kind].inverse(specs[2]) is None
    back = kinds[specs[1].kind].inverse(specs[1])
    assert back is not None and (back.retry, specs[1].retry) == (Retry.SAFE, Retry.AFTER_PROBE)
    assert "kubectl delete pod POD" in kinds[back.kind].by_hand(back)


def test_only_a_content_that_changed_comes_as_a_copy() -> None:
    assert steps(configs={"settings": "then"})[0].params["configs"] == {}
    changed = steps(configs={"settings": "now"})[0]
    assert changed.params["configs"] == {"settings": "then"}
    assert "settings" in str(step_kinds()[changed.kind].describe(changed))
    assert "settings.backout.then" in " ".join(step_kinds()[changed.kind].by_hand(changed))


def test_a_restart_changes_no_template() -> None:
    now, _ = workload()
    assert now.wanted is not None
    specs = propose_restart(now, now.wanted, "2.0.0", kubectl="kubectl", timeout_s=60)
    assert [s.params["template"] for s in specs] == [hash_of(V2), hash_of(W2)]
    for spec in specs:
        check_pure_half(step_kinds()[spec.kind], spec, World(serving=frozenset({"2.0.0"})))
