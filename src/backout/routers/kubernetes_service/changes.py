"""What is changed in the cluster: the Service's selector, numbers of replicas, pods. Each change names what it goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backout.errors import LostRace, TargetUnreachable
from backout.kubernetes.api import FIELD_MANAGER, Api, Conflict
from backout.kubernetes.pods import is_ending
from backout.message import Message, msg
from backout.routers.kubernetes_service.labels import Labels, as_query
from backout.routers.kubernetes_service.look import Group
from backout.routers.kubernetes_service.note import MANAGER, NOTE, Note

Object = dict[str, Any]

_TRIES = 10


class Changes:
    """Changes one Service and the Deployments of its sides.

    Each is compared by the API server (resourceVersion, uid), so one whose reply was lost does nothing twice, and what somebody
    else has changed meanwhile is not written over: only the field in question counts, and not what controllers write beside it.
    """

    def __init__(self, api: Api, service: str) -> None:
        self._api, self._service = api, service

    def point(self, before: Labels, to: Labels, note: Note) -> None:
        """Give the Service another selector, and its note, in one. Idempotent.

        Args:
            before: The selector that was decided upon.
            to: The new one.
            note: What the Service has to keep.

        Raises:
            LostRace: It has another selector meanwhile.
        """
        text = note.text

        def patch(service: Object) -> Object | None:
            now = _selector(service)
            if now == to and _note(service) == text:
                return None
            if now not in (before, to):
                raise self._lost(
                    msg(
                        "Somebody else pointed service/{service} elsewhere meanwhile: it selects {now} now.",
                        service=self._service,
                        now=as_query(now) or "nothing",
                    )
                )
            return {
                "metadata": {"annotations": {NOTE: text}},
                "spec": {"selector": {**dict.fromkeys(now), **to}},
            }

        self._write("Service", self._service, patch, MANAGER)

    def note(self, note: Note) -> None:
        """Have the Service keep something else, and select what it does. Idempotent."""
        text = note.text

        def patch(service: Object) -> Object | None:
            return None if _note(service) == text else {"metadata": {"annotations": {NOTE: text}}}

        # Under another name: the time at which ours changed the selector stays.
        self._write("Service", self._service, patch, FIELD_MANAGER)

    def scale(self, side: Group, count: int) -> None:
        """Give a Deployment another number of replicas. Idempotent.

        Raises:
            LostRace: It has another number than was decided upon.
        """
        name = str(side.object["metadata"]["name"])

        def patch(deployment: Object) -> Object | None:
            now = deployment["spec"].get("replicas")
            if now == count:
                return None
            if now != side.object["spec"].get("replicas"):
                raise self._lost(
                    msg(
                        "Somebody else scaled {deployment} meanwhile: it has {now} replicas now.",
                        deployment=side.deployment,
                        now=now,
                    )
                )
            return {"metadata": {}, "spec": {"replicas": count}}

        self._write("Deployment", name, patch, FIELD_MANAGER)

    def end(self, pods: Iterable[Object]) -> None:
        """Have pods end as they do (SIGTERM, grace period); their Deployment makes others. Idempotent."""
        for pod in pods:
            if not is_ending(pod):
                meta = pod["metadata"]
                self._api.delete("Pod", str(meta["name"]), uid=str(meta["uid"]))

    def _write(self, kind: str, name: str, patch: Callable[[Object], Object | None], manager: str) -> None:
        for _ in range(_TRIES):
            found = self._api.get(kind, name)
            if found is None:
                raise TargetUnreachable(
                    msg("There is no {kind}/{name} any more.", kind=kind.lower(), name=name),
                    state=msg("Nothing was changed by this step."),
                    next_command=self._api.kubectl("get", "services,deployments"),
                )
            body = patch(found)
            if body is None:
                return
            body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            try:
                self._api.patch(kind, name, body, manager=manager)
            except Conflict:
                continue  # Our own, whose reply was lost; or somebody else's: the next look tells.
            return
        raise self._lost(
            msg("{kind}/{name} is changed by somebody else all the time.", kind=kind.lower(), name=name)
        )

    def _lost(self, what: Message) -> LostRace:
        return LostRace(
            what,
            state=msg("That change was not written over; it is the one in force."),
            next_command=self._api.kubectl("get", f"service/{self._service}", "-o", "wide"),
        )


def _selector(service: Object) -> Labels:
    return dict(service["spec"].get("selector") or {})


def _note(service: Object) -> str | None:
    found = (service["metadata"].get("annotations") or {}).get(NOTE)
    return None if found is None else str(found)
