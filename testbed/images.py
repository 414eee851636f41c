"""Makes container images without a registry: files become layers, layers become an archive for containerd.

Same files, same bytes, same digest: no time, user or order of the machine gets into an archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Layer:
    """One layer: an uncompressed tar.

    Attributes:
        data: The tar.
    """

    data: bytes = field(repr=False)

    @classmethod
    def of(cls, files: Mapping[str, Path | bytes | str]) -> Layer:
        """Return a layer with these files.

        Args:
            files: By path in the image: a file to be read (its executable bit is kept), bytes, or the target
                of a symbolic link as text.
        """
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            folders: set[str] = set()
            for name, content in sorted(((n.strip("/"), c) for n, c in files.items()), key=itemgetter(0)):
                _add_folders(tar, name, folders)
                _add(tar, name, content)
        return cls(out.getvalue())

    @cached_property
    def digest(self) -> str:
        """The digest of the tar."""
        return _digest(self.data)


@dataclass(frozen=True)
class Image:
    """An image with a name.

    Attributes:
        name: Complete, with registry and tag: `docker.io/library/collector:1.0.0`.
        layers: From the bottom up.
        config: What the image says about running it: `Cmd`, `Env`, `WorkingDir`, `User`.
    """

    name: str
    layers: Sequence[Layer]
    config: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The manifest's digest: what `image@sha256:…` names, and what a pod's imageID says."""
        return _digest(self._manifest)

    @property
    def by_digest(self) -> str:
        """The name by digest: `docker.io/library/collector@sha256:…`."""
        return f"{self.name.rpartition(':')[0]}@{self.digest}"

    def archive(self, *, leave_out: Collection[str] = ()) -> bytes:
        """Return an OCI archive that gives the image both of its names.

        Args:
            leave_out: Digests of layers that the receiver has.
        """
        blobs = {_digest(blob): blob for blob in (self._config, self._manifest)}
        blobs |= {layer.digest: layer.data for layer in self.layers if layer.digest not in leave_out}
        files: dict[str, Path | bytes | str] = {
            f"blobs/sha256/{digest.removeprefix('sha256:')}": blob for digest, blob in blobs.items()
        }
        described = {"mediaType": _MANIFEST, "digest": self.digest, "size": len(self._manifest)}
        names = (self.name, self.by_digest)
        manifests = [{**described, "annotations": {"io.containerd.image.name": name}} for name in names]
        files["index.json"] = _json({"schemaVersion": 2, "manifests": manifests})
        files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
        return Layer.of(files).data

    @property
    def _config(self) -> bytes:
        return _json(
            {
                "created": "1970-01-01T00:00:00Z",
                "architecture": _ARCHITECTURES[platform.machine()],
                "os": "linux",
                "config": dict(self.config),
                "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in self.layers]},
            }
        )

    @property
    def _manifest(self) -> bytes:
        config = {"mediaType": _CONFIG, "digest": _digest(self._config), "size": len(self._config)}
        layers = [
            {"mediaType": _LAYER, "digest": layer.digest, "size": len(layer.data)} for layer in self.layers
        ]
        return _json({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers})


def _add_folders(tar: tarfile.TarFile, name: str, made: set[str]) -> None:
    for parent in reversed(Path(name).parents[:-1]):
        if str(parent) not in made:
            made.add(str(parent))
            info = tarfile.TarInfo(str(parent))
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes | str) -> None:
    info = tarfile.TarInfo(name)
    if isinstance(content, str):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, content, 0o777
        tar.addfile(info)
        return
    executable = isinstance(content, Path) and bool(content.stat().st_mode & 0o100)
    data = content.read_bytes() if isinstance(content, Path) else content
    info.size, info.mode = len(data), 0o755 if executable else 0o644
    tar.addfile(info, io.BytesIO(data))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
