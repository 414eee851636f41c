"""What a person types at the Service: kubectl commands that do the same."""

from __future__ import annotations

import json
from collections.abc import Mapping

from backout.kubernetes.api import Api
from backout.routers.kubernetes_service.labels import Labels, as_query
from backout.routers.kubernetes_service.note import NOTE, Note


class Typed:
    """Commands for one Service.

    Args:
        api: Knows context and namespace.
        service: Its name.
    """

    def __init__(self, api: Api, service: str) -> None:
        self._api, self._service = api, f"service/{service}"

    @property
    def look(self) -> str:
        """Shows what it selects."""
        return self._api.kubectl("get", self._service, "-o", "wide")

    def select(self, selector: Labels) -> str:
        """Gives it another selector, whatever it has."""
        patch = [{"op": "replace", "path": "/spec/selector", "value": selector}]
        return self._api.kubectl("patch", self._service, "--type=json", "-p", json.dumps(patch))

    def one_side(self, deployment: str, selector: Labels, replicas: int | None) -> tuple[str, ...]:
        """Sends all to one Deployment; with a number of replicas it is scaled afterwards: stopping the others does not wait."""
        up = self._api.kubectl("get", deployment) + "   # READY must not begin with 0"
        scale = (self._api.kubectl("scale", deployment, f"--replicas={replicas}"),) if replicas else ()
        return (up, self.select(selector), *scale)

    def all_sides(self, counts: Mapping[str, int], selector: Labels) -> tuple[str, ...]:
        """Divides by replicas, by Deployment: who gets most is scaled first."""
        most_first = sorted(counts, key=lambda name: -counts[name])
        return (
            *(
                command
                for name in most_first
                for command in (
                    self._api.kubectl("scale", name, f"--replicas={counts[name]}"),
                    self._api.kubectl("rollout", "status", name, "--timeout=120s"),
                )
            ),
            self.select(selector),
        )

    def hold(self, before: Labels, maintenance: Labels, sides: tuple[Labels, ...]) -> tuple[str, ...]:
        """Points it to maintenance, and ends the pods that kept connections are with."""
        note = f"{NOTE}={Note(held=before).text}"
        return (
            self._api.kubectl("annotate", "--overwrite", self._service, note),
            self.select(maintenance),
            *(self._api.kubectl("delete", "pod", "-l", as_query(labels)) for labels in sides),
        )

    def release(self, before: Labels | None) -> tuple[str, ...]:
        """Points it back; where nothing tells to what, the annotation is shown that may."""
        if before is None:
            return (self._api.kubectl("get", self._service, "-o", "yaml") + f"   # annotation {NOTE}: held",)
        return (self.select(before), self._api.kubectl("annotate", self._service, f"{NOTE}-"))
