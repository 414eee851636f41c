"""etcd and containerd: what the cluster keeps its objects in, and what runs its containers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from testbed import cgroups
from testbed.errors import TestbedFailed
from testbed.home import Home
from testbed.images import Image
from testbed.versions import PAUSE_IMAGE

_CNI_PLUGINS = ("/usr/lib/cni", "/opt/cni/bin")
_CNI_RESULTS = Path("/var/lib/cni/results")
_CRI = "io.containerd.grpc.v1.cri"
_RUNC = Path("/run/containerd/runc")
_SHIM_SOCKETS = "unix:///run/containerd/s/"

_CONTAINERD = """\
version = 2
root = "{run}/containerd"
state = "{run}/containerd-state"
oom_score = 0
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{run}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{run}/cni"
"""


def start_etcd(home: Home, ports: Mapping[str, int], env: Mapping[str, str]) -> None:
    """Start etcd without waiting for the disk: what it holds dies with the node."""
    client, peer = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "etcd-peer"))
    command = [
        str(home.program("etcd")),
        *("--name", "testbed", "--data-dir", str(home.run / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"testbed={peer}", "--log-level", "warn"),
    ]
    cgroups.start("etcd", command, log=home.run / "etcd.log", env=env)


def start_containerd(home: Home, env: Mapping[str, str]) -> None:
    """Start a containerd of its own. An image that is not there is looked for at a closed door, not elsewhere."""
    config = home.run / "containerd.toml"
    cni = next((folder for folder in _CNI_PLUGINS if Path(folder, "bridge").exists()), _CNI_PLUGINS[0])
    config.write_text(
        _CONTAINERD.format(run=home.run, socket=home.containerd_socket, pause=PAUSE_IMAGE, cni=cni)
    )
    offline = {**env, "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = ["containerd", "--config", str(config)]
    cgroups.start("containerd", command, log=home.run / "containerd.log", env=offline)


def ctr(home: Home, *arguments: str, data: bytes | None = None) -> str:
    """Ask containerd for something in the namespace of Kubernetes; returns what it prints.

    Raises:
        TestbedFailed: It did not work; the words are ctr's.
    """
    command = ["ctr", "--address", str(home.containerd_socket), "--namespace", "k8s.io", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        raise TestbedFailed(f"ctr {' '.join(arguments)}: {done.stderr.decode().strip()[-500:]}")
    return done.stdout.decode()


def load(home: Home, image: Image) -> None:
    """Bring an image into containerd, under its name and under its digest. Idempotent.

    Layers that are there already are not sent again.
    """
    known = set(re.findall(r"sha256:[0-9a-f]{64}", ctr(home, "content", "ls", "--quiet")))
    if image.digest not in known or image.name not in ctr(home, "images", "ls", "--quiet").split():
        ctr(home, "images", "import", "-", data=image.archive(leave_out=known))


def remove_outside(home: Home) -> None:
    """Delete what shims, runc and CNI keep of our containers outside of our folder. Idempotent."""
    for bundle in (home.run / "containerd-state").glob("io.containerd.runtime.v2.task/*/*"):
        shutil.rmtree(_RUNC / bundle.parent.name / bundle.name, ignore_errors=True)
        address = bundle / "address"
        if address.is_file() and (socket := address.read_text().strip()).startswith(_SHIM_SOCKETS):
            Path(socket.removeprefix("unix://")).unlink(missing_ok=True)
    # Of a pod that is about to end the bundle goes before its network does, its own folder after.
    for sandbox in (home.run / "containerd" / _CRI / "sandboxes").glob("*"):
        (_CNI_RESULTS / f"cni-loopback-{sandbox.name}-lo").unlink(missing_ok=True)


def unmount_all(home: Home) -> None:
    """Unmount everything below the folder of the node that ran, newest first. Idempotent."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    prefix = f"{home.run}/"
    for point in reversed([_unescaped(point) for point in points]):
        if point.startswith(prefix):
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
