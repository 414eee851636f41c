"""What becomes of the listed Secrets on the way to a release. Pure: everything stands in the workload that was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backout.document import Json
from backout.observed import SecretChange, Workload
from backout.platforms.kubernetes.releases import Deployed
from backout.release import Artefact

if TYPE_CHECKING:
    from backout.platforms.kubernetes.options import SecretsOptions
    from backout.platforms.kubernetes.secrets import Look


def secret_facts(look: Look, options: SecretsOptions) -> dict[str, Json]:
    """Return what a plan has to know of the listed Secrets, as `Workload.detail` keeps it: no content."""
    return {
        "key": look.prints.key if look.prints else None,
        "now": dict(look.prints.found) if look.prints else {},
        "owned": dict(look.owned),
        "listed": list(options.listed),
        "keep": list(options.keep),
    }


def secret_changes(workload: Workload, to: Artefact) -> tuple[SecretChange, ...]:
    """Return the listed Secrets of a release that are others now, or of which that cannot be told."""
    facts = _facts(workload)
    release = _release(workload, to.ref)
    if release is None or release.made or (workload.wanted and workload.wanted.ref == to.ref):
        return ()
    back = restored(workload, release)
    found: list[SecretChange] = []
    for name in facts["listed"]:
        same = _same(facts, release, name)
        if name not in release.secrets or same:
            continue
        owner = facts["owned"].get(name)
        if name in back:
            found.append(SecretChange(name=name, how="restored"))
        elif same is None:
            found.append(SecretChange(name=name, how="unknown"))
        elif owner is not None and name in facts["keep"]:
            found.append(SecretChange(name=name, how="owned", owner=owner))
        else:
            found.append(SecretChange(name=name, how="changed"))
    return tuple(found)


def restored(workload: Workload, release: Deployed) -> dict[str, str]:
    """Return the fingerprint of the copy that takes a Secret's place, for those that are others now and come back."""
    if release.made:
        return {name: print for made in release.made.values() for name, print in made.secrets.items()}
    facts = _facts(workload)
    prints = release.prints
    if prints is None:
        return {}
    wanted = (n for n in prints.kept if n in facts["keep"] and n not in facts["owned"])
    return {name: prints.found[name] for name in wanted if not _same(facts, release, name)}


def _same(facts: dict[str, Any], release: Deployed, name: str) -> bool | None:
    """Return whether a Secret is what the release had; None: it cannot be told."""
    prints, now = release.prints, facts["now"].get(name)
    if prints is None or prints.key != facts["key"] or now is None or name not in prints.found:
        return None
    return bool(prints.found[name] == now)


def _facts(workload: Workload) -> dict[str, Any]:
    facts: Any = workload.detail.get("secrets")
    return facts or {"key": None, "now": {}, "owned": {}, "listed": [], "keep": []}


def _release(workload: Workload, ref: str) -> Deployed | None:
    releases: Any = workload.detail.get("releases") or {}
    return Deployed.model_validate(releases[ref]) if ref in releases else None
