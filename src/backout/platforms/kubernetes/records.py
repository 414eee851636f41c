"""Release records in the cluster: one ConfigMap for each, with what the release is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from backout.kubernetes.api import Api, Conflict
from backout.message import msg
from backout.platforms.kubernetes.names import RELEASE, object_name, selector
from backout.platforms.kubernetes.releases import Deployed
from backout.platforms.kubernetes.shared import change
from backout.release import Release

Object = dict[str, Any]

_RELEASE, _DEPLOYED = "release.json", "deployed.json"


class Records:
    """Reads and writes them.

    Args:
        keep: Keeps what the release of that ref is made of, and returns it; None: it does not run.
    """

    def __init__(self, api: Api, service: str, keep: Callable[[str], Deployed | None]) -> None:
        self._api, self._service, self._keep = api, service, keep

    def read_records(self) -> tuple[Release, ...]:
        """Return the records, oldest first; unreadable ones are left out."""
        found = [r for one in self._all() if (r := _read(one, _RELEASE, Release)) is not None]
        return tuple(sorted(found, key=lambda r: (r.deployed_at, r.id)))

    def read_deployed(self, patience_s: float) -> tuple[Deployed, ...]:
        """Return what the recorded releases are made of, newest first."""
        found = [
            (release.deployed_at, deployed)
            for one in self._all(patience_s)
            if (release := _read(one, _RELEASE, Release)) is not None
            and (deployed := _read(one, _DEPLOYED, Deployed)) is not None
        ]
        return tuple(d for _, d in sorted(found, key=lambda pair: pair[0], reverse=True))

    def write_record(self, release: Release) -> None:
        """Add or replace one record; while the release runs, what it is made of is kept with it. Atomic."""
        ref = release.artefact.ref if release.artefact is not None else None
        deployed = self._keep(ref) if ref is not None else None
        name = object_name(self._service, RELEASE, release.id)

        def edit(before: Mapping[str, str]) -> dict[str, str]:
            data = {**before, _RELEASE: release.model_dump_json()}
            known = _read({"data": data}, _DEPLOYED, Deployed)
            # What was known in full when it was deployed stands: its ConfigMaps may have been edited since.
            if deployed is not None and (known is None or known.ref != deployed.ref or known.digest is None):
                data[_DEPLOYED] = deployed.model_dump_json()
            return data

        if change(self._api, self._service, RELEASE, name, edit):
            return
        raise Conflict(
            msg("The record {name} is changed by somebody else all the time", name=name),
            state=msg("The record in the cluster is an older one; the state file has the new one."),
            next_command="backout record",
        )

    def _all(self, patience_s: float = 5.0) -> list[Object]:
        return self._api.list("ConfigMap", selector(self._service, RELEASE), patience_s=patience_s)


def _read(one: Object, key: str, kind: Any) -> Any:
    try:
        return kind.model_validate(json.loads((one.get("data") or {})[key]))
    except (KeyError, ValueError, ValidationError):
        return None
