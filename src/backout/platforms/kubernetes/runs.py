"""Runs in the cluster: the events of one in a ConfigMap, or in several where it outgrows one."""

from __future__ import annotations

import base64
import binascii
import gzip
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backout.errors import JournalTampered
from backout.faults import fault_point
from backout.kubernetes.api import PATIENCE_S, Api, Conflict
from backout.message import msg
from backout.platforms.keeping import RunEvent
from backout.platforms.kubernetes.names import RUN, label_value, labels, object_name, selector

Object = dict[str, Any]

NEWEST, COUNT, PART = "backout/newest", "backout/events", "backout/part"
"""Annotations: identity of the newest event, how many there are up to here, which part of the run this is."""
FULL = "backout/full"
"""Annotation on a part that another one follows: writing it makes what anybody read of the part old."""
OF_RUN = "backout/run"
MOST_BYTES = 900_000
"""Of one part. Source: k8s.io/api/core/v1 v0.35, MaxSecretSize, which validation uses for ConfigMaps: 1 MiB."""
_PACKED_FROM_BYTES = 20_000


class Runs:
    """Reads and appends; what this process read last is compared by the API server when it appends."""

    def __init__(self, api: Api, service: str) -> None:
        self._api, self._service = api, service
        self._last: dict[str, Object | None] = {}

    def heads(self, patience_s: float) -> Mapping[str, str]:
        """Return for each run the identity of its newest event."""
        listed = self._api.list(
            "ConfigMap", selector(self._service, RUN), patience_s=patience_s, only_metadata=True
        )
        newest: dict[str, tuple[int, str]] = {}
        for one in listed:
            notes = one["metadata"].get("annotations") or {}
            run = one["metadata"]["labels"].get(OF_RUN)
            if run is None:
                continue  # Nothing of ours, whatever it is called.
            found = int(notes.get(PART) or 0), str(notes.get(NEWEST))
            newest[run] = max(newest.get(run, (0, "")), found)
        return {run: head for run, (_, head) in newest.items()}

    def read(self, run: str, patience_s: float = PATIENCE_S) -> tuple[RunEvent, ...]:
        """Return a run's events; raises `JournalTampered` if they are not as they were written."""
        parts = self._parts(run, patience_s)
        events = tuple(event for part in parts for event in self._events(part))
        if parts:
            notes = parts[-1]["metadata"]["annotations"]
            whole = [_number(part) for part in parts] == list(range(1, len(parts) + 1))
            if not whole or str(len(events)) != notes.get(COUNT) or events[-1].identity != notes.get(NEWEST):
                raise self._tampered(parts[-1])
        self._last[run] = parts[-1] if parts else None
        return events

    def append(
        self, run: str, events: Sequence[RunEvent], *, after: str | None, patience_s: float = PATIENCE_S
    ) -> bool:
        """Append events if `after` is the newest one; compared by resourceVersion, part by part."""
        known = run in self._last
        part = self._last.pop(run) if known else next(reversed(self._parts(run, patience_s)), None)
        if (part["metadata"]["annotations"].get(NEWEST) if part is not None else None) != after:
            return False
        left = list(events)
        part = part or self._new(run, 1, 0)
        while left:
            filled, taken = _filled(part, left)
            written = self._write(filled, patience_s) if taken else part
            left = left[taken:]
            if written is not None and left:
                sealed = self._write(_with_notes(written, {FULL: "true"}), patience_s)
                written = self._new(run, _number(part) + 1, _count(written)) if sealed else None
            if written is None:
                return False
            part = written
        self._last[run] = part
        return True

    def _write(self, part: Object, patience_s: float) -> Object | None:
        fault_point("kubernetes.run.before")
        if "resourceVersion" not in part["metadata"]:
            written = self._api.create("ConfigMap", part, patience_s=patience_s)
        else:
            try:
                written = self._api.replace("ConfigMap", part, patience_s=patience_s)
            except Conflict:
                return None
        fault_point("kubernetes.run.after")
        return written

    def _new(self, run: str, number: int, count: int) -> Object:
        name = (self._service, RUN, run, *((str(number),) if number > 1 else ()))
        return {
            "metadata": {
                "name": object_name(*name),
                "labels": {**labels(self._service, RUN), OF_RUN: label_value(run)},
                "annotations": {PART: str(number), COUNT: str(count)},
            }
        }

    def _parts(self, run: str, patience_s: float) -> list[Object]:
        of_run = f"{selector(self._service, RUN)},{OF_RUN}={label_value(run)}"
        return sorted(self._api.list("ConfigMap", of_run, patience_s=patience_s), key=_number)

    def _events(self, part: Object) -> Iterator[RunEvent]:
        contents = {**(part.get("data") or {}), **(part.get("binaryData") or {})}
        for key in sorted(contents):
            try:
                packed = key in (part.get("binaryData") or {})
                text = gzip.decompress(base64.b64decode(contents[key])) if packed else contents[key]
                yield RunEvent.model_validate_json(text)
            except (ValueError, OSError, EOFError, binascii.Error):
                raise self._tampered(part) from None

    def _tampered(self, part: Object) -> JournalTampered:
        name = part["metadata"]["name"]
        return JournalTampered(
            msg("Run {run} in the cluster was changed (ConfigMap {name}).",
                run=part["metadata"]["labels"].get(OF_RUN), name=name),
            state=msg("Nothing was changed. What the run did cannot be told from there."),
            next_command=self._api.kubectl("get", "configmap", name, "-o", "yaml")
            + "   # repair it, or delete it to do without that run",
        )  # fmt: skip


def _filled(part: Object, events: Sequence[RunEvent]) -> tuple[Object, int]:
    """Return the part with as many events as fit, at least one if it is empty, and how many those are."""
    fields: dict[str, dict[str, str]] = {key: dict(part.get(key) or {}) for key in ("data", "binaryData")}
    used = sum(len(k) + len(v.encode()) for field in fields.values() for k, v in field.items())
    count, taken, notes = _count(part), 0, {}
    for event in events:
        field, key, value = _packed(event, count + 1)
        used += len(key) + len(value.encode())
        if FULL in part["metadata"]["annotations"] or (used > MOST_BYTES and any(fields.values())):
            break
        fields[field][key] = value
        count, taken = count + 1, taken + 1
        notes = {NEWEST: event.identity, COUNT: str(count)}
    return {**_with_notes(part, notes), **{k: v for k, v in fields.items() if v}}, taken


def _packed(event: RunEvent, number: int) -> tuple[str, str, str]:
    """Return where an event goes, under which key, and as what: plain to read, or packed if it is long."""
    text = event.model_dump_json()
    if len(text) < _PACKED_FROM_BYTES:
        return "data", f"{number:06d}.json", text
    packed = gzip.compress(text.encode(), mtime=0)
    return "binaryData", f"{number:06d}.json.gz", base64.b64encode(packed).decode()


def _with_notes(part: Object, notes: Mapping[str, str]) -> Object:
    meta = part["metadata"]
    return {**part, "metadata": {**meta, "annotations": {**meta["annotations"], **notes}}}


def _number(part: Object) -> int:
    return int((part["metadata"].get("annotations") or {}).get(PART) or 0)


def _count(part: Object) -> int:
    return int(part["metadata"]["annotations"].get(COUNT) or 0)
