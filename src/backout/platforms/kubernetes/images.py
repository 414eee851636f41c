"""Names of images, and a template with another image in it. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping

from backout.platforms.kubernetes.template import VERSION_LABEL, Template, images_of, normal, pinned, tag_of

_IMAGE = re.compile(
    r"(?P<repository>([a-zA-Z0-9]+([.-]+[a-zA-Z0-9]+)*(:\d+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)"
    r"(:(?P<tag>[\w][\w.-]{0,127}))?(@sha256:[0-9a-f]{64})?"
)
"""Source: github.com/distribution/reference v0.6, regexp.go and normalize.go."""


def is_image(name: str) -> bool:
    """Return whether a name is that of an image: with a tag, a digest or a path; a bare word is a version."""
    return any(sign in name for sign in ":/@") and _IMAGE.fullmatch(name) is not None


def repository_of(image: str) -> str:
    """Return the image without tag and digest, in full: ``docker.io/library/collector``."""
    found = _IMAGE.fullmatch(image)
    name = found["repository"] if found else image.partition("@")[0]
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{head}{rest}"


def in_full(name: str, current: str) -> str:
    """Return what is meant by a name: without a path it is the repository of the image that runs now, if that is called so.

    ``collector:1.2.3`` is ``registry.example.com/team/collector:1.2.3`` where that runs; anywhere else it is itself.
    """
    own = name.partition("@")[0].partition(":")[0]
    runs = _IMAGE.fullmatch(current)
    if "/" in name or runs is None or runs["repository"].rpartition("/")[2] != own:
        return name
    return runs["repository"] + name[len(own) :]


def same_image(one: str, other: str) -> bool:
    """Return whether two names mean the same image: by digest, else by repository and tag."""
    if repository_of(one) != repository_of(other):
        return False
    if pinned(one) and pinned(other):
        return pinned(one) == pinned(other)
    return pinned(one) is None and pinned(other) is None and tag_of(one) == tag_of(other)


def digest_seen(image: str, pods: Iterable[Mapping[str, object]]) -> str | None:
    """Return ``sha256:…`` of an image as pods say that they run it; None: none does, or they do not agree.

    A container runtime that was given the image from a file knows no digest that could be pulled: that does not count.
    """
    told: set[str] = set()
    for pod in pods:
        asked = images_of(dict(pod))
        status = pod.get("status")
        for one in (status.get("containerStatuses") or ()) if isinstance(status, dict) else ():
            name, at, digest = str(one.get("imageID") or "").rpartition("@")
            name = name.rpartition("://")[2]
            if at and same_image(asked.get(str(one["name"]), ""), image):
                told |= {digest} if repository_of(name) == repository_of(image) else set()
    return told.pop() if len(told) == 1 else None


def containers_with(template: Template, image: str) -> tuple[str, ...]:
    """Return the containers that run exactly this image, those that run before the others included."""
    return tuple(name for name, own in images_of(template).items() if own == image)


def with_images(template: Template, images: Mapping[str, str], version: str | None) -> Template:
    """Return the template as its author meant it, with other images in some containers.

    Args:
        template: The one that it is made from.
        images: By container.
        version: What the version label is to say, if there is one; None: it is left as it is.
    """
    whole = copy.deepcopy(normal(template))
    spec = whole["spec"]
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        container["image"] = images.get(container["name"], container.get("image", ""))
    labels = whole.get("metadata", {}).get("labels") or {}
    if version is not None and VERSION_LABEL in labels:
        labels[VERSION_LABEL] = version
    return whole
