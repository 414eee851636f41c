"""What the node is made of, and the few names and addresses that are fixed."""

from __future__ import annotations

KUBERNETES = "1.35.4"

# 198.18.0.0/15 is reserved for benchmarking (RFC 2544, RFC 6890): no packet of a test has somebody's address.
PODS = "198.18.0.0/16"
SERVICES = "198.19.0.0/16"
GATEWAY = "198.18.0.1"
"""The host's address on the pods' network: API server, kubelet, and whatever the tests offer to pods."""
NODE_PORTS = "32100-32700"
"""Above the range that `backout.embedded.server.free_port` chooses from."""

NAME = "backout-testbed"
"""Names the cgroup and the CNI network: what bears it is ours, and is what `down` ends and deletes."""
NODE = "testbed"
BRIDGE = "backout-tb0"
PAUSE_IMAGE = "docker.io/library/pause:testbed"
