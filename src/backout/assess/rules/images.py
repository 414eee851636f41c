"""Rules about an image that was named instead of a release."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import msg
from backout.plan.model import Finding, Severity


def new_image(case: Case) -> Iterator[Finding]:
    """An image is named that no release is made of: everything else stays as it is now."""
    offered = case.facts.offered
    if offered is not None:
        yield Finding(
            rule="image.new",
            severity=Severity.INFO,
            evidence=msg(
                "{image} takes the place of {current}; everything else stays as it is now.",
                image=offered.image,
                current=offered.instead_of,
            ),
        )


def by_tag(case: Case) -> Iterator[Finding]:
    """The image is named by a tag alone: what stands behind it can be another one by the time it is fetched."""
    offered = case.facts.offered
    if offered is not None and offered.by_tag is not None:
        yield Finding(
            rule="image.by-tag",
            severity=Severity.NEEDS_APPROVAL,
            evidence=msg(
                "{image} is a tag, which can be moved: no record and no pod tells which image it is, and {why}.",
                image=offered.image,
                why=str(offered.by_tag),
            ),
            remedy=msg("Name it by its digest (NAME@sha256:…), or name the risk: --accept image-by-tag."),
            accept="image-by-tag",
        )


RULES = (new_image, by_tag)
