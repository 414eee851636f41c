"""The host's half of the network: bridge, route, kernel settings; and taking all of it away again."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from testbed.errors import TestbedFailed
from testbed.home import Home
from testbed.versions import BRIDGE, GATEWAY, NAME, PODS, SERVICES

# What kubelet, kube-proxy and the CNI plugin set: put back by `down`.
_SETTINGS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_CNI_RESULTS = Path("/var/lib/cni/results")
_IPTABLES = ("iptables", "ip6tables")
_TABLES = ("nat", "filter", "mangle")


def prepare(home: Home) -> None:
    """Note the kernel's settings, make the bridge with the gateway's address, and write the CNI configuration.

    A route leads to the Services through the bridge, so that the host's requests come from an address that
    pods can answer to: pods have no default route, nothing of theirs leaves the machine.
    """
    saved = {name: Path("/proc/sys", name).read_text().strip() for name in _SETTINGS}
    (home.run / "sysctl.json").write_text(json.dumps(saved))
    length = ipaddress.ip_network(PODS).prefixlen
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "addr", "add", f"{GATEWAY}/{length}", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    _run("ip", "route", "add", SERVICES, "dev", BRIDGE, "src", GATEWAY)
    (home.run / "cni").mkdir()
    (home.run / "cni" / "10-testbed.conflist").write_text(json.dumps(_cni(home), indent=1))


def remove(home: Home, kube_proxy: Path) -> None:
    """Take away rules, bridge and what the plugins noted, and put the kernel's settings back. Idempotent.

    Args:
        home: Whose node it was.
        kube_proxy: The program that made the rules; it knows best how to delete them.
    """
    if kube_proxy.exists() and _chains():
        _run("kube-proxy", "--cleanup", program=kube_proxy, check=False)
    _delete_chains()
    if Path("/sys/class/net", BRIDGE).exists():
        _run("ip", "link", "delete", BRIDGE)
    if _CNI_RESULTS.is_dir():
        for file in _CNI_RESULTS.glob(f"{NAME}-*"):
            file.unlink()
        with suppress(OSError):  # not empty: somebody else's
            _CNI_RESULTS.rmdir()
            _CNI_RESULTS.parent.rmdir()
    with suppress(FileNotFoundError):
        saved: dict[str, str] = json.loads((home.run / "sysctl.json").read_text())
        for name, value in saved.items():
            Path("/proc/sys", name).write_text(value)


def foreign() -> str | None:
    """Return what says that another Kubernetes uses this machine's network; None if nothing does."""
    chains = sorted({chain for _, _, chain in _chains()})
    return f"iptables chains {', '.join(chains[:3])}" if chains else None


def _cni(home: Home) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": PODS, "gateway": GATEWAY}]],
            "routes": [{"dst": SERVICES}],
            "dataDir": str(home.run / "ipam"),
        },
    }
    return {"cniVersion": "0.4.0", "name": NAME, "plugins": [bridge]}


def _chains() -> list[tuple[str, str, str]]:
    found = []
    for program in _IPTABLES:
        for table in _TABLES:
            listed = subprocess.run(
                [program, "-w", "-t", table, "-S"], capture_output=True, text=True, check=False
            ).stdout
            names = (line.split()[1] for line in listed.splitlines() if line.startswith("-N KUBE-"))
            found += [(program, table, name) for name in names]
    return found


def _delete_chains() -> None:
    """Delete what is left of the chains: kube-proxy's clean-up keeps those that the kubelet shares."""
    chains = _chains()
    for program, table in sorted({(program, table) for program, table, _ in chains}):
        listed = subprocess.run(
            [program, "-w", "-t", table, "-S"], capture_output=True, text=True, check=True
        )
        for line in listed.stdout.splitlines():
            rule = line.split()
            if rule[0] == "-A" and not rule[1].startswith("KUBE-") and "-j KUBE-" in line:
                _jump_away(program, table, line)
    for action in ("-F", "-X"):
        for program, table, name in chains:
            _run(program, "-w", "-t", table, action, name)


def _jump_away(program: str, table: str, rule: str) -> None:
    import shlex

    _run(program, "-w", "-t", table, "-D", *shlex.split(rule)[1:])


def _run(*command: str, program: Path | None = None, check: bool = True) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        _words(command, program), capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise TestbedFailed(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")


def _words(command: Sequence[str], program: Path | None) -> list[str]:
    return [str(program), *command[1:]] if program else list(command)
