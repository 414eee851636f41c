"""The node's half: kubelet and kube-proxy."""

from __future__ import annotations

import json
from collections.abc import Mapping

from testbed import cgroups
from testbed.home import Home
from testbed.versions import GATEWAY, NAME, NODE

PODS_CGROUP = "pods"


def start_kubelet(home: Home, ports: Mapping[str, int], env: Mapping[str, str]) -> None:
    """Start the kubelet, with every folder that can be chosen below the node's own."""
    cgroups.make(PODS_CGROUP)
    config = home.run / "kubelet.json"
    config.write_text(json.dumps(_kubelet(home, ports), indent=1))
    (home.run / "resolv.conf").touch()
    command = [
        str(home.program("kubelet")),
        f"--config={config}",
        f"--kubeconfig={home.kubeconfig}",
        f"--hostname-override={NODE}",
        f"--node-ip={GATEWAY}",
        f"--root-dir={home.run / 'kubelet'}",
        f"--cert-dir={home.run / 'kubelet-pki'}",
    ]
    cgroups.start("kubelet", command, log=home.run / "kubelet.log", env=env)


def start_proxy(home: Home, ports: Mapping[str, int], env: Mapping[str, str]) -> None:
    """Start kube-proxy with iptables, leaving the kernel's settings for connections alone."""
    command = [
        str(home.program("kube-proxy")),
        f"--kubeconfig={home.kubeconfig}",
        f"--hostname-override={NODE}",
        "--proxy-mode=iptables",
        "--iptables-localhost-nodeports=false",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        f"--healthz-bind-address=127.0.0.1:{ports['proxy-health']}",
        f"--metrics-bind-address=127.0.0.1:{ports['proxy-metrics']}",
    ]
    cgroups.start("kube-proxy", command, log=home.run / "kube-proxy.log", env=env)


def _kubelet(home: Home, ports: Mapping[str, int]) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": GATEWAY,
        "port": ports["kubelet"],
        "healthzPort": ports["kubelet-health"],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(home.run / "keys" / "kubelet-client.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{home.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}/{PODS_CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": str(home.run / "logs"),
        "volumePluginDir": str(home.run / "volume-plugins"),
        "resolvConf": str(home.run / "resolv.conf"),
        "makeIPTablesUtilChains": False,
        "hairpinMode": "hairpin-veth",
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 8,
        "maxPods": 60,
    }
