"""The control plane: API server, controllers and scheduler."""

from __future__ import annotations

from collections.abc import Mapping

from testbed import cgroups
from testbed.home import Home
from testbed.versions import GATEWAY, NODE_PORTS, SERVICES


def start_apiserver(home: Home, ports: Mapping[str, int], env: Mapping[str, str]) -> None:
    """Start the API server on the gateway's address, where the host and the pods reach it, and nobody else."""
    keys, own = home.run / "keys", home.run / "apiserver"
    flags = {
        "etcd-servers": f"http://127.0.0.1:{ports['etcd']}",
        "bind-address": GATEWAY,
        "advertise-address": GATEWAY,
        "secure-port": ports["apiserver"],
        "cert-dir": own,
        "token-auth-file": keys / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": keys / "sa.key",
        "service-account-signing-key-file": keys / "sa.key",
        "service-cluster-ip-range": SERVICES,
        "service-node-port-range": NODE_PORTS,
        "kubelet-client-certificate": keys / "kubelet-client.crt",
        "kubelet-client-key": keys / "kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",
        "allow-privileged": "true",
        "profiling": "false",
    }
    _start(home, "kube-apiserver", flags, env)


def start_controllers(home: Home, env: Mapping[str, str]) -> None:
    """Start the controller manager. A node whose kubelet is silent for 20 s is held to be gone (usual: 50 s)."""
    flags = {
        "kubeconfig": home.kubeconfig,
        "leader-elect": "false",
        "secure-port": 0,
        "service-account-private-key-file": home.run / "keys" / "sa.key",
        "root-ca-file": home.run / "apiserver" / "apiserver.crt",
        "flex-volume-plugin-dir": home.run / "volume-plugins",
        "node-monitor-period": "1s",
        "node-monitor-grace-period": "20s",
        "profiling": "false",
    }
    _start(home, "kube-controller-manager", flags, env)


def start_scheduler(home: Home, env: Mapping[str, str]) -> None:
    """Start the scheduler."""
    flags = {"kubeconfig": home.kubeconfig, "leader-elect": "false", "secure-port": 0, "profiling": "false"}
    _start(home, "kube-scheduler", flags, env)


def _start(home: Home, name: str, flags: Mapping[str, object], env: Mapping[str, str]) -> None:
    command = [str(home.program(name)), *(f"--{flag}={value}" for flag, value in flags.items())]
    cgroups.start(name, command, log=home.run / f"{name}.log", env=env)
