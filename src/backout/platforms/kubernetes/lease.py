"""The lease in the cluster: a coordination.k8s.io Lease whose annotation says all, compared by resourceVersion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from backout.errors import LeaseLost
from backout.faults import fault_point
from backout.kubernetes.api import Api, Conflict
from backout.message import msg
from backout.plan.base import Acting
from backout.platforms.base import Lease
from backout.platforms.kubernetes.names import MANAGED_BY, SERVICE, label_value, object_name

Object = dict[str, Any]

_LEASE = "backout/lease"
_READ_S = 5.0


class ClusterLease:
    """Keeps the lease.

    Args:
        stamp: Writes a new owner's generation on the workloads: what an earlier owner read of them is then old,
            and its write refused by the API server.
    """

    def __init__(self, api: Api, service: str, stamp: Callable[[int], None]) -> None:
        self._api, self._service, self._stamp = api, service, stamp

    @property
    def _name(self) -> str:
        return object_name(self._service)

    def read(self) -> Lease | None:
        """Return the lease as it stands, or None when there never was one."""
        found = self._api.get("Lease", self._name, patience_s=_READ_S)
        return _lease_in(found) if found is not None else None

    def swap(self, expected_generation: int | None, lease: Lease) -> bool:
        """Write the lease if the stored generation is the expected one; compared by the API server. Atomic."""
        there = self._api.get("Lease", self._name)
        stored = _lease_in(there) if there is not None else None
        if (stored.generation if stored else None) != expected_generation:
            return False
        fault_point("kubernetes.lease.before")
        if there is None:
            if self._api.create("Lease", self._body(lease)) is None:
                return False
        else:
            try:
                self._api.replace("Lease", {**there, **self._body(lease, there["metadata"])})
            except Conflict:
                return False
        if lease.generation != expected_generation:
            self._stamp(lease.generation)
        return True

    def _body(self, lease: Lease, meta: Object | None = None) -> Object:
        meta = meta or {"name": self._name, "labels": {**MANAGED_BY, SERVICE: label_value(self._service)}}
        annotations = {**(meta.get("annotations") or {}), _LEASE: lease.model_dump_json()}
        seconds = max(1, round((lease.expires_at - lease.acquired_at).total_seconds()))
        return {
            "metadata": {**meta, "annotations": annotations},
            # For `kubectl get lease`; what counts is the annotation.
            "spec": {
                "holderIdentity": lease.holder if lease.run else "",
                "leaseDurationSeconds": seconds,
                "leaseTransitions": lease.generation,
            },
        }


def need_generation(api: Api, service: str, acting: Acting) -> None:
    """Raise `LeaseLost` if the lease at the target has a newer owner than this process."""
    acting.fence.check()
    need_newest(api, service, acting.fence.generation)


def need_newest(api: Api, service: str, generation: int) -> None:
    """Raise `LeaseLost` if the lease at the target has a newer number than this one."""
    stored = ClusterLease(api, service, lambda _generation: None).read()
    if stored is not None and stored.generation > generation:
        raise LeaseLost(
            msg("{holder} took over: its lease is number {generation}", holder=stored.holder, generation=stored.generation),
            state=msg("This process changed nothing more."),
            next_command="backout",
        )  # fmt: skip


def _lease_in(found: Object) -> Lease | None:
    text = (found["metadata"].get("annotations") or {}).get(_LEASE)
    try:
        return Lease.model_validate_json(text) if text else None
    except ValidationError:
        return None
