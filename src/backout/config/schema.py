"""One JSON Schema for `backout.yaml`, with the adapters' own keys, so that editors complete and explain them.

``python -m backout.config.schema > docs/reference/backout.schema.json``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from backout.config.adapters import SECTION_GROUPS, Registry, adapter_names, load_adapter
from backout.config.model import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {
    "type": "string",
    "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-.*)?\}$",
    "description": "A ${NAME} reference.",
}
_NOT_TEXT = frozenset({"integer", "number", "boolean"})

Schema = dict[str, Any]


def config_schema(registry: Registry | None = None) -> Schema:
    """Return the schema (draft 2020-12) of a configuration with the installed adapters.

    Args:
        registry: Adapters to use instead of the installed ones.
    """
    adapters = {
        section: {
            kind: load_adapter(group, kind, registry).Options for kind in adapter_names(group, registry)
        }
        for section, group in SECTION_GROUPS.items()
    }
    models: list[type[BaseModel]] = [
        Config,
        *(options for kinds in adapters.values() for options in kinds.values()),
    ]
    refs, document = models_json_schema([(model, "validation") for model in models])
    defs: Schema = document["$defs"]
    config = _pop(defs, refs[Config, "validation"])
    for section, kinds in adapters.items():
        branches = [
            _section(kind, _pop(defs, refs[options, "validation"])) for kind, options in kinds.items()
        ]
        config["properties"][section] = _choice(branches, config["properties"][section])
    defs.pop("AdapterSection", None)
    whole: Schema = {
        "$schema": DIALECT,
        "title": "backout.yaml",
        **{k: v for k, v in config.items() if k != "title"},
    }
    whole["$defs"] = defs
    return dict(_with_references(whole))


def _pop(defs: Schema, ref: Mapping[str, Any]) -> Schema:
    return dict(defs.pop(ref["$ref"].rsplit("/", 1)[-1]))


def _section(kind: str, options: Schema) -> Schema:
    named: Schema = {"kind": {"const": kind, "type": "string", "description": f"The adapter {kind}."}}
    return {
        **options,
        "title": kind,
        "properties": named | options.get("properties", {}),
        "required": ["kind", *options.get("required", [])],
    }


def _choice(branches: list[Schema], section: Schema) -> Schema:
    optional = any(choice.get("type") == "null" for choice in section.get("anyOf", ()))
    return {
        "description": section["description"],
        "oneOf": branches + ([{"type": "null"}] if optional else []),
    }


def _with_references(node: Any) -> Any:
    """Return the schema with `${NAME}` allowed where a number or a switch is expected."""
    if isinstance(node, list):
        return [_with_references(child) for child in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("type"), str) and node["type"] in _NOT_TEXT:
        told = {k: node[k] for k in ("description", "default", "title") if k in node}
        return {**told, "anyOf": [{k: v for k, v in node.items() if k not in told}, _REFERENCE]}
    return {key: _with_references(child) for key, child in node.items()}


def schema_text(registry: Registry | None = None) -> str:
    """Return the schema as the text that is published."""
    return json.dumps(config_schema(registry), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
