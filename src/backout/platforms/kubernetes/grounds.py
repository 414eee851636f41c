"""What a judgement rests on besides records: schema documents and quarantines, in ConfigMaps."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from backout.faults import fault_point
from backout.kubernetes.api import Api, Conflict
from backout.message import msg
from backout.platforms.kubernetes.names import QUARANTINE, SCHEMA, labels, object_name, selector
from backout.platforms.kubernetes.shared import change
from backout.release import Quarantine
from backout.schema import Schema

Object = dict[str, Any]

_DOCUMENT = "schema.json.gz"
_READ_S = 2.0


class Grounds:
    """Reads and writes them."""

    def __init__(self, api: Api, service: str) -> None:
        self._api, self._service = api, service

    def read_schemas(self, fingerprints: Collection[str]) -> tuple[Schema, ...]:
        """Return the schemas of these fingerprints that are kept; one that was changed is left out."""
        names = {self._schema_name(fingerprint) for fingerprint in fingerprints}
        ours = selector(self._service, SCHEMA)
        listed = self._api.list("ConfigMap", ours, patience_s=_READ_S, only_metadata=True)
        there = sorted({str(one["metadata"]["name"]) for one in listed} & names)
        found = (self._api.get("ConfigMap", name, patience_s=_READ_S) for name in there)
        schemas = (_schema_in(one) for one in found if one is not None)
        return tuple(s for s in schemas if s is not None and s.fingerprint in fingerprints)

    def write_schema(self, schema: Schema) -> None:
        """Keep a schema under its fingerprint. Idempotent."""
        packed = gzip.compress(schema.model_dump_json().encode(), mtime=0)
        body: Object = {
            "metadata": {
                "name": self._schema_name(schema.fingerprint),
                "labels": labels(self._service, SCHEMA),
            },
            "immutable": True,
            "binaryData": {_DOCUMENT: base64.b64encode(packed).decode()},
        }
        fault_point("kubernetes.schema.before")
        self._api.create("ConfigMap", body)
        fault_point("kubernetes.schema.after")

    def read_quarantines(self) -> tuple[Quarantine, ...]:
        """Return what is quarantined; what cannot be read is left out."""
        data = (self._api.get("ConfigMap", self._name, patience_s=_READ_S) or {}).get("data") or {}
        read = (_quarantine_in(data[key]) for key in sorted(data))
        return tuple(q for q in read if q is not None)

    def write_quarantine(self, entry: Quarantine) -> None:
        """Quarantine a version. Idempotent; compared by resourceVersion."""
        self._change(entry.version, entry.model_dump_json())

    def lift_quarantine(self, version: str) -> None:
        """End a quarantine. Idempotent; compared by resourceVersion."""
        self._change(version, None)

    def _change(self, version: str, text: str | None) -> None:
        # A key may have no other signs than letters, digits, dots, dashes and underscores; a version may.
        key = f"{hashlib.sha256(version.encode()).hexdigest()[:16]}.json"

        def edit(before: Mapping[str, str]) -> dict[str, str]:
            return {k: v for k, v in before.items() if k != key} | ({key: text} if text is not None else {})

        if change(self._api, self._service, QUARANTINE, self._name, edit):
            return
        raise Conflict(
            msg("The quarantines in {name} are changed by somebody else all the time", name=self._name),
            state=msg("The cluster has the older ones; the state file has the new ones."),
            next_command=self._api.kubectl("get", "configmap", self._name, "-o", "yaml"),
        )

    @property
    def _name(self) -> str:
        return object_name(self._service, QUARANTINE)

    def _schema_name(self, fingerprint: str) -> str:
        return object_name(self._service, SCHEMA, fingerprint.rpartition(":")[2][:32])


def _schema_in(one: Object) -> Schema | None:
    try:
        return Schema.model_validate_json(
            gzip.decompress(base64.b64decode((one.get("binaryData") or {})[_DOCUMENT]))
        )
    except (KeyError, ValueError, OSError, EOFError, ValidationError):
        return None


def _quarantine_in(text: str) -> Quarantine | None:
    try:
        return Quarantine.model_validate_json(text)
    except ValidationError:
        return None
