"""The Service as a router: what is refused, lost, changed by others, and not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tests.unit.routers.cluster import Cluster, Fault, serving

from backout.errors import (
    BackoutError,
    CredentialsRefused,
    ExitCode,
    LostRace,
    NotPossible,
    StepFailed,
    TargetUnreachable,
)
from backout.kubernetes.paths import group_of, plural
from backout.observed import Answer
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.routers.kubernetes_service import KubernetesServiceOptions, KubernetesServiceRouter
from backout.routers.kubernetes_service.labels import common, is_of, own_labels, selects
from backout.routers.kubernetes_service.look import Group
from backout.routers.kubernetes_service.note import MANAGER, NOTE, Note, may_be_connected, note_of, out_since
from backout.routers.kubernetes_service.permissions import permissions
from backout.routers.kubernetes_service.ports import missing_port
from backout.routers.kubernetes_service.replicas import counts_for

ROLE = Path(__file__).parents[3] / "deploy" / "permissions-router.yaml"
BLUE, GREEN, PAGE = {"app": "shop", "side": "blue"}, {"app": "shop", "side": "green"}, {"app": "page"}
WIDE = {"app": "shop"}
ALL_BLUE, ALL_GREEN = {"blue": 100, "green": 0}, {"blue": 0, "green": 100}
SERVICE, DEPLOYMENTS = "/services/shop$", "/deployments/"


@pytest.fixture
def cluster() -> Cluster:
    """Blue takes all, with three pods; green has three, and one answers maintenance."""
    made = Cluster()
    made.service(BLUE)
    made.clock.wait(60)
    made.deployment("shop-blue", BLUE, 3)
    made.deployment("shop-green", GREEN, 3)
    made.deployment("page", PAGE)
    made.clock.wait(60)
    return made


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    with serving(cluster, tmp_path) as file:
        yield file


def bound(cluster: Cluster, kubeconfig: Path, **options: Any) -> KubernetesServiceRouter:
    told = {
        "service": "shop",
        "sides": {"blue": "deployment/shop-blue", "green": "deployment/shop-green"},
        "maintenance": "deployment/page",
        "rollout_timeout_s": 1,
        "kubeconfig": str(kubeconfig),
    } | options
    site = Site("shop", "test", kubeconfig.parent, {}, cluster.clock, Redactor())
    return KubernetesServiceRouter.create(KubernetesServiceOptions.model_validate(told), site)


@pytest.fixture
def router(cluster: Cluster, kubeconfig: Path) -> KubernetesServiceRouter:
    return bound(cluster, kubeconfig)


@pytest.fixture
def canary(cluster: Cluster, kubeconfig: Path) -> KubernetesServiceRouter:
    """Ten pods divide requests; blue has them all."""
    cluster.scale("shop-blue", 10)
    cluster.scale("shop-green", 0)
    return bound(cluster, kubeconfig, replicas=10)


def refused(kind: type[BackoutError], act: Any, what: str) -> BackoutError:
    with pytest.raises(kind) as caught:
        act()
    assert what in str(caught.value.what), str(caught.value.what)
    assert str(caught.value.state) and caught.value.next_command
    return caught.value


# --- one side takes all ---------------------------------------------------------------------------------


def test_a_switch_is_one_change_of_the_selector_and_scales_nobody(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    router.shift(ALL_GREEN)
    assert [(name, by) for name, by, _ in cluster.written] == [("shop", MANAGER)]
    assert (cluster.selector, router.traffic(5).shares) == (GREEN, ALL_GREEN)
    assert [router.traffic(5).of(one).admits for one in ("blue", "green")] == [False, True]
    router.shift(ALL_GREEN)
    assert len(cluster.written) == 1, "twice is once"


def test_a_side_without_a_pod_that_is_ready_gets_no_request(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.starts["shop-green"] = False
    cluster.scale("shop-green", 0)
    refused(NotPossible, lambda: router.shift(ALL_GREEN), "told to run no pod")
    cluster.scale("shop-green", 1)
    error = refused(StepFailed, lambda: router.shift(ALL_GREEN), "0 of 1 pods of deployment/shop-green")
    assert "ErrImagePull: no such image" in str(error.what) and "as before" in str(error.state)
    assert router.traffic(5).of("green").healthy is Answer.NO
    assert cluster.selector == BLUE


def test_one_pod_of_several_is_enough(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    """In an incident a node may be down too."""
    green = [name for name in cluster.objects["Pod"] if "green" in name]
    for name in green[1:]:
        del cluster.objects["Pod"][name]
        cluster.pod(name, GREEN, "shop-green", ready=False)
    router.shift(ALL_GREEN)
    assert cluster.selector == GREEN


def test_pods_that_somebody_else_made_are_not_let_in(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.pod("debug", GREEN)
    refused(NotPossible, lambda: router.shift(ALL_GREEN), "not of deployment/shop-green")
    assert cluster.selector == BLUE
    red = [one for one in router.doctor() if one.ok is False]
    assert "debug" in str(red[0].evidence) and red[0].remedy


def test_a_pod_that_ran_to_its_end_is_in_nobodys_way(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    """It stays in the list with its labels, and is sent nothing."""
    cluster.pod("debug", GREEN, ready=False)
    cluster.objects["Pod"]["debug"]["status"]["phase"] = "Succeeded"
    slices = cluster.controllers

    def without_it() -> None:
        slices()
        found = cluster.objects["EndpointSlice"]["shop-1"]["endpoints"]
        found[:] = [one for one in found if one["targetRef"]["name"] != "debug"]

    cluster.controllers = without_it  # type: ignore[method-assign]
    router.shift(ALL_GREEN)
    assert cluster.selector == GREEN


def test_a_pod_of_no_side_that_gets_connections_is_an_error_and_no_share(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.pod("debug", BLUE)
    cluster.controllers()
    for act in (
        lambda: router.traffic(5),
        lambda: router.shift(ALL_GREEN),
        lambda: router.hold("maintenance"),
    ):
        refused(TargetUnreachable, act, "debug, of no side")
    assert router.observe(1.0).held is Answer.UNKNOWN


def test_a_selector_that_means_no_side_sends_nobody_anything(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.select({"app": "nobody"})
    assert router.traffic(5).shares == {"blue": 0, "green": 0}
    router.shift(ALL_BLUE)
    assert router.traffic(5).shares == ALL_BLUE


@pytest.mark.parametrize("status", [0, 500, 409])
def test_a_reply_that_was_lost_is_no_second_change(
    cluster: Cluster, router: KubernetesServiceRouter, status: int
) -> None:
    cluster.faults.append(Fault("PATCH", SERVICE, status, done=True))
    router.shift(ALL_GREEN)
    assert (cluster.selector, len(cluster.written)) == (GREEN, 1)


def test_a_label_that_somebody_puts_on_the_service_meanwhile_is_no_obstacle(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    def label() -> None:
        cluster.change("Service", "shop", {"metadata": {"labels": {"team": "a"}}}, "kubectl")

    cluster.faults.append(Fault("PATCH", SERVICE, before=label))
    router.shift(ALL_GREEN)
    assert cluster.selector == GREEN
    assert cluster.objects["Service"]["shop"]["metadata"]["labels"] == {"team": "a"}


def test_a_selector_that_somebody_else_changes_meanwhile_is_not_written_over(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.faults.append(Fault("PATCH", SERVICE, before=lambda: cluster.select(PAGE)))
    error = refused(LostRace, lambda: router.shift(ALL_GREEN), "selects app=page now")
    assert "not written over" in str(error.state) and "kubectl" in error.next_command
    assert cluster.selector == PAGE


def test_one_who_may_not_is_told_so(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    cluster.faults.append(Fault("PATCH", SERVICE, 403, times=9))
    refused(CredentialsRefused, lambda: router.shift(ALL_GREEN), "refuses PATCH")
    assert cluster.selector == BLUE


def test_a_service_that_is_deleted_meanwhile_is_no_bug(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.faults.append(Fault("PATCH", SERVICE, before=lambda: cluster.objects["Service"].clear()))
    error = refused(NotPossible, lambda: router.shift(ALL_GREEN), "services/shop")
    assert error.exit_code is ExitCode.NOT_POSSIBLE


def test_an_api_server_that_is_down_is_an_error_never_a_guess(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.faults.append(Fault("GET", "/", 0, times=1000))
    for act in (lambda: router.traffic(1), lambda: router.shift(ALL_GREEN), lambda: router.cut("green")):
        refused(TargetUnreachable, act, "does not answer")
    assert router.observe(1).held is Answer.UNKNOWN
    assert [one.ok for one in router.doctor()] == [False]
    assert router.by_hand("maintenance", {"held": False}), "something can be typed all the same"


def test_one_that_answers_late_is_waited_for(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    cluster.faults += [Fault("GET", DEPLOYMENTS, 503, times=3), Fault("PATCH", SERVICE, 429, times=2)]
    router.shift(ALL_GREEN)
    assert cluster.selector == GREEN


@pytest.mark.parametrize("kind", ["Service", "Deployment"])
def test_what_is_not_there_is_named(cluster: Cluster, router: KubernetesServiceRouter, kind: str) -> None:
    name = {"Service": "shop", "Deployment": "shop-green"}[kind]
    del cluster.objects[kind][name]
    refused(TargetUnreachable, lambda: router.traffic(5), f"no {kind.lower()}/{name} in namespace shop")


def test_whoever_deleted_the_canary_can_go_on_with_what_is_told(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    canary.shift({"blue": 90, "green": 10})
    del cluster.objects["Deployment"]["shop-green"]
    for name in [name for name in cluster.objects["Pod"] if "green" in name]:
        del cluster.objects["Pod"][name]
    error = refused(TargetUnreachable, lambda: canary.shift(ALL_BLUE), "no deployment/shop-green")
    assert error.next_command.endswith("create deployment shop-green --image=none --replicas=0")
    cluster.deployment("shop-green", {"app": "shop-green"}, 0)  # as kubectl does
    canary.shift(ALL_BLUE)
    assert (cluster.selector, canary.traffic(5).shares) == (BLUE, ALL_BLUE)


def test_a_side_that_dies_after_the_change_is_told(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    """Its last pod is gone when the Service selects it: there is nobody, and nothing is claimed."""

    def dies() -> None:
        cluster.starts["shop-green"] = False
        for name in [name for name in cluster.objects["Pod"] if "green" in name]:
            del cluster.objects["Pod"][name]
        cluster.controllers()

    cluster.faults.append(Fault("PATCH", SERVICE, before=dies))
    refused(StepFailed, lambda: router.shift(ALL_GREEN), "no pod is ready")
    router.shift(ALL_BLUE)
    assert router.traffic(5).of("blue").healthy is Answer.YES


def test_pods_without_the_port_that_the_service_names_are_not_let_in(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    """They would be ready, and stand in a slice without ports: connections would be refused."""
    service = cluster.objects["Service"]["shop"]["spec"]
    service["ports"] = [{"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "http"}]
    refused(
        NotPossible, lambda: router.shift(ALL_GREEN), "the port http, and the pods of deployment/shop-green"
    )
    refused(NotPossible, lambda: router.hold("maintenance"), "the pods of deployment/page have none")
    assert cluster.selector == BLUE
    green = [pod for name, pod in cluster.objects["Pod"].items() if "green" in name]
    green[0]["spec"] = {"containers": [{}, {"ports": [{"name": "http", "containerPort": 8080}]}]}
    error = refused(StepFailed, lambda: router.shift(ALL_GREEN), "Connections are sent to nobody, and not to")
    assert "selects green" in str(error.state), (
        "one was enough to go there, and the slices tell of the others"
    )


def test_a_port_is_known_by_name_and_protocol_in_containers_and_sidecars() -> None:
    def lacks(spec: dict[str, Any], protocol: str = "TCP") -> str | None:
        deployment = {"metadata": {"name": "a"}, "spec": {"template": {"spec": spec}}}
        ports = [{"targetPort": "http", "protocol": protocol}, {"targetPort": 80}, {}]
        return missing_port({"spec": {"ports": ports}}, Group("a", deployment, {}, (), ()))

    has = [{"ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}]}]
    assert lacks({"containers": has}) is None and lacks({"containers": has}, "UDP") == "http"
    assert lacks({"containers": [], "initContainers": [has[0] | {"restartPolicy": "Always"}]}) is None
    assert lacks({"containers": [], "initContainers": has}) == "http"


@pytest.mark.parametrize(
    ("spec", "kind"), [({"type": "ExternalName"}, "ExternalName"), ({"clusterIP": "None"}, "headless")]
)
def test_a_service_that_is_but_a_name_divides_nothing(
    cluster: Cluster, router: KubernetesServiceRouter, spec: dict[str, str], kind: str
) -> None:
    """Its clients go where its name pointed when they asked: nothing could be claimed of either side."""
    cluster.objects["Service"]["shop"]["spec"] |= spec
    for act in (lambda: router.traffic(5), lambda: router.shift(ALL_GREEN)):
        refused(NotPossible, act, kind)
    assert [one.ok for one in router.doctor()] == [False]
    assert cluster.selector == BLUE and not cluster.written


# --- what is with a side --------------------------------------------------------------------------------


def test_what_is_inside_a_side_is_not_known_until_its_pods_are_others(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    assert router.traffic(5).of("green").inside == 0, "it never got any"
    cluster.clock.wait(60)
    router.shift(ALL_GREEN)
    blue = router.traffic(5).of("blue")
    assert (blue.share, blue.admits, blue.inside, blue.serves) == (0, False, None, True)
    assert any("kept connections of blue" in one.subject for one in router.doctor())
    refused(StepFailed, lambda: router.cut("green"), "still gets requests")
    before = set(cluster.objects["Pod"])
    cluster.clock.wait(60)
    assert router.cut("blue") is None
    assert router.traffic(5).of("blue").inside == 0 and router.cut("blue") == 0
    assert len(before - set(cluster.objects["Pod"])) == 3, "and nobody else's"


def test_after_a_change_by_hand_nothing_is_known_of_either_side(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    """Whoever changed it may have changed it twice."""
    cluster.clock.wait(60)
    cluster.select(GREEN)
    cluster.select(BLUE)
    assert router.traffic(5).of("green").inside is None


def test_a_hold_does_not_forget_who_was_out_before(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    cluster.clock.wait(60)
    router.hold("maintenance")
    cluster.clock.wait(60)
    router.release({"held": False})
    assert router.traffic(5).of("green").inside == 0
    assert NOTE in cluster.objects["Service"]["shop"]["metadata"]["annotations"]


def at(seconds: float) -> str:
    return (datetime(2026, 11, 29, 12, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("created", "started", "phase", "connected"),
    [
        (0, 0, "Running", True),
        (100, 101, "Running", True),  # in the same second
        (101, 101, "Running", False),
        (0, 105, "Running", True),  # a node's clock may be ahead
        (0, 111, "Running", False),  # it was started again
        (0, None, "Running", False),  # it waits to be started again
        (0, 0, "Succeeded", False),
    ],
)
def test_a_connection_ends_with_the_program_that_it_is_with(
    created: float, started: float | None, phase: str, connected: bool
) -> None:
    state = {"waiting": {}} if started is None else {"running": {"startedAt": at(started)}}
    pod = {
        "metadata": {"creationTimestamp": at(created)},
        "status": {"phase": phase, "containerStatuses": [{"state": state}]},
    }
    assert may_be_connected(pod, datetime.fromisoformat(at(100))) is connected
    assert may_be_connected(pod, None) is (phase == "Running"), "unknown is not zero"


def test_a_connection_may_be_with_a_sidecar_that_outlives_the_program() -> None:
    """As a mesh's proxy: an init container that goes on. The program was started again, and the proxy keeps the connection."""
    status = {
        "phase": "Running",
        "initContainerStatuses": [
            {"state": {"terminated": {"startedAt": at(1)}}},
            {"state": {"running": {"startedAt": at(2)}}},
        ],
        "containerStatuses": [{"state": {"running": {"startedAt": at(500)}}}],
    }
    pod = {"metadata": {"creationTimestamp": at(0)}, "status": status}
    assert may_be_connected(pod, datetime.fromisoformat(at(100)))
    assert not may_be_connected(
        pod | {"status": status | {"initContainerStatuses": []}}, datetime.fromisoformat(at(100))
    )


def test_only_what_the_last_change_noted_itself_is_believed() -> None:
    def service(manager: str | None, text: str | None) -> dict[str, Any]:
        entry = {"manager": manager, "time": at(100), "fieldsV1": {"f:spec": {"f:selector": {}}}}
        other = {"manager": "kubectl", "time": at(500), "fieldsV1": {"f:spec": {"f:ports": {}}}}
        fields = [other, *([entry] if manager else [])]
        return {"metadata": {"annotations": {NOTE: text}, "managedFields": fields}, "spec": {}}

    noted = Note(out={"green": datetime.fromisoformat(at(7))}).text
    assert out_since(service(MANAGER, noted), "green") == datetime.fromisoformat(at(7))
    assert out_since(service(MANAGER, noted), "blue") == datetime.fromisoformat(at(100))
    assert out_since(service("kubectl-patch", noted), "green") == datetime.fromisoformat(at(100))
    assert out_since(service(None, noted), "green") is None
    for rubbish in (None, "", "{", "[]", "7", '{"held": 3}', '{"out": {"green": "yesterday"}}', "null"):
        assert note_of(service(MANAGER, rubbish)) == Note()


# --- dividing by replicas -------------------------------------------------------------------------------


def test_shares_are_numbers_of_replicas(cluster: Cluster, canary: KubernetesServiceRouter) -> None:
    for green, wanted in ((10, 1), (50, 5), (90, 9), (20, 2)):
        shares = {"blue": 100 - green, "green": green}
        for _ in range(2):
            canary.shift(shares)
            assert canary.traffic(5).shares == shares and canary.begun(shares)
            assert cluster.replicas["shop-green"] == wanted and cluster.replicas["shop-blue"] == 10 - wanted
        assert cluster.selector == WIDE
    canary.shift(ALL_BLUE)
    assert (cluster.selector, cluster.replicas["shop-blue"]) == (BLUE, 10)
    assert cluster.replicas["shop-green"] == 2, "it stays, and gets nothing"


def test_who_gains_is_there_before_who_loses_goes(cluster: Cluster, canary: KubernetesServiceRouter) -> None:
    canary.shift({"blue": 90, "green": 10})
    names = [name for name, _, _ in cluster.written]
    assert names == ["shop-green", "shop", "shop-blue"]
    cluster.written.clear()
    canary.shift({"blue": 40, "green": 60})
    assert [name for name, _, _ in cluster.written] == ["shop-green", "shop-blue"]


def test_a_side_that_was_kept_is_made_small_before_it_is_let_in(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    cluster.scale("shop-green", 10)
    canary.shift({"blue": 90, "green": 10})
    assert [name for name, _, _ in cluster.written] == ["shop-green", "shop", "shop-blue"]


def test_traffic_to_a_canary_is_stopped_at_once_and_pods_come_after(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    canary.shift({"blue": 90, "green": 10})
    cluster.written.clear()
    cluster.starts["shop-blue"] = False  # no node has room
    error = refused(StepFailed, lambda: canary.shift(ALL_BLUE), "9 of 10 pods of deployment/shop-blue")
    assert "requests go to blue" in str(error.state)
    assert cluster.selector == BLUE and [name for name, _, _ in cluster.written] == ["shop", "shop-blue"]


def test_whoever_may_not_see_autoscalers_can_stop_a_canary_all_the_same(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    canary.shift({"blue": 90, "green": 10})
    cluster.faults.append(Fault("GET", "horizontalpodautoscalers", 403, times=9))
    refused(CredentialsRefused, lambda: canary.shift(ALL_BLUE), "horizontalpodautoscalers")
    assert cluster.selector == BLUE


def test_a_side_of_no_pods_is_made_large_first_also_where_nobody_is_served(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    cluster.select({"app": "nobody"})
    canary.shift(ALL_GREEN)
    assert (cluster.selector, cluster.replicas["shop-green"]) == (GREEN, 10)


def test_one_that_was_left_with_fewer_pods_than_it_is_to_have_is_told(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    """Killed after the selector, and before the pods: the shares are as wanted, and nobody does the rest."""
    canary.shift({"blue": 60, "green": 40})
    cluster.faults.append(Fault("PATCH", "/deployments/shop-blue", 403, times=9))
    refused(CredentialsRefused, lambda: canary.shift(ALL_BLUE), "refuses PATCH")
    assert canary.traffic(5).shares == ALL_BLUE
    cluster.faults.clear()

    def told() -> list[str]:
        return [str(one.remedy) for one in canary.doctor() if "is to have 10" in str(one.evidence)]

    assert ["--replicas=10" in one for one in told()] == [True]
    cluster.autoscaler("shop", "shop-blue")
    assert told() == [], "who scales it knows better"


def test_few_pods_do_not_get_all_requests_before_they_are_many(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    canary.shift({"blue": 10, "green": 90})
    cluster.written.clear()
    canary.shift(ALL_BLUE)
    assert [name for name, _, _ in cluster.written] == ["shop-blue", "shop"]
    canary.shift({"blue": 10, "green": 90})
    cluster.starts["shop-blue"] = False
    error = refused(StepFailed, lambda: canary.shift(ALL_BLUE), "1 of 10 pods")
    assert '"side": "blue"' in error.next_command and "without waiting" in error.next_command
    assert cluster.selector == WIDE


@pytest.mark.parametrize("patches", [1, 2])
@pytest.mark.parametrize("to", [(90, 10), (10, 90), (100, 0), (0, 100)])
def test_a_shift_that_was_cut_short_is_known_and_taken_up(
    cluster: Cluster, canary: KubernetesServiceRouter, to: tuple[int, int], patches: int
) -> None:
    """After one change, and after two: refused from then on."""
    before, wanted = {"blue": 50, "green": 50}, {"blue": to[0], "green": to[1]}
    canary.shift(before)
    assert not canary.begun(wanted)

    def cut_short() -> None:
        if len(cluster.written) >= patches:
            cluster.faults.insert(0, Fault("PATCH", "/", 403, times=9))
        else:
            cluster.faults.append(Fault("PATCH", "/", before=cut_short))

    cluster.written.clear()
    cluster.faults.append(Fault("PATCH", "/", before=cut_short))
    try:
        canary.shift(wanted)
    except CredentialsRefused:
        shares = canary.traffic(5).shares
        assert shares in (before, wanted) or canary.begun(wanted), shares
    cluster.faults.clear()
    canary.shift(wanted)
    assert canary.traffic(5).shares == wanted and canary.begun(wanted)


def test_shares_that_replicas_do_not_make_are_refused_with_the_nearest(
    canary: KubernetesServiceRouter,
) -> None:
    for act in (canary.shift, canary.shift_by_hand, canary.begun):
        error = refused(NotPossible, lambda act=act: act({"blue": 97, "green": 3}), "steps of 10 %")
        assert "blue 90 %, green 10 %" in str(error.what) and "canary.steps" in error.next_command


def test_without_replicas_and_of_three_sides_only_one_gets_all(
    cluster: Cluster, router: KubernetesServiceRouter, kubeconfig: Path
) -> None:
    refused(NotPossible, lambda: router.shift({"blue": 50, "green": 50}), "router.replicas is not declared")
    refused(NotPossible, lambda: router.shift({"blue": 0, "green": 0}), "No side")
    sides = {name: f"deployment/shop-{name}" for name in ("blue", "green", "red")}
    three = bound(cluster, kubeconfig, sides=sides, replicas=10)
    refused(NotPossible, lambda: three.shift({"blue": 50, "green": 50, "red": 0}), "one side alone, or all")


def test_an_autoscaler_makes_shares_impossible_and_is_left_alone(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    cluster.autoscaler("keda-hpa-shop", "shop-blue")
    refused(NotPossible, lambda: canary.shift({"blue": 90, "green": 10}), "hpa/keda-hpa-shop scales")
    assert any("keda-hpa-shop scales deployment/shop-blue" in str(one.evidence) for one in canary.doctor())
    cluster.scale("shop-green", 3)
    cluster.scale("shop-blue", 4)
    canary.shift(ALL_GREEN)
    cluster.written.clear()
    canary.shift(ALL_BLUE)
    assert [name for name, _, _ in cluster.written] == ["shop"], "who is scaled by it is not scaled by us"


def test_a_worker_with_the_common_label_is_no_part_of_the_service(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    cluster.pod("worker-1", WIDE)
    refused(NotPossible, lambda: canary.shift({"blue": 90, "green": 10}), "Pods of no side")
    assert cluster.selector == BLUE and not cluster.written


def test_a_canary_that_does_not_start_gets_nothing(cluster: Cluster, canary: KubernetesServiceRouter) -> None:
    cluster.starts["shop-green"] = False
    error = refused(StepFailed, lambda: canary.shift({"blue": 90, "green": 10}), "0 of 1 pods")
    assert "ErrImagePull" in str(error.what) and "selects what it did" in str(error.state)
    assert (cluster.selector, canary.traffic(5).shares) == (BLUE, ALL_BLUE)


def test_replicas_that_somebody_else_gives_meanwhile_are_not_written_over(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    cluster.faults.append(
        Fault("PATCH", "/deployments/shop-green", before=lambda: cluster.scale("shop-green", 5))
    )
    refused(LostRace, lambda: canary.shift({"blue": 90, "green": 10}), "it has 5 replicas now")
    assert cluster.replicas["shop-green"] == 5 and cluster.selector == BLUE


@pytest.mark.parametrize(
    ("shares", "total", "counts"),
    [
        ({"a": 90, "b": 10}, 10, {"a": 9, "b": 1}),
        ({"a": 75, "b": 25}, 4, {"a": 3, "b": 1}),
        ({"a": 1, "b": 99}, 100, {"a": 1, "b": 99}),
    ],
)
def test_counts(shares: dict[str, int], total: int, counts: dict[str, int]) -> None:
    assert counts_for(shares, total) == counts


@pytest.mark.parametrize(
    ("shares", "total", "nearest"),
    [
        ({"a": 99, "b": 1}, 10, "a 90 %, b 10 %"),
        ({"a": 85, "b": 15}, 10, "a 90 %, b 10 %"),
        ({"a": 60, "b": 40}, 3, "a 66.6667 %, b 33.3333 %"),
        ({"a": 40, "b": 30, "c": 30}, 4, "a 50 %, b 25 %, c 25 %"),
    ],
)
def test_the_nearest_is_told(shares: dict[str, int], total: int, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"the nearest is {nearest}"):
        counts_for(shares, total)


# --- holding --------------------------------------------------------------------------------------------


def test_held_the_service_tells_what_was_before_also_to_another_machine(
    cluster: Cluster, router: KubernetesServiceRouter, kubeconfig: Path
) -> None:
    router.hold("maintenance")
    assert cluster.selector == PAGE
    another = bound(cluster, kubeconfig)
    assert another.observe(1).held is Answer.YES
    assert another.traffic(5).shares == ALL_BLUE
    another.release({})
    assert cluster.selector == BLUE


def test_a_hold_ends_the_pods_that_kept_connections_are_with(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    before = {name for name in cluster.objects["Pod"] if "blue" in name}
    router.hold("maintenance")
    assert not before & set(cluster.objects["Pod"])
    assert all(one.inside == 0 for one in router.traffic(5).sides)


def test_a_hold_by_the_selector_alone_is_not_believed(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    """Somebody typed it, and those who kept a connection are answered as before."""
    cluster.clock.wait(60)
    cluster.select(PAGE)
    fact = router.observe(1)
    assert (fact.held, fact.mode) == (Answer.UNKNOWN, "maintenance")
    error = refused(NotPossible, lambda: router.release({}), "selected before is not known")
    assert "kubectl" in error.next_command
    router.release({"held": False, "selector": dict(GREEN)})
    assert cluster.selector == GREEN


def test_without_a_page_there_is_no_hold(cluster: Cluster, kubeconfig: Path) -> None:
    bare = bound(cluster, kubeconfig, maintenance=None)
    assert bare.observe(1).modes == ()
    refused(NotPossible, lambda: bare.hold("maintenance"), "router.maintenance is not declared")
    assert any(one.ok is None and "cannot hold" in str(one.evidence) for one in bare.doctor())


def test_a_page_that_was_deleted_is_in_no_ones_way(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    def delete() -> None:
        del cluster.objects["Deployment"]["page"]
        for name in [name for name in cluster.objects["Pod"] if "page" in name]:
            del cluster.objects["Pod"][name]
        cluster.controllers()

    router.hold("maintenance")
    delete()
    assert router.observe(1).held is Answer.YES, "nobody is answered, and nobody is let in"
    assert router.traffic(5).shares == ALL_BLUE
    refused(StepFailed, lambda: router.hold("maintenance"), "no pod is ready")
    router.release({})
    assert cluster.selector == BLUE and router.observe(1).held is Answer.NO
    error = refused(NotPossible, lambda: router.hold("maintenance"), "There is no deployment/page")
    assert "takes requests" in str(error.state)
    assert not any("patch" in one for one in router.by_hand("maintenance", {"held": False}))
    assert [one.subject for one in router.doctor() if one.ok is False] == [
        "router kubernetes-service: maintenance"
    ]
    router.shift(ALL_GREEN)
    assert cluster.selector == GREEN


def test_one_who_may_not_end_pods_is_told_that_it_holds_all_the_same(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.faults.append(Fault("DELETE", "/pods/", 403, times=9))
    error = refused(CredentialsRefused, lambda: router.hold("maintenance"), "refuses DELETE")
    assert "New connections get maintenance" in str(error.state) and cluster.selector == PAGE


def test_a_page_that_is_not_ready_holds_nothing(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    cluster.starts["page"] = False
    cluster.scale("page", 0)
    refused(NotPossible, lambda: router.hold("maintenance"), "no pod that would answer maintenance")
    cluster.scale("page", 1)
    error = refused(StepFailed, lambda: router.hold("maintenance"), "ErrImagePull")
    assert "takes requests" in str(error.state) and cluster.selector == BLUE
    refused(NotPossible, lambda: router.hold("queue"), "cannot hold by queue")


def test_it_is_not_let_through_to_nobody_and_with_one_pod_it_is(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.starts["shop-blue"] = False
    router.hold("maintenance")
    error = refused(StepFailed, lambda: router.release({}), "0 of 3 pods")
    assert "goes on holding" in str(error.state) and cluster.selector == PAGE
    cluster.pod("shop-blue-9", BLUE, "shop-blue")
    router.release({})
    assert cluster.selector == BLUE


def test_a_canary_that_does_not_start_can_be_stopped_so_that_it_holds_no_longer(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    canary.shift({"blue": 90, "green": 10})
    cluster.starts["shop-green"] = False
    canary.hold("maintenance")
    error = refused(StepFailed, lambda: canary.release({}), "0 of 1 pods of deployment/shop-green")
    assert "backout canary stop" in error.next_command
    canary.shift(ALL_BLUE)  # as that does
    canary.release({})
    assert cluster.selector == BLUE


def test_a_side_that_is_told_to_run_nobody_keeps_nobody_held(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    cluster.select(WIDE)
    assert canary.traffic(5).shares == ALL_BLUE
    canary.hold("maintenance")
    canary.release({})
    assert cluster.selector == WIDE


def test_held_it_is_divided_without_looking_who_is_ready(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    """Nobody is sent there before it is let go, and that waits."""
    router.hold("maintenance")
    cluster.starts["shop-green"] = False
    for name in [name for name in cluster.objects["Pod"] if "green" in name]:
        del cluster.objects["Pod"][name]
    cluster.controllers()
    router.shift(ALL_GREEN)
    assert (cluster.selector, router.traffic(5).shares) == (PAGE, ALL_GREEN)
    refused(StepFailed, lambda: router.release({}), "0 of 3 pods of deployment/shop-green")
    assert cluster.selector == PAGE


def test_shares_that_were_cut_short_while_it_is_held_are_known(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    canary.shift({"blue": 60, "green": 40})
    canary.hold("maintenance")
    cluster.faults.append(Fault("PATCH", "/deployments/shop-blue", 403, times=9))
    cluster.faults.append(Fault("PATCH", "/deployments/shop-green", 403, times=9))
    wanted = {"blue": 90, "green": 10}
    refused(CredentialsRefused, lambda: canary.shift(wanted), "refuses PATCH")
    assert not canary.begun(wanted), "nothing was changed"
    del cluster.faults[1]
    cluster.scale("shop-green", 1)
    assert canary.begun(wanted), "one of two was scaled"
    cluster.faults.clear()
    canary.shift(wanted)
    assert canary.traffic(5).shares == wanted


def test_no_command_that_is_told_while_it_is_held_lets_requests_in(
    cluster: Cluster, canary: KubernetesServiceRouter
) -> None:
    canary.hold("maintenance")
    cluster.starts["shop-green"] = False
    error = refused(StepFailed, lambda: canary.shift(ALL_GREEN), "0 of 10 pods of deployment/shop-green")
    assert "maintenance is answered" in str(error.state) and "patch" not in error.next_command
    assert (cluster.selector, canary.traffic(5).shares) == (PAGE, ALL_GREEN)


def test_it_is_not_let_go_to_nobody_where_labels_changed_meanwhile(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    """A deployment gave blue's pods another label while it was held."""
    template = cluster.objects["Deployment"]["shop-blue"]["spec"]["template"]["metadata"]
    template["labels"] = BLUE | {"release": "1"}
    cluster.select(template["labels"])
    router.hold("maintenance")
    template["labels"] = BLUE | {"release": "2"}
    error = refused(
        NotPossible, lambda: router.release({}), "means no side now: app=shop,release=1,side=blue"
    )
    assert "goes on holding" in str(error.state) and "kubectl" in error.next_command
    assert cluster.selector == PAGE


def test_what_is_held_somewhere_else_meanwhile_is_not_written_over(
    cluster: Cluster, router: KubernetesServiceRouter
) -> None:
    cluster.faults.append(Fault("PATCH", SERVICE, before=lambda: cluster.select(GREEN)))
    refused(LostRace, lambda: router.hold("maintenance"), "side=green now")
    assert cluster.selector == GREEN


# --- labels, options, permissions, owners ---------------------------------------------------------------


def test_labels() -> None:
    assert common([BLUE, GREEN]) == WIDE and common([BLUE, PAGE]) == {}
    assert selects(WIDE, BLUE) and not selects(BLUE, GREEN) and not selects({}, BLUE)
    with pytest.raises(ValueError, match="matchExpressions"):
        own_labels({"spec": {"selector": {"matchLabels": BLUE, "matchExpressions": [{}]}}})
    owner = {"kind": "ReplicaSet", "name": "shop-blue-abc"}
    pod = {"metadata": {"labels": {"pod-template-hash": "abc"}, "ownerReferences": [owner]}}
    assert is_of(pod, "shop-blue") and not is_of(pod, "shop") and not is_of({"metadata": {}}, "shop-blue")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"sides": {"blue": "deployment/a"}}, "at least 2"),
        ({"sides": {"blue": "deployment/a", "green": "deployment/a"}}, "named twice"),
        ({"sides": {"blue": "statefulset/a", "green": "deployment/b"}}, "deployment/NAME"),
        ({"sides": {"blue": "a", "green": "b"}}, "deployment/NAME"),
        ({"maintenance": "deployment/shop-blue"}, "named twice"),
        ({"replicas": 1}, "greater than or equal to 2"),
        ({"service": "Shop;rm"}, "as kubectl shows it"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], why: str) -> None:
    told = {"service": "shop", "sides": {"blue": "deployment/shop-blue", "green": "deployment/shop-green"}}
    with pytest.raises(ValidationError, match=why):
        KubernetesServiceOptions.model_validate(told | options)


def test_role_and_doctor_agree() -> None:
    role = next(o for o in yaml.safe_load_all(ROLE.read_text()) if o["kind"] == "Role")
    given = {(v, g, r) for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}  # fmt: skip
    typed = {(verb, "apps", "deployments") for verb in ("list", "watch")}
    typed |= {(verb, "apps", "deployments/scale") for verb in ("get", "patch")}
    assert given - typed == {
        (p.verb, group_of(p.kind), plural(p.kind)) for p in permissions(by_replicas=True)
    }
    assert typed <= given, "kubectl scale and kubectl rollout status are told to be typed"


def test_a_permission_that_is_missing_is_named(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    cluster.refused.add(("delete", "pods"))
    red = [one for one in router.doctor() if one.ok is False]
    assert [one.subject for one in red] == ["router kubernetes-service: permission delete pods"]
    assert "connections that clients keep" in str(red[0].evidence) and "can-i delete pods" in str(
        red[0].remedy
    )


def test_who_would_change_the_service_back_is_told(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    flux = {
        "kustomize.toolkit.fluxcd.io/name": "shop",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    cluster.service(BLUE, labels=flux)
    owners = [one for one in router.doctor() if "owner shop" in one.subject]
    assert owners[0].ok is not True and "flux suspend kustomization shop" in str(owners[0].remedy)


def test_a_side_that_has_fewer_pods_is_told(cluster: Cluster, router: KubernetesServiceRouter) -> None:
    assert [one.subject for one in router.doctor() if one.ok is not True] == []
    cluster.scale("shop-green", 1)
    (line,) = (one for one in router.doctor() if one.ok is not True)
    assert "may not carry all requests" in str(line.evidence) and "--replicas=3" in str(line.remedy)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"externalTrafficPolicy": "Local"}, "forwards nothing"),
        ({"internalTrafficPolicy": "Local"}, "forwards nothing"),
        ({"publishNotReadyAddresses": True}, "pods that are not ready"),
        ({"externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"}, None),
    ],
)
def test_what_endpoints_do_not_tell_is_told(
    cluster: Cluster, router: KubernetesServiceRouter, spec: dict[str, Any], why: str | None
) -> None:
    cluster.objects["Service"]["shop"]["spec"] |= spec
    found = [str(one.evidence) for one in router.doctor() if one.ok is None]
    assert [why in one for one in found] == [True] if why else found == []
