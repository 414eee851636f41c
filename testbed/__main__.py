"""Command line of the testbed: `scripts/testbed up|down|status|kubectl …|build`."""

from __future__ import annotations

import os
import sys

from testbed import build
from testbed.errors import TestbedFailed
from testbed.home import Home
from testbed.node import Node, down

_USAGE = "usage: scripts/testbed up | down | status | kubectl … | build"


def main(arguments: list[str]) -> int:
    """Do what the first argument says; returns the exit status."""
    home = Home.default()
    match arguments:
        case ["up"]:
            node = Node.up(home, _tell)
            print(f"export KUBECONFIG={node.kubeconfig}")
        case ["down"]:
            if not down(home, unless_used=True):
                _tell("Somebody else uses the node: it stays. Once nobody does: scripts/testbed down")
                return 3
        case ["status"]:
            return _status(Node.running(home))
        case ["kubectl", *words]:
            os.environ["KUBECONFIG"] = str(home.kubeconfig)
            os.execv(home.program("kubectl"), ["kubectl", *words])
        case ["build"]:
            build.build(home, _tell)
        case _:
            _tell(_USAGE)
            return 2
    return 0


def _status(node: Node | None) -> int:
    if node is None:
        print("The node does not run; it starts with: scripts/testbed up")
        return 3
    for name, pids in node.status().items():
        print(f"{name:25}{'runs as ' + ', '.join(map(str, pids)) if pids else 'does not run'}")
    print(f"{'API server':25}{node.url}")
    print(f"{'kubeconfig':25}{node.kubeconfig}")
    return 0 if node.healthy() else 3


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except TestbedFailed as error:
        _tell(f"{error.what}\nstate  {error.state}\nnext   {error.next_command}")
        sys.exit(int(error.exit_code))
