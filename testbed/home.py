"""Where everything lies: binaries keyed by what they are made from, and the state of the node that runs."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from testbed.errors import TestbedFailed
from testbed.versions import KUBERNETES

SOURCE = Path(__file__).parent
REPOSITORY = SOURCE.parent
ETCD_LOCK = REPOSITORY / "requirements-testbed.lock"
_LONGEST = 70
"""A Unix socket's path has at most 107 bytes, and the longest name that the parts add has 35."""


@dataclass(frozen=True)
class Home:
    """A folder of the testbed.

    Attributes:
        root: Holds all of it; outside of the repository, so that every checkout shares it.
    """

    root: Path

    @classmethod
    def default(cls) -> Home:
        """Return the user's own, or that of `BACKOUT_TESTBED_HOME`.

        Raises:
            TestbedFailed: The path is too long for the sockets in it.
        """
        import platformdirs

        named = os.environ.get("BACKOUT_TESTBED_HOME")
        root = Path(named) if named else platformdirs.user_cache_path("backout") / "testbed"
        root = root.absolute()
        if len(os.fsencode(root)) > _LONGEST:
            told = f"{root} is too long for sockets in it (at most {_LONGEST} bytes)."
            raise TestbedFailed(told, next_command="export BACKOUT_TESTBED_HOME=/var/tmp/testbed")
        return cls(root)

    @cached_property
    def key(self) -> str:
        """What the binaries are made from, in short: the Kubernetes version and a digest of the sources."""
        digest = hashlib.sha256()
        for file in (*sorted(SOURCE.glob("go.*")), *sorted(SOURCE.rglob("*.go")), ETCD_LOCK):
            digest.update(file.read_bytes() + b"\0")
        return f"{KUBERNETES}-{digest.hexdigest()[:12]}"

    @property
    def binaries(self) -> Path:
        """Programs; kept by `down`."""
        return self.root / "bin" / self.key

    @property
    def layers(self) -> Path:
        """Layers of images that take long to make; kept by `down`."""
        return self.root / "layers"

    @property
    def run(self) -> Path:
        """All state of the node that runs; deleted by `down`."""
        return self.root / "run"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.run / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    def program(self, name: str) -> Path:
        """Return the path of one of the programs built."""
        return self.binaries / name
