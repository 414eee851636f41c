"""How much backout keeps in the cluster, and what of it nothing needs any more. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backout.message import Message, msg
from backout.platforms.kubernetes.releases import Deployed
from backout.platforms.kubernetes.seen import Seen
from backout.platforms.kubernetes.template import config_maps_of, copy_name, hash_of

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is kept.

    Attributes:
        unneeded: Names of ConfigMaps that neither a release that could be run nor a template in use or in history needs.
    """

    templates: int
    configs: int
    size_bytes: int
    unneeded: tuple[str, ...]

    def evidence(self, kubectl_delete: str) -> Message:
        """Say how much there is, and how what nobody needs is deleted."""
        counts: dict[str, Any] = {
            "count": self.templates + self.configs,
            "templates": self.templates,
            "configs": self.configs,
            "size": max(1, round(self.size_bytes / 1024)),
        }
        if not self.unneeded:
            return msg(
                "{count} kept ({templates} templates, {configs} contents of ConfigMaps, {size} KiB), all of them needed",
                **counts,
            )
        return msg(
            "{count} kept ({templates} templates, {configs} contents of ConfigMaps, {size} KiB); "
            "no release needs {unneeded}: {delete}",
            **counts,
            unneeded=len(self.unneeded),
            delete=f"{kubectl_delete} {' '.join(self.unneeded)}",
        )


def take_inventory(
    templates: Sequence[Object],
    configs: Sequence[Object],
    seens: Iterable[Seen],
    releases: Iterable[Deployed],
) -> Inventory:
    """Return what is kept, and what of it is needed by nothing.

    Args:
        templates: The ConfigMaps that hold templates; their names end in the hash.
        configs: The copies of ConfigMaps.
        seens: The workloads as they stand: what their templates and histories refer to is needed.
        releases: Every release that could be run.
    """
    hashes, copies = _needed(seens, releases)
    unneeded = [n for n in map(_name, templates) if n.rpartition("-")[2] not in hashes]
    unneeded += [n for n in map(_name, configs) if n not in copies]
    return Inventory(
        templates=len(templates),
        configs=len(configs),
        size_bytes=sum(_size(one) for one in (*templates, *configs)),
        unneeded=tuple(sorted(unneeded)),
    )


def _needed(seens: Iterable[Seen], releases: Iterable[Deployed]) -> tuple[Collection[str], Collection[str]]:
    """Return hashes of templates, and names of copies of ConfigMaps."""
    hashes: set[str] = set()
    copies: set[str] = set()
    for release in releases:
        hashes |= set(release.templates.values())
        copies |= {copy_name(name, content) for name, content in (release.configs or {}).items()}
    for seen in seens:
        for template in (seen.object["spec"]["template"], *(r.template for r in seen.revisions)):
            hashes.add(hash_of(template))
            copies |= set(config_maps_of(template))
    return hashes, copies


def _name(one: Object) -> str:
    return str(one["metadata"]["name"])


def _size(one: Object) -> int:
    return sum(
        len(key) + len(value)
        for part in ("data", "binaryData")
        for key, value in (one.get(part) or {}).items()
    )
