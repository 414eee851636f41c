"""Finds manifests of workloads below a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from backout.message import msg
from backout.platforms.base import Detection
from backout.platforms.kubernetes.options import KINDS

_FOLDERS = ("k8s", "kubernetes", "deploy", "manifests", "kube", ".")
_KIND = re.compile(r"^kind:\s*['\"]?(\w+)['\"]?\s*$", re.MULTILINE)
_NAME = re.compile(
    r"^metadata:\s*$(?:\n[ \t]+.*)*?\n[ \t]+name:\s*['\"]?([a-z0-9.-]+)['\"]?\s*$", re.MULTILINE
)
_NAMESPACE = re.compile(r"^[ \t]+namespace:\s*['\"]?([a-z0-9-]+)['\"]?\s*$", re.MULTILINE)
_MOST_FILES, _MOST_BYTES = 50, 200_000


def detect(directory: Path) -> Detection | None:
    """Look for Deployments, StatefulSets and DaemonSets in YAML files; changes nothing, asks no cluster.

    Templated files (Helm) are read as far as they are plain.
    """
    workloads: dict[str, Path] = {}
    namespaces: set[str] = set()
    for file in _files(directory):
        for document in _documents(file):
            kind, name = _KIND.search(document), _NAME.search(document)
            if kind and name and kind[1].lower() in KINDS:
                workloads.setdefault(f"{kind[1].lower()}/{name[1]}", file)
                found = _NAMESPACE.search(document)
                namespaces |= {found[1]} if found else set()
    if not workloads:
        return None
    options: dict[str, object] = {"workloads": list(workloads)}
    if len(namespaces) == 1:
        options["namespace"] = namespaces.pop()
    if not (os.environ.get("KUBECONFIG") or Path("~/.kube/config").expanduser().is_file()):
        options["kubeconfig"] = "${KUBECONFIG}"
    file = next(iter(workloads.values()))
    evidence = msg(
        "{workloads} in {file}", workloads=", ".join(workloads), file=str(file.relative_to(directory))
    )
    return Detection(kind="kubernetes", options=options, evidence=evidence, confidence=0.8)


def _files(directory: Path) -> Iterator[Path]:
    count = 0
    for folder in dict.fromkeys(directory / name for name in _FOLDERS):
        for file in sorted(folder.glob("*.y*ml")) if folder.is_dir() else ():
            if file.suffix in (".yaml", ".yml") and file.is_file() and file.stat().st_size < _MOST_BYTES:
                count += 1
                if count > _MOST_FILES:
                    return
                yield file


def _documents(file: Path) -> list[str]:
    try:
        return re.split(r"^---.*$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return []
