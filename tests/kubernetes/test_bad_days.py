"""Bad days on a real node: each says what failed, how things stand and what to type; nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.command_line import Cli
from tests.waiting import until

from testbed.python_layer import interpreter

from .proxy import Fault, FaultyProxy
from .service import NAME, KubeService

pytestmark = pytest.mark.slow

AGAIN = ("--accept", "quarantined", "--accept", "known-bad")
KNOWN = ("--accept", "schema-unknown", "--yes")


def deployed_once(service: KubeService, version: str, **container: object) -> None:
    """Let a version be in the history that never came up, and bring back what ran."""
    template = service.template("2.0.0")
    template["metadata"]["labels"]["app.kubernetes.io/version"] = version
    template["spec"]["containers"][0] |= container
    service.kubectl("patch", NAME, "-p", json.dumps({"spec": {"template": template}}))
    restored = service.template("2.0.0")
    restored["spec"]["containers"][0] |= dict.fromkeys(set(container) - {"image"})
    service.kubectl("patch", NAME, "-p", json.dumps({"spec": {"template": restored}}))
    service.rolled_out()


def wanted(service: KubeService) -> str:
    labels = service.get(NAME)["spec"]["template"]["metadata"]["labels"]
    return str(labels["app.kubernetes.io/version"])


def test_pods_that_do_not_come_up_are_told_of_with_their_reason_and_undone(fresh: KubeService) -> None:
    deployed_once(fresh, "0.9.0", image="collector:nowhere")
    deployed_once(fresh, "0.8.0", command=[interpreter(), "-c", "print('no config'); raise SystemExit(3)"])
    cli = fresh.configure(rollout_timeout_s=4)
    cli("run", "--to", "0.9.0", *KNOWN).refused(
        5,
        what="deployment/collector.*pod collector-.*(ErrImage|ImagePullBackOff)",
        now="told to run 0.9.0|0.9.0",
        next="backout resume run-",
    )
    assert fresh.served() == ["2.0.0"]
    cli("abort", "--yes").ended(0)
    assert (wanted(fresh), fresh.served()) == ("2.0.0", ["2.0.0"])

    crashed = cli("run", "--to", "0.8.0", "--keep-one", *KNOWN).refused(
        5,
        what="pod collector-.*last exit code 3|pod collector-.*Error",
        now="0.8.0",
        next="backout resume run-",
    )
    assert "no config" in crashed.err and "last event: BackOff" in crashed.err
    cli("abort", "--yes").ended(0)
    assert (wanted(fresh), fresh.served()) == ("2.0.0", ["2.0.0"])


def test_another_image_meanwhile_is_not_overwritten(fresh: KubeService) -> None:
    deployed_once(fresh, "0.9.0", image="collector:nowhere")
    cli = fresh.configure(rollout_timeout_s=60)
    running = cli.start("run", "--to", "0.9.0", *KNOWN)
    until(lambda: wanted(fresh) == "0.9.0")
    fresh.set_version("3.0.0")
    told = cli.finish(running).refused(
        5,
        what="Somebody else gave deployment/collector another template",
        now="left alone",
        next=r"backout run --to 0\.9\.0 .*--take-over",
    )
    assert told.code == 5
    fresh.rolled_out()
    assert fresh.served() == ["3.0.0"]
    cli("resume").refused(5, what="Somebody else", now="left alone", next="--take-over")
    assert fresh.served() == ["3.0.0"]
    cli("run", "--to", "2.0.0", "--take-over", "--reason", "3.0.0 is no better", *AGAIN, *KNOWN).ended(0)
    assert fresh.served() == ["2.0.0"]


@pytest.fixture
def proxied(fresh: KubeService, tmp_path: Path) -> Iterator[tuple[FaultyProxy, Cli]]:
    proxy = FaultyProxy(fresh.kubeconfig, tmp_path / "proxied")
    cli = fresh.configure(kubeconfig=str(tmp_path / "proxied"), rollout_timeout_s=40)
    fresh.recorded(cli)
    yield proxy, cli
    proxy.close()


def test_an_api_server_that_answers_409_429_and_500_or_hangs_up(
    fresh: KubeService, proxied: tuple[FaultyProxy, Cli]
) -> None:
    proxy, cli = proxied
    workload = "/deployments/collector$|/deployments/collector[?]"
    proxy.faults += [
        Fault("PUT", workload, 409, 2),
        Fault("PUT", workload, 500, 1, done=True),  # it was written, and the answer is lost
        Fault("GET", "/pods[?]", 429, 2, headers={"Retry-After": "1"}),
        Fault("GET", workload, 503, 2),
        Fault("PUT", "/leases/", 500, 2),
    ]
    done = cli("run", "--yes").ended(0)
    assert fresh.served() == ["1.0.0"], done.everything
    assert all(f.met == f.times for f in proxy.faults), proxy.faults

    proxy.faults.clear()
    running = cli.start("run", "--to", "2.0.0", *AGAIN, *KNOWN)
    until(lambda: wanted(fresh) == "2.0.0")
    proxy.down = True
    until(lambda: proxy.hung_up >= 3)
    proxy.down = False
    cli.finish(running).ended(0)
    assert fresh.served() == ["2.0.0"]

    running = cli.start("run", "--to", "1.0.0", *AGAIN, *KNOWN)
    until(lambda: wanted(fresh) == "1.0.0")
    proxy.down = True
    cli.finish(running).refused(
        5, what="API server http.* does not answer", now="1.0.0", next="backout resume run-"
    )
    cli("resume").refused(3, what="API server http.* does not answer", now="not known", next="get pods")
    proxy.down = False
    cli("resume").ended(0)
    assert fresh.served() == ["1.0.0"]


def test_a_credential_that_is_revoked_in_the_middle(fresh: KubeService, tmp_path: Path) -> None:
    deployed_once(fresh, "0.9.0", image="collector:nowhere")
    cli = fresh.configure(rollout_timeout_s=60)
    running = cli.start("run", "--to", "0.9.0", *KNOWN)
    until(lambda: wanted(fresh) == "0.9.0")
    fresh.kubectl("delete", "serviceaccount", "backout")
    cli.finish(running).refused(
        5, what="The cluster refuses GET .*401|Unauthorized", now="0.9.0", next="backout resume run-"
    )
    cli("run", "--yes").refused(3, what="Unauthorized", now="Nothing was changed", next="kubectl auth whoami")
    fresh.kubectl("create", "serviceaccount", "backout")
    fresh.node.kubeconfig_of("backout", fresh.kubeconfig, namespace=fresh.namespace)
    cli("abort", "--yes").ended(0)
    assert (wanted(fresh), fresh.served()) == ("2.0.0", ["2.0.0"])


def test_a_revision_that_is_gone(fresh: KubeService) -> None:
    cli = fresh.configure()
    cli("plan", "--to", "1.0.0", "--accept", "schema-unknown", "-o", "plan.json").ended(0)
    before = fresh.pod_uids()
    for old in fresh.get("replicasets")["items"]:
        if not old["spec"]["replicas"]:
            fresh.kubectl("delete", "replicaset", old["metadata"]["name"])
    cli("run", "plan.json", "--yes").refused(
        5,
        what="content changed since the plan was made: nothing now",
        now="0 of 5 steps",
        next="backout plan",
    )
    cli("abort", "--yes").ended(0)
    cli("run", "--to", "1.0.0", *KNOWN).refused(
        2, what="1.0.0", now="Nothing was changed", next="backout plan --to 2.0.0"
    )
    assert fresh.pod_uids() <= before


def test_everything_else_is_down_during_an_emergency(fresh: KubeService) -> None:
    cli = fresh.configure()
    fresh.recorded(cli)
    folder = cli.directory
    told = yaml.safe_load((folder / "backout.yaml").read_text())
    errors = {
        "kind": "prometheus",
        "url": "http://127.0.0.1:1",
        "query": "errors",
        "limit": 1,
        "proves": "other",
    }
    told["checks"].append(errors)
    (folder / "backout.yaml").write_text(yaml.safe_dump(told))
    store = folder / ".backout" / "state.db"
    assert store.is_file()
    store.write_bytes(b"rubbish")
    (folder / ".git").write_text("rubbish")
    words = ("run", "--emergency", "--scenario", "code", "--reason", "everything is on fire", "--yes")
    done = cli(*words, env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}).ended(9)
    assert "not looked at: database" in done.everything
    assert "inconclusive prometheus" in done.out
    assert fresh.served() == ["1.0.0"]
    assert store.read_bytes() == b"rubbish", "its journal is elsewhere"
