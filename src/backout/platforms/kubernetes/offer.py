"""An image that no release is made of yet, as `kubectl set image` would bring it: everything else stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backout.message import Message
from backout.observed import OfferedImage, Workload
from backout.platforms.abilities import Offer
from backout.platforms.kubernetes.images import (
    containers_with,
    digest_seen,
    in_full,
    is_image,
    same_image,
    with_images,
)
from backout.platforms.kubernetes.registry import digest_at_registry
from backout.platforms.kubernetes.releases import Deployed, Made, ref_of
from backout.platforms.kubernetes.seen import Seen
from backout.platforms.kubernetes.template import (
    VERSION_LABEL,
    Template,
    copy_hash,
    hash_of,
    images_of,
    original_of,
    pinned,
    secrets_of,
    tag_of,
    version_of,
)

if TYPE_CHECKING:
    from backout.platforms.kubernetes.cluster import View
    from backout.platforms.kubernetes.platform import KubernetesPlatform

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?")


def offer(platform: KubernetesPlatform, workload: Workload, name: str, patience_s: float) -> Offer | None:
    """Return the release that an image is of, else one made of what runs now with that image; None: it names no image.

    The image goes into the first workload's first container, and into every container that runs the same image
    as that one now: a container that migrates before, a worker.
    """
    if not is_image(name):
        return None
    view = platform.cluster.view(patience_s)
    current = _first_image(view.seens[0].object["spec"]["template"])
    image = in_full(name, current)
    known, unknown = _release_with(platform, view, image), None
    if known is None and pinned(image) is None:
        image, unknown = _resolved(platform, image, patience_s)
        known = _release_with(platform, view, image)
    if known is not None:
        return Offer(artefact=known.artefact, workload=workload, image=None)
    made = _made(view, current, image, pinned(image))
    releases: Any = workload.detail["releases"]
    detail = {**workload.detail, "releases": {**releases, made.ref: made.model_dump(mode="json")}}
    told = OfferedImage(image=image, instead_of=current, by_tag=unknown)
    return Offer(artefact=made.artefact, workload=workload.model_copy(update={"detail": detail}), image=told)


def _resolved(platform: KubernetesPlatform, image: str, patience_s: float) -> tuple[str, Message | None]:
    """Return the image with the digest that pods, else the registry, tell of its tag; or as it is, and why."""
    seen = digest_seen(image, platform.api.list("Pod", patience_s=patience_s))
    if seen is not None:
        return f"{image}@{seen}", None
    told = digest_at_registry(image, platform.site.environ, platform.site.redactor)
    return (image, told) if isinstance(told, Message) else (f"{image}@{told}", None)


def _release_with(platform: KubernetesPlatform, view: View, image: str) -> Deployed | None:
    """Return the newest release whose first container is this image, by its name or its digest."""
    first = view.seens[0]
    for release in view.releases:
        template = platform.cluster.template(first, release.templates[first.workload.text])
        if template is None:
            continue
        container = str(template["spec"]["containers"][0]["name"])
        digest = release.images.get(first.workload.text, {}).get(container)
        if same_image(_first_image(template), image) or (digest is not None and digest == pinned(image)):
            return release
    return None


def _made(view: View, current: str, image: str, digest: str | None) -> Deployed:
    version = tag_of(image)
    made: dict[str, Made] = {}
    templates: dict[str, str] = {}
    images: dict[str, dict[str, str]] = {}
    called = version
    for seen in view.seens:
        name, template = seen.workload.text, seen.object["spec"]["template"]
        containers = containers_with(template, current)
        images[name] = _images(view.live.images.get(name, {}), containers, digest)
        templates[name] = seen.wanted
        if containers:
            label = version if _may_label(seen, version) else None
            made[name] = Made(
                base=seen.wanted,
                images=dict.fromkeys(containers, image),
                label=label,
                secrets={original_of(n): h for n in secrets_of(template) if (h := copy_hash(n))},
            )
            whole = with_images(template, made[name].images, label)
            templates[name] = hash_of(whole)
            called = version_of(whole) if seen is view.seens[0] else called
    return Deployed(
        ref=ref_of(called, templates),
        version=called,
        templates=templates,
        images=images,
        configs=view.live.configs,
        secrets=view.live.secrets,
        made=made,
    )


def _images(now: Mapping[str, str], changed: Sequence[str], digest: str | None) -> dict[str, str]:
    """Return what is known of the images afterwards."""
    kept = {name: own for name, own in now.items() if name not in changed}
    return kept | (dict.fromkeys(changed, digest) if digest else {})


def _may_label(seen: Seen, version: str) -> bool:
    """Whether the version label can say the version: a selector that has it must not be left."""
    selected = seen.object["spec"]["selector"]
    expressions = {one["key"] for one in selected.get("matchExpressions") or ()}
    return (
        VERSION_LABEL not in (selected.get("matchLabels") or {})
        and VERSION_LABEL not in expressions
        and _LABEL_VALUE.fullmatch(version) is not None
    )


def _first_image(template: Template) -> str:
    return images_of({"spec": {"containers": template["spec"]["containers"][:1]}}).popitem()[1]
