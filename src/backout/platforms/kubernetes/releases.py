"""Releases of a service that has several workloads: which templates belong together, and what they are called. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from backout.document import Document, digest_of
from backout.platforms.kubernetes.seen import Revision, Seen, image_ids
from backout.platforms.kubernetes.template import images_of, pinned, version_of
from backout.release import Artefact


class Made(Document):
    """How the template of one workload is made that nothing has yet.

    Attributes:
        base: Hash of the template that it is made from.
        images: Image by container that takes the place of the one there.
        label: What the version label says; null: it is left as it is.
        secrets: Fingerprint by Secret of which it has a kept copy now, and keeps it.
    """

    base: str
    images: dict[str, str]
    label: str | None = None
    secrets: dict[str, str] = {}


class Prints(Document):
    """Fingerprints of Secrets under one key.

    Attributes:
        key: Which key: fingerprints under another one tell nothing.
        found: By Secret.
        kept: Those of which a copy is kept, named by the fingerprint.
    """

    key: str
    found: dict[str, str] = {}
    kept: tuple[str, ...] = ()


class Deployed(Document):
    """What a release is made of, in full.

    Attributes:
        ref: Version and the first digits of a hash over all templates: the same for the same templates.
        version: As the first workload's template calls it.
        templates: Hash of the template by workload (``deployment/web``).
        images: ``sha256:…`` by container by workload, as pods were seen to run them; empty where none was.
        configs: Hash of the content by ConfigMap that the templates refer to; null: it was not looked at.
        secrets: Names of the Secrets that the templates refer to.
        prints: Fingerprints of those Secrets that are listed to be looked at; null: none could be.
        since: When the first workload got its template.
        made: By workload, how its template is made; empty: each is in the history, or kept.
    """

    ref: str
    version: str
    templates: dict[str, str]
    images: dict[str, dict[str, str]] = {}
    configs: dict[str, str] | None = None
    secrets: tuple[str, ...] = ()
    prints: Prints | None = None
    since: datetime | None = None
    made: dict[str, Made] = {}

    @property
    def digest(self) -> str | None:
        """``sha256:…`` of templates and images; None where an image is not known: its tag may have been moved since."""
        if not all(self.images.get(workload) for workload in self.templates):
            return None
        return digest_of({"templates": self.templates, "images": self.images})

    @property
    def artefact(self) -> Artefact:
        """As the platform lists it: without the digest."""
        return Artefact(ref=self.ref, since=self.since, version=self.version)


def ref_of(version: str, templates: Mapping[str, str]) -> str:
    """Return the name of these templates together."""
    hashes = list(templates.values())
    own = hashes[0] if len(hashes) == 1 else digest_of(dict(templates)).partition(":")[2]
    return f"{version}+{own[:8]}"


def live(seens: Sequence[Seen], configs: dict[str, str] | None, secrets: tuple[str, ...] = ()) -> Deployed:
    """Return what the workloads are told to run now; images as far as ready pods agree on them."""
    templates = {s.workload.text: s.wanted for s in seens}
    version = version_of(seens[0].object["spec"]["template"])
    images = {s.workload.text: running_images(s) for s in seens}
    return Deployed(
        ref=ref_of(version, templates),
        version=version,
        templates=templates,
        images={workload: found for workload, found in images.items() if found},
        configs=configs,
        secrets=secrets,
        since=_since(seens[0], seens[0].wanted),
    )


def running_images(seen: Seen) -> dict[str, str]:
    """Return ``sha256:…`` by container of the wanted template, where it is pinned or every ready pod says the same."""
    containers = images_of(seen.object["spec"]["template"])
    told = [image_ids(p) for p in seen.ready if seen.hash_of_pod(p) == seen.wanted]
    found: dict[str, str] = {}
    for name, image in containers.items():
        digests = {pods[name] for pods in told if name in pods}
        if len(digests) == 1:
            found[name] = digests.pop()
        elif not digests and (digest := pinned(image)):
            found[name] = digest
    return found if set(found) == set(containers) else {}


def known(seens: Sequence[Seen], recorded: Sequence[Deployed], now: Deployed) -> tuple[Deployed, ...]:
    """Return every release that could be run, the live one first, then newest first, each ref once.

    What was recorded is believed. Of the rest only the first workload's history tells; for the others that
    revision is taken which is called the same, else the one that they have now, if they never had another.
    """
    by_ref = {now.ref: now}
    for one in recorded:
        if set(one.templates) == set(now.templates):
            there = by_ref.get(one.ref)
            by_ref[one.ref] = _better(there, one) if there else one
    known_hashes = {d.templates[seens[0].workload.text] for d in by_ref.values()}
    for revision in seens[0].revisions:
        if revision.hash in known_hashes and len(seens) == 1:
            continue
        templates = _together(revision, seens)
        if templates is None:
            continue
        version = version_of(revision.template)
        ref = ref_of(version, templates)
        by_ref.setdefault(
            ref,
            Deployed(
                ref=ref,
                version=version,
                templates=templates,
                images=_pinned(templates, seens),
                since=revision.created,
            ),
        )
    rest = [d for d in by_ref.values() if d.ref != now.ref]
    rest.sort(key=lambda d: (d.since is not None, d.since), reverse=True)
    return (by_ref[now.ref], *rest)


def running(seens: Sequence[Seen], releases: Sequence[Deployed]) -> tuple[str, ...]:
    """Return the refs of what pods really run, each once; what no release has is named by its hash."""
    found: dict[str, None] = {}
    for seen in seens:
        for pod in seen.acting:
            own = seen.hash_of_pod(pod)
            match = next((d.ref for d in releases if d.templates.get(seen.workload.text) == own), None)
            found[match or f"unknown+{(own or '')[:8]}"] = None
    return tuple(found)


def _better(live: Deployed, recorded: Deployed) -> Deployed:
    """Of the live release the record knows when it came, and what is not seen while its pods are not ready."""
    return live.model_copy(
        update={
            "images": {**recorded.images, **live.images},
            "since": recorded.since or live.since,
            "prints": recorded.prints,
        }
    )


def _together(revision: Revision, seens: Sequence[Seen]) -> dict[str, str] | None:
    """Return the templates that ran together with a revision of the first workload; None: nobody can tell."""
    templates = {seens[0].workload.text: revision.hash}
    for seen in seens[1:]:
        same = [r for r in seen.revisions if version_of(r.template) == version_of(revision.template)]
        if same:
            templates[seen.workload.text] = same[0].hash
        elif len({r.hash for r in seen.revisions} | {seen.wanted}) == 1:
            templates[seen.workload.text] = seen.wanted
        else:
            return None
    return templates


def _pinned(templates: Mapping[str, str], seens: Sequence[Seen]) -> dict[str, dict[str, str]]:
    """Return the images of the workloads whose templates name every image by its digest."""
    found: dict[str, dict[str, str]] = {}
    for seen in seens:
        hash = templates[seen.workload.text]
        template = next((r.template for r in seen.revisions if r.hash == hash), {})
        images = {name: pinned(image) for name, image in images_of(template).items()}
        known = {name: digest for name, digest in images.items() if digest}
        if known and len(known) == len(images):
            found[seen.workload.text] = known
    return found


def _since(seen: Seen, hash: str) -> datetime | None:
    return next((r.created for r in seen.revisions if r.hash == hash), None)
