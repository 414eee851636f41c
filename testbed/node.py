"""Starts, stops and describes the node: `Node.up()` is all that a test needs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backout.children import basic_env
from backout.embedded.server import free_port
from testbed import build, cgroups, control, keys, kubelet, network, owner, pause_image, runtime
from testbed.errors import TestbedFailed
from testbed.home import Home
from testbed.images import Image
from testbed.versions import GATEWAY

_PORTS = (
    "etcd",
    "etcd-peer",
    "apiserver",
    "kubelet",
    "kubelet-health",
    "proxy-health",
    "proxy-metrics",
)
_COMPONENTS = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
_READY_S = 60.0
_OUTSIDE = (Path("/var/lib/kubelet/device-plugins"), Path("/var/log/containers"))
"""Folders that the kubelet makes wherever it runs; the first with a socket, the second with links into ours."""


@dataclass(frozen=True)
class Node:
    """The node that runs.

    Attributes:
        home: Where it lies.
        ports: By component, on 127.0.0.1 or on the gateway's address.
        token: The administrator's.
    """

    home: Home
    ports: Mapping[str, int]
    token: str

    @classmethod
    def up(
        cls, home: Home | None = None, tell: Callable[[str], None] = lambda _: None, *, alone: bool = False
    ) -> Node:
        """Start the node unless it runs, and note that this process uses it. Builds it when needed.

        Args:
            home: Where it lies; default: the user's own.
            tell: Is told what takes minutes.
            alone: Wait until nobody else uses it, and keep others waiting: for tests that break parts of it.

        Raises:
            TestbedFailed: Something is missing or did not start; or the machine has another Kubernetes.
        """
        home = home or Home.default()
        build.build(home, tell)
        owner.use(tell, alone=alone)
        with owner.changing():
            _check_owner(home)
            node = cls.running(home)
            if node is not None and (node.healthy() or _mended_by_others(node)):
                return node
            if owner.others_use_it():
                raise TestbedFailed("Others use the node, and it is not well or of another version.")
            _clear_away(home)
            return cls._start(home)

    @classmethod
    def running(cls, home: Home | None = None) -> Node | None:
        """Return the node if it was started and not stopped since; part of it may have died."""
        home = home or Home.default()
        try:
            state = json.loads((home.run / "node.json").read_text())
        except FileNotFoundError:
            return None
        if state["key"] != home.key:
            return None
        return cls(home, state["ports"], state["token"])

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.home.kubeconfig

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://{GATEWAY}:{self.ports['apiserver']}"

    @property
    def gateway(self) -> str:
        """The host's address as pods see it: a server of a test that is for them listens there."""
        return GATEWAY

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator.

        Raises:
            TestbedFailed: It ended with an error, and `check` is on; its words are in it.
        """
        done = subprocess.run(
            [str(self.home.program("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin, capture_output=True, text=True, check=False, env=_env(), timeout=timeout_s,
        )  # fmt: skip
        if check and done.returncode:
            raise TestbedFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def load(self, image: Image) -> None:
        """Bring an image into the node, under its name and its digest. Idempotent."""
        runtime.load(self.home, image)

    def kubeconfig_of(
        self, account: str, to: Path, *, namespace: str = "default", valid_s: int = 3600
    ) -> Path:
        """Write a kubeconfig with a new token of a ServiceAccount; returns its path."""
        ask = ("create", "token", account, f"--namespace={namespace}", f"--duration={valid_s}s")
        token = self.kubectl(*ask).stdout.strip()
        port = self.ports["apiserver"]
        keys.write_kubeconfig(self.home, to, port=port, token=token, user=account, namespace=namespace)
        return to

    def stop_apiserver(self) -> None:
        """End the API server as at a node's crash: without letting requests finish. Idempotent."""
        cgroups.end("kube-apiserver")

    def start_apiserver(self) -> None:
        """Start the API server again, and wait until it is ready. Idempotent."""
        if not cgroups.pids("kube-apiserver"):
            control.start_apiserver(self.home, self.ports, _env())
        self._wait("the API server", self._api_ready)

    def stop_kubelet(self) -> None:
        """End the kubelet; its pods go on. Idempotent."""
        cgroups.end("kubelet")

    def start_kubelet(self) -> None:
        """Start the kubelet again, and wait until it reports the node as ready. Idempotent."""
        if not cgroups.pids("kubelet"):
            kubelet.start_kubelet(self.home, self.ports, _env())
        self._wait("the node", self._node_ready)

    def status(self) -> dict[str, list[int]]:
        """Return the processes of each component; none: it does not run."""
        return {name: cgroups.pids(name) for name in _COMPONENTS}

    def healthy(self) -> bool:
        """Return whether every component runs and the API server says that it is ready."""
        return all(self.status().values()) and self._api_ready()

    def down(self, *, unless_used: bool = False) -> bool:
        """Stop the node; nothing stays but the programs. Idempotent.

        Args:
            unless_used: Leave it to those who use it, if there are any besides this process.

        Returns:
            Whether it was stopped.
        """
        return down(self.home, unless_used=unless_used)

    def release(self) -> None:
        """Note that this process uses the node no more, as its end does. Idempotent."""
        owner.let_go()

    @classmethod
    def _start(cls, home: Home) -> Node:
        home.run.mkdir(parents=True, mode=0o700)
        owner.claim(home)
        ports = {name: free_port() for name in _PORTS}
        env = _env()
        network.prepare(home)
        runtime.start_etcd(home, ports, env)
        runtime.start_containerd(home, env)
        node = cls(home, ports, keys.make(home))
        control.start_apiserver(home, ports, env)
        node._wait("containerd", lambda: _works(lambda: runtime.load(home, pause_image.image(home))))
        node._wait("the API server", node._api_ready)
        keys.write_kubeconfig(home, home.kubeconfig, port=ports["apiserver"], token=node.token)
        control.start_controllers(home, env)
        control.start_scheduler(home, env)
        kubelet.start_kubelet(home, ports, env)
        kubelet.start_proxy(home, ports, env)
        node._wait("the node", node._node_ready)
        node._wait("the default service account", node._account_ready)
        state = {"key": home.key, "ports": ports, "token": node.token}
        (home.run / "node.json").write_text(json.dumps(state))
        return node

    def _api_ready(self) -> bool:
        return self._get("/readyz") == "ok"

    def _node_ready(self) -> bool:
        nodes = json.loads(self._get("/api/v1/nodes") or "{}").get("items", [])
        conditions = [condition for node in nodes for condition in node["status"].get("conditions", [])]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def _account_ready(self) -> bool:
        return bool(self._get("/api/v1/namespaces/default/serviceaccounts/default"))

    def _get(self, path: str) -> str | None:
        try:
            context = ssl.create_default_context(cafile=self.home.run / "apiserver" / "apiserver.crt")
            request = urllib.request.Request(
                self.url + path, headers={"Authorization": f"Bearer {self.token}"}
            )
            direct = urllib.request.ProxyHandler({})
            opener = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=context))
            with opener.open(request, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_S
        while not ready():
            dead = [name for name, pids in self.status().items() if not pids]
            if time.monotonic() > deadline:
                told = f"{what} was not ready after {_READY_S:g} s; not running: {', '.join(dead) or 'nothing'}; "
                raise TestbedFailed(f"{told}logs: {self.home.run}/*.log")
            time.sleep(0.05)


def down(home: Home, *, unless_used: bool = False) -> bool:
    """Stop what runs of a node in this folder, also after a kill -9 of all of it. Idempotent.

    Returns:
        Whether nothing runs any more.
    """
    with owner.changing():
        _check_owner(home)
        if unless_used and owner.others_use_it():
            return False
        _clear_away(home)
        return True


def _mended_by_others(node: Node) -> bool:
    """Whether those who use the node start again what they stopped."""
    deadline = time.monotonic() + _READY_S
    while owner.others_use_it() and time.monotonic() < deadline:
        if node.healthy():
            return True
        time.sleep(0.2)
    return False


def _clear_away(home: Home) -> None:
    """End, unmount and delete in the order in which nothing is made anew by what is left."""
    for name in ("kubelet", "kube-proxy"):
        cgroups.end(name, first=signal.SIGTERM, patience_s=1)
    cgroups.end()
    runtime.remove_outside(home)
    runtime.unmount_all(home)
    network.remove(home, home.program("kube-proxy"))
    cgroups.remove()
    _remove_outside(home)
    shutil.rmtree(home.run, ignore_errors=True)
    if home.run.exists():
        raise TestbedFailed(
            f"{home.run} cannot be deleted.", next_command=f"grep {home.run} /proc/self/mountinfo"
        )
    owner.disclaim()


def _remove_outside(home: Home) -> None:
    for folder in _OUTSIDE:
        for entry in folder.glob("*"):
            if entry.name == "kubelet.sock" or (
                entry.is_symlink() and str(entry.readlink()).startswith(str(home.run))
            ):
                entry.unlink()
        with suppress(OSError):  # not there, or somebody else's
            folder.rmdir()
            folder.parent.rmdir()


def _check_owner(home: Home) -> None:
    theirs = owner.owner()
    if theirs not in (None, str(home.root)):
        told = f"Another testbed runs on this machine, in {theirs}."
        raise TestbedFailed(told, next_command=f"BACKOUT_TESTBED_HOME={theirs} scripts/testbed down")
    if theirs is None and (foreign := network.foreign()):
        told = f"Another Kubernetes uses this machine: {foreign}. A second one would break both."
        raise TestbedFailed(told, next_command="BACKOUT_SKIP=kubernetes make test")


def _works(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except TestbedFailed:
        return False
    return True


def _env() -> dict[str, str]:
    return {**basic_env(), "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
