"""The Kubernetes node that tests run on: real pods behind a Service, again and again, and nothing left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from tests.waiting import until

from backout.children import Children
from backout.embedded.server import EmbeddedPostgres
from testbed import cgroups, collector
from testbed.images import Image, Layer
from testbed.node import Node
from testbed.versions import BRIDGE, GATEWAY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(require_service: Callable[[str], None]) -> Iterator[Node]:
    require_service("kubernetes")
    made = Node.up(alone=True)  # what follows stops parts of it
    yield made
    made.down(unless_used=True)
    made.release()


@pytest.fixture(scope="module")
def database(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("postgres")
    children = Children(folder / "run")
    server = EmbeddedPostgres(folder, children, fsync=False, inside=f"{GATEWAY}/16")
    server.start()
    yield server
    server.close()
    children.close()


@pytest.fixture
def namespace(node: Node) -> Iterator[str]:
    name = f"test-{uuid4().hex[:8]}"
    node.kubectl("create", "namespace", name)
    yield name
    node.kubectl("delete", "namespace", name, "--wait=false")


def deploy(node: Node, namespace: str, database: EmbeddedPostgres) -> str:
    """Put the collector there; returns the Service's address."""
    secret = ("create", "secret", "generic", "collector", f"--from-literal=url={database.inside_url}")
    node.kubectl("-n", namespace, *secret)
    node.kubectl("-n", namespace, "apply", "-f", str(collector.MANIFEST))
    rolled_out(node, namespace)
    address = node.kubectl("-n", namespace, "get", "service", "collector", "-o", "jsonpath={.spec.clusterIP}")
    url = f"http://{address.stdout}"
    until(lambda: serves(url), 30)
    return url


def rolled_out(node: Node, namespace: str) -> None:
    node.kubectl("-n", namespace, "rollout", "status", "deployment/collector", "--timeout=110s")


def health(url: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        read: dict[str, str] = json.load(answer)
    return read


def serves(url: str) -> bool:
    """Whether kube-proxy has heard of the pods; it looks once a second at most."""
    try:
        return health(url)["status"] == "ok"
    except OSError:
        return False


def test_pods_are_rolled_out_and_back_behind_a_service(
    node: Node, namespace: str, database: EmbeddedPostgres
) -> None:
    first, second = (collector.image(node.home, version) for version in ("1.0.0", "2.0.0"))
    for image in (first, second):
        node.load(image)
    url = deploy(node, namespace, database)
    expected = {"status": "ok", "service": "collector", "database": "connected"}
    assert health(url) == {**expected, "version": "1.0.0"}

    by_digest = f"collector={second.by_digest}"
    node.kubectl("-n", namespace, "set", "image", "deployment/collector", by_digest)
    rolled_out(node, namespace)
    until(lambda: {health(url)["version"] for _ in range(12)} == {"2.0.0"}, 30)
    pods = json.loads(node.kubectl("-n", namespace, "get", "pods", "-o", "json").stdout)["items"]
    running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert {pod["status"]["containerStatuses"][0]["imageID"] for pod in running} == {second.by_digest}

    node.kubectl("-n", namespace, "rollout", "undo", "deployment/collector")
    rolled_out(node, namespace)
    until(lambda: {health(url)["version"] for _ in range(12)} == {"1.0.0"}, 30)
    assert node.kubectl("-n", namespace, "logs", "deployment/collector").stdout  # API server → kubelet


def test_health_can_be_silent_about_the_version(
    node: Node, namespace: str, database: EmbeddedPostgres
) -> None:
    node.load(collector.image(node.home, "1.0.0"))
    url = deploy(node, namespace, database)
    silent = json.dumps({"data": {"HEALTH_SHOWS_VERSION": "0"}})
    node.kubectl("-n", namespace, "patch", "configmap", "collector", "--type=merge", "-p", silent)
    node.kubectl("-n", namespace, "rollout", "restart", "deployment/collector")
    rolled_out(node, namespace)
    until(lambda: "version" not in health(url), 30)


def test_api_server_and_kubelet_go_and_come_back(node: Node) -> None:
    node.stop_apiserver()
    assert not node.healthy() and node.kubectl("get", "nodes", check=False, timeout_s=60).returncode
    node.start_apiserver()
    assert "testbed" in node.kubectl("get", "nodes").stdout
    node.stop_kubelet()
    assert node.status()["kubelet"] == []
    node.start_kubelet()
    until(node.healthy, 30)


def test_a_service_account_has_a_kubeconfig_of_its_own(node: Node, namespace: str, tmp_path: Path) -> None:
    node.kubectl("-n", namespace, "create", "serviceaccount", "deployer")
    made = node.kubeconfig_of("deployer", tmp_path / "config", namespace=namespace)
    asked = node.kubectl(
        f"--kubeconfig={made}", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"
    )
    assert asked.stdout == f"system:serviceaccount:{namespace}:deployer"
    assert "cannot list resource" in node.kubectl(f"--kubeconfig={made}", "get", "pods", check=False).stderr


def test_the_same_files_make_the_same_image(node: Node) -> None:
    one, same = (collector.image(node.home, "1.0.0") for _ in range(2))
    other = collector.image(node.home, "2.0.0")
    assert one.digest == same.digest != other.digest
    assert one.archive() == same.archive()
    assert len(other.archive(leave_out={other.layers[0].digest})) < 100_000


def test_a_second_start_takes_no_time(node: Node) -> None:
    before, started = node.status(), time.monotonic()
    again = Node.up(alone=True)
    after = again.status()
    # Programs they call for a moment (kube-proxy: iptables) come and go: some of each must have stayed.
    assert all(set(before[name]) & set(after[name]) for name in before) and again.token == node.token
    assert time.monotonic() - started < 5


def test_nothing_is_left_when_all_of_it_was_killed(node: Node) -> None:
    """Runs last: takes the node down."""
    layer = Layer.of({"pause": node.home.program("pause")})
    image = Image("docker.io/library/still:1", [layer], {"Entrypoint": ["/pause"]})
    node.load(image)
    node.kubectl("run", "still", "--image=still:1", "--image-pull-policy=Never")
    node.kubectl("wait", "--for=condition=Ready", "pod/still", "--timeout=30s")
    bundles = (node.home.run / "containerd-state").glob("io.containerd.runtime.v2.task/*/*")
    containers = {path.name for path in bundles}
    killed = cgroups.pids()
    assert len(containers) >= 2 and len(killed) > 9  # seven components, a shim, the pod's two
    for pid in killed:
        with suppress(ProcessLookupError):  # it has ended with another one
            os.kill(pid, signal.SIGKILL)

    assert node.down(unless_used=True)

    assert not [pid for pid in killed if psutil.pid_exists(pid) and _runs(pid)]
    assert str(node.home.run) not in Path("/proc/self/mountinfo").read_text()
    assert not node.home.run.exists()
    assert not Path("/sys/class/net", BRIDGE).exists()
    assert not [path for path in Path("/sys/class/net").iterdir() if path.name.startswith("veth")]
    for program in ("iptables-save", "ip6tables-save"):
        assert "KUBE-" not in subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert not [path for path in Path("/run/containerd/runc/k8s.io").glob("*") if path.name in containers]
    assert not [
        path for path in Path("/var/lib/cni/results").glob("*") if path.name.split("-")[2] in containers
    ]
    assert node.down()  # nothing to do


def _runs(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
