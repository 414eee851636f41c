"""What backout keeps in the cluster that history may lose: templates and contents of ConfigMaps, never changed."""

from __future__ import annotations

import json
from typing import Any

from backout.errors import StepFailed
from backout.faults import fault_point
from backout.kubernetes.api import Api
from backout.message import msg
from backout.platforms.kubernetes.names import CONFIG, TEMPLATE, labels, object_name, selector
from backout.platforms.kubernetes.template import (
    Template,
    content_hash,
    copy_name,
    hash_of,
    normal,
    original_of,
)

Object = dict[str, Any]


class Kept:
    """Immutable objects that are named by their content: writing one twice writes it once."""

    def __init__(self, api: Api, service: str) -> None:
        self._api, self._service = api, service

    def keep_template(self, template: Template) -> str:
        """Keep a template, and return its hash. Idempotent."""
        found, name = hash_of(template), self._template_name(hash_of(template))
        if self._api.get("ConfigMap", name) is None:
            fault_point("kubernetes.keep_template.before")
            self._create(name, TEMPLATE, {"template.json": json.dumps(normal(template), sort_keys=True)})
        return found

    def template(self, hash: str) -> Template | None:
        """Return a kept template, or None."""
        found = self._api.get("ConfigMap", self._template_name(hash))
        if found is None:
            return None
        template: Template = json.loads((found.get("data") or {}).get("template.json") or "null")
        return template if template is not None and hash_of(template) == hash else None

    def keep_config(self, name: str) -> str | None:
        """Keep the content that a ConfigMap has now, and return its hash; None: there is no such ConfigMap.

        A name that is a copy already is kept already. Idempotent.
        """
        live = self._api.get("ConfigMap", name)
        if live is None:
            return None
        found = content_hash(live)
        copy = copy_name(name, found)
        if name != copy and self._api.get("ConfigMap", copy) is None:
            content = {key: live[key] for key in ("data", "binaryData") if live.get(key)}
            fault_point("kubernetes.keep_config.before")
            self._create(copy, CONFIG, **content)
        return found

    def config_hash(self, name: str) -> str | None:
        """Return the hash of the content that a ConfigMap has now; None: there is none."""
        live = self._api.get("ConfigMap", name)
        return None if live is None else content_hash(live)

    def need_copy(self, name: str, content: str) -> str:
        """Return the name of a kept content; raises `StepFailed` if it is gone."""
        copy = copy_name(name, content)
        found = self._api.get("ConfigMap", copy)
        if found is None or content_hash(found) != content:
            raise StepFailed(
                msg("The copy {copy} of ConfigMap {name} is gone", copy=copy, name=original_of(name)),
                state=msg("The workload was not changed"),
                next_command=self._api.kubectl("get", "configmaps", "-l", "backout/kind=config"),
            )
        return copy

    def listed(self, kind: str, patience_s: float) -> list[Object]:
        """Return the ConfigMaps that are kept: `names.TEMPLATE` or `names.CONFIG`."""
        return self._api.list("ConfigMap", selector(self._service, kind), patience_s=patience_s)

    def _template_name(self, hash: str) -> str:
        return object_name(self._service, "template", hash)

    def _create(self, name: str, kind: str, data: dict[str, str] | None = None, **more: Any) -> None:
        body: Object = {
            "metadata": {"name": name, "labels": labels(self._service, kind)},
            "immutable": True,
            **({"data": data} if data else {}),
            **more,
        }
        self._api.create("ConfigMap", body)
