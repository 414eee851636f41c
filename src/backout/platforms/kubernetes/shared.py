"""ConfigMaps that several backouts may write: changed by compare-and-set, made where they are not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backout.faults import fault_point
from backout.kubernetes.api import Api, Conflict
from backout.platforms.kubernetes.names import labels

_TRIES = 5

Data = dict[str, str]


def change(api: Api, service: str, kind: str, name: str, edit: Callable[[Mapping[str, str]], Data]) -> bool:
    """Write what `edit` makes of the data that is there; nothing where that changes nothing. Idempotent if `edit` is.

    Args:
        api: The cluster.
        service: Whose it is.
        kind: What it keeps, for its label and the fault points.
        name: Of the ConfigMap.
        edit: Returns the new data; called again when somebody else was faster.

    Returns:
        False: somebody else changes it all the time; nothing was written.
    """
    for _ in range(_TRIES):
        there: dict[str, Any] | None = api.get("ConfigMap", name)
        before = (there or {}).get("data") or {}
        data = edit(before)
        if data == before:
            return True
        fault_point(f"kubernetes.{kind}.before")
        try:
            if there is not None:
                written: object = api.replace("ConfigMap", {**there, "data": data})
            else:
                meta = {"name": name, "labels": labels(service, kind)}
                written = api.create("ConfigMap", {"metadata": meta, "data": data})
        except Conflict:
            continue
        if written is not None:
            fault_point(f"kubernetes.{kind}.after")
            return True
    return False
