"""Who we are and what we may: several contexts, a plugin, a token that ends in the middle, a Role that lacks something."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from .service import NAME, KubeService

pytestmark = pytest.mark.slow

KNOWN = ("--accept", "schema-unknown", "--yes")
PLUGIN = """
import json, pathlib, sys
token = pathlib.Path(sys.argv[1])
with token.with_name("asked").open("a") as asked:
    asked.write("once more\\n")
print(json.dumps({"kind": "ExecCredential", "status": {"token": token.read_text()}}))
"""


def token_of(kubeconfig: Path) -> str:
    return str(json.loads(kubeconfig.read_text())["users"][0]["user"]["token"])


def with_plugin(service: KubeService, folder: Path) -> Path:
    """Write a kubeconfig whose token a plugin gives, beside a current context of a cluster that is not there."""
    whole: dict[str, Any] = json.loads(service.kubeconfig.read_text())
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "token").write_text(token_of(service.kubeconfig))
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(folder / "plugin.py"), str(folder / "token")],
    }
    whole["users"] = [{"name": whole["users"][0]["name"], "user": {"exec": told}}]
    whole["contexts"] = [{**whole["contexts"][0], "name": "shop-eu"}]
    whole["clusters"].append({"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}})
    whole["contexts"].append(
        {"name": "shop-us", "context": {**whole["contexts"][0]["context"], "cluster": "gone"}}
    )
    whole["current-context"] = "shop-us"
    to = folder / "several"
    to.write_text(json.dumps(whole))
    return to


def other_account(service: KubeService, to: Path) -> Path:
    """Return a kubeconfig of another ServiceAccount that has the same Role."""
    service.kubectl("create", "serviceaccount", "other")
    account = f"--serviceaccount={service.namespace}:other"
    service.kubectl("create", "rolebinding", "other", "--role=backout", account)
    return service.node.kubeconfig_of("other", to, namespace=service.namespace)


def times_asked(folder: Path) -> int:
    return len((folder / "asked").read_text().splitlines())


def test_the_context_that_is_meant_is_told_first_and_a_plugin_is_asked_again_when_its_token_ends(
    fresh: KubeService, tmp_path: Path
) -> None:
    several = str(with_plugin(fresh, tmp_path))
    cli = fresh.configure(kubeconfig=several)
    cli("run", *KNOWN).refused(
        3, what="https://127.0.0.1:1 does not answer", now=".", next="--context shop-us"
    )

    cli = fresh.configure(kubeconfig=several, context="shop-eu", rollout_timeout_s=60)
    where = f"context shop-eu, namespace {fresh.namespace}"
    assert where in cli("plan", *KNOWN[:2]).ended(0).everything
    assert f"context shop-eu, server {fresh.node.url}" in cli("doctor").everything
    fresh.patch({"spec": {"minReadySeconds": 500}})  # the roll-out waits until the token has changed
    running = cli.start("run", *KNOWN)
    until(lambda: fresh.get(NAME)["metadata"]["annotations"].get("backout/step"))
    (tmp_path / "token").write_text(token_of(other_account(fresh, tmp_path / "other")))
    asked = times_asked(tmp_path)
    fresh.kubectl("delete", "serviceaccount", "backout")  # with it its tokens end
    until(lambda: times_asked(tmp_path) > asked)
    fresh.patch({"spec": {"minReadySeconds": 0}})
    done = cli.finish(running).ended(0)
    assert done.err.startswith(f"On {where}: "), "before anything is done"
    assert fresh.served() == ["1.0.0"]


def test_each_verb_that_is_missing_is_named(fresh: KubeService) -> None:
    role = fresh.get("role", "backout")
    left = [rule for rule in role["rules"] if not {"leases", "events"} & set(rule["resources"])]
    fresh.patch({"rules": left}, "role/backout")
    cli = fresh.configure()
    told = " ".join(cli("doctor").everything.split())
    for verb in ("get", "create", "update"):
        assert f"permission {verb} leases: not given: one run at a time will not work" in told, told
        assert f"auth can-i {verb} leases" in told, "what to type"
    assert "permission list events: not given: showing why a pod fails will not work" in told
    assert told.count("not given") == 4
    cli("run", *KNOWN).refused(3, what="refuses .*leases", now="Nothing was changed", next="auth can-i")
    assert fresh.served() == ["2.0.0"]
    account = f"--as=system:serviceaccount:{fresh.namespace}:backout"
    words = ("-n", fresh.namespace, "auth", "can-i", "get", "secrets", account)
    assert fresh.node.kubectl(*words, check=False).stdout.strip() == "no"


class Tunnels:
    """A proxy that makes a tunnel for whoever asks for one (CONNECT), and notes whereto."""

    def __init__(self) -> None:
        self.to = list[str]()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                threading.Thread(
                    target=self._tunnel, args=(self._listening.accept()[0],), daemon=True
                ).start()

    def _tunnel(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(4096)
        self.to.append(head.split()[1].decode())
        host, _, port = self.to[-1].partition(":")
        with near, socket.create_connection((host, int(port))) as far:
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pour, args=(far, near), daemon=True)
            back.start()
            _pour(near, far)
            back.join()


def _pour(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


@pytest.fixture
def tunnels() -> Iterator[Tunnels]:
    made = Tunnels()
    yield made
    made.close()


def told_of(
    kubeconfig: Path, to: Path, *, cluster: dict[str, str], user: dict[str, str] | None = None
) -> str:
    """Write a kubeconfig that says more of cluster and user."""
    whole = json.loads(kubeconfig.read_text())
    whole["clusters"][0]["cluster"] |= cluster
    whole["users"][0]["user"] |= user or {}
    to.write_text(json.dumps(whole))
    return str(to)


def test_proxy_name_and_person_of_the_kubeconfig_are_taken_as_kubectl_takes_them(
    service: KubeService, tunnels: Tunnels, tmp_path: Path
) -> None:
    server = service.node.url.removeprefix("https://")
    both = {"proxy-url": tunnels.url, "tls-server-name": "kubernetes.default.svc"}
    cli = service.configure(kubeconfig=told_of(service.kubeconfig, tmp_path / "both", cluster=both))
    assert "permissions: all" in cli("doctor").everything
    assert set(tunnels.to) == {server}
    cli("plan", *KNOWN[:2]).ended(0)

    elsewhere = {"tls-server-name": "another-cluster.example.com"}
    told = told_of(service.kubeconfig, tmp_path / "elsewhere", cluster=elsewhere)
    cli = service.configure(kubeconfig=told)
    cli("run", *KNOWN).refused(3, what="not valid for 'another-cluster.example.com'", now=".", next="kubectl")

    gone = told_of(service.kubeconfig, tmp_path / "gone", cluster={"proxy-url": "http://127.0.0.1:1"})
    service.configure(kubeconfig=gone)("run", *KNOWN).refused(
        3, what="does not answer: ConnectError", now=".", next="kubectl"
    )

    person = told_of(service.node.kubeconfig, tmp_path / "person", cluster={}, user={"as": "a-guest"})
    cli = service.configure(kubeconfig=person, namespace=service.namespace)
    cli("run", *KNOWN).refused(3, what='User "a-guest" cannot get', now=".", next="auth can-i")
    assert service.served() == ["2.0.0"]


def test_files_of_kubeconfig_are_one_as_for_kubectl(service: KubeService, tmp_path: Path) -> None:
    whole = json.loads(service.kubeconfig.read_text())
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(json.dumps({"clusters": whole["clusters"], "contexts": [], "users": []}))
    second.write_text(json.dumps(whole | {"clusters": []}))
    several = os.pathsep.join(map(str, (first, tmp_path / "not-there", second)))
    cli = service.configure(kubeconfig=None)
    env = {"KUBECONFIG": several}
    doctor = cli("doctor", env=env).everything
    assert (
        f"server {service.node.url}, namespace {service.namespace}" in doctor and "permissions: all" in doctor
    )
    cli("plan", *KNOWN[:2], env=env).ended(0)
