"""Pod templates: which one it is, what it is called, and what it refers to. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from backout.document import digest_of

Template = dict[str, Any]
_Reference = tuple[str, str, dict[str, Any], str]

RESTARTED = "backout/restarted"
"""Annotation on a template: which step restarted it."""
VERSION_LABEL = "app.kubernetes.io/version"
"""Source: kubernetes.io, "Recommended Labels"."""

_NOT_CONTENT = ("pod-template-hash", "controller-revision-hash", "pod-template-generation")
"""Labels that controllers add. Source: k8s.io/api/apps/v1 v0.35."""
_RESTARTS = (RESTARTED, "kubectl.kubernetes.io/restartedAt")
_COPY = re.compile(r"(?P<name>.+)\.backout\.(?P<hash>[0-9a-f]{16})")


def normal(template: Template) -> Template:
    """Return the template as its author meant it: without what controllers and restarts add.

    References to kept copies of a ConfigMap or Secret are references to itself again.
    """
    whole = renamed(template, original_of, original_of)
    whole.pop("$patch", None)  # ControllerRevisions carry it
    meta = {k: v for k, v in (whole.get("metadata") or {}).items() if k in ("labels", "annotations")}
    meta["labels"] = {k: v for k, v in (meta.get("labels") or {}).items() if k not in _NOT_CONTENT}
    meta["annotations"] = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in _RESTARTS}
    whole["metadata"] = {k: v for k, v in meta.items() if v}
    return whole


def hash_of(template: Template) -> str:
    """Return 16 hex digits that are the same for the same meaning, whichever object holds the template."""
    return digest_of(normal(template)).partition(":")[2][:16]


def version_of(template: Template) -> str:
    """Return what people call it: the version label, else the first container's tag, else its digest."""
    label = ((template.get("metadata") or {}).get("labels") or {}).get(VERSION_LABEL)
    if label:
        return str(label)
    containers = (template.get("spec") or {}).get("containers") or [{}]
    return tag_of(str(containers[0].get("image", "")))


def tag_of(image: str) -> str:
    """Return the tag of ``host:5000/a/b:5.3.0@sha256:…``; without one the first digits of the digest."""
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    if colon:
        return tag
    return digest.partition(":")[2][:12] if digest else "latest"


def pinned(image: str) -> str | None:
    """Return ``sha256:…`` of an image that is named by its digest."""
    return image.partition("@")[2] or None


def images_of(template: Template) -> dict[str, str]:
    """Return the image by container, those that run before the others included."""
    spec = template.get("spec") or {}
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return {str(c["name"]): str(c.get("image", "")) for c in containers}


def config_maps_of(template: Template) -> tuple[str, ...]:
    """Return the names of the ConfigMaps that it refers to, each once."""
    return tuple(dict.fromkeys(name for kind, name, _, _ in _references(template) if kind == "ConfigMap"))


def secrets_of(template: Template) -> tuple[str, ...]:
    """Return the names of the Secrets that it refers to, each once."""
    return tuple(dict.fromkeys(name for kind, name, _, _ in _references(template) if kind == "Secret"))


def renamed(
    template: Template, config_map: Callable[[str], str], secret: Callable[[str], str] | None = None
) -> Template:
    """Return a copy in which every ConfigMap is called what `config_map` says, and every Secret what `secret` says."""
    whole = copy.deepcopy(template)
    for kind, name, place, key in _references(whole):
        new_name = config_map if kind == "ConfigMap" else secret
        if new_name is not None:
            place[key] = new_name(name)
    return whole


def copy_name(name: str, content_hash: str) -> str:
    """Return the name of the immutable copy of a ConfigMap's or Secret's content."""
    return f"{original_of(name)}.backout.{content_hash}"


def original_of(name: str) -> str:
    """Return the ConfigMap or Secret that a copy is one of; any other name is its own."""
    found = _COPY.fullmatch(name)
    return found["name"] if found else name


def copy_hash(name: str) -> str | None:
    """Return which content a copy has, by its name; None: it is no copy."""
    found = _COPY.fullmatch(name)
    return found["hash"] if found else None


def content_hash(config_map: dict[str, Any]) -> str:
    """Return 16 hex digits of a ConfigMap's content."""
    parts = {key: config_map.get(key) or {} for key in ("data", "binaryData")}
    return digest_of(parts).partition(":")[2][:16]


def _references(template: Template) -> Iterator[_Reference]:
    """Yield kind, name, and the mapping that holds the name under a key, of what the template refers to.

    Source: k8s.io/api/core/v1 v0.35, EnvFromSource, EnvVarSource, VolumeSource, VolumeProjection.
    """
    spec = template.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        sources = [(s, "configMapRef", "secretRef") for s in container.get("envFrom") or ()]
        sources += [
            (e.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef") for e in container.get("env") or ()
        ]
        for source, config_map, secret in sources:
            yield from _named(source, config_map, secret)
    for volume in spec.get("volumes") or ():
        yield from _named(volume, "configMap", "-")
        if volume.get("secret"):
            yield "Secret", str(volume["secret"].get("secretName")), volume["secret"], "secretName"
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(source, "configMap", "secret")


def _named(source: dict[str, Any], config_map: str, secret: str) -> Iterator[_Reference]:
    for key, kind in ((config_map, "ConfigMap"), (secret, "Secret")):
        place = source.get(key)
        if isinstance(place, dict) and place.get("name"):
            yield kind, str(place["name"]), place, "name"
