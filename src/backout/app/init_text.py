"""The text of a new `backout.yaml`: what was found, and everything else as a comment with its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from backout.config.adapters import SECTION_GROUPS, Registry, adapter_names, load_adapter
from backout.config.model import Config
from backout.config.references import holds_secret


@dataclass(frozen=True, slots=True)
class Found:
    """An adapter, and the options it found."""

    kind: str
    options: Mapping[str, object]
    model: type[BaseModel]


_HEAD = """\
# yaml-language-server: $schema=.backout/backout.schema.json
#
# Written by `backout init`. Lines behind # are defaults and examples: take the # away to use them.
# Secrets never stand in this file: write ${{NAME}}, and set NAME in the environment.

# {service_is}
service: {service}

# {environment_is}
environment: production

# {confirm_is}
# confirm: yes-no

# {state_is}
# state: .backout
"""

_CHECKS = """
# What proves that a release serves well. With no checks a run ends as "inconclusive" (exit 9).
# checks:
#   - kind: http                  # one request; also: command, sql, prometheus
#     url: http://127.0.0.1:8080/health
#     expect_json: {status: ok}
#   - kind: probes                # many requests: error rate and response time
#     url: http://127.0.0.1:8080/

# Your own commands that suspend workers and crons, for `backout hold`.
# hold:
#   commands:
#     - name: workers
#       hold: [systemctl, stop, my-worker]
#       release: [systemctl, start, my-worker]
#       probe: [sh, -c, "! systemctl is-active --quiet my-worker"]   # exit 0: suspended

# How data is taken back to a backup (docs/how-to/restore-data.md).
# restore:
#   free_space_path: /var/lib/postgresql   # on the database server's disk, if that disk is this machine's
#   tenants: public.orders.tenant_id       # the plan counts the tenants affected

# What is allowed.
# policy:
#   min_version: "1.0.0"          # security floor
#   plan_expires_s: 1800
"""


def config_text(
    service: str, sections: Mapping[str, Found | None], registry: Registry | None
) -> tuple[str, tuple[str, ...]]:
    """Return the file's text, and the dotted keys that a person has to fill in.

    Args:
        service: Name of the service.
        sections: What was found for platform, router and database.
        registry: Adapters to describe where nothing was found.
    """
    meaning = {f"{name}_is": field.description for name, field in Config.model_fields.items()}
    lines = [_HEAD.format(service=_yaml(service), **meaning)]
    missing: list[str] = []
    for section, found in sections.items():
        lines.append(f"# {Config.model_fields[section].description}")
        if found is None:
            lines += _absent(section, registry)
            missing += [section] if Config.model_fields[section].is_required() else []
        else:
            lines += [f"{section}:", f"  kind: {_yaml(found.kind)}", *_options(section, found)]
            missing += [f"{section}.{key}" for key in _unfilled(found)]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n" + _CHECKS, tuple(missing)


def _options(section: str, found: Found) -> Iterator[str]:
    """Yield the adapter's keys: those found, then those to be filled in, then defaults as comments."""
    fields = found.model.model_fields
    for key, value in found.options.items():
        yield from _described(fields.get(key))
        yield f"  {key}: {_yaml(_safe(section, key, value))}"
    for key in _unfilled(found):
        yield from _described(fields[key], "TO BE FILLED IN: ")
        yield f"  # {key}:"
    for key, field in fields.items():
        if key not in found.options and not field.is_required():
            yield from _described(field)
            yield f"  # {key}: {_default(field)}".rstrip()


def _unfilled(found: Found) -> list[str]:
    return [
        k for k, field in found.model.model_fields.items() if field.is_required() and k not in found.options
    ]


def _absent(section: str, registry: Registry | None) -> Iterator[str]:
    """Yield a block of comments for each kind that could stand here."""
    needed = Config.model_fields[section].is_required()
    yield (
        "# None was found. One of these is needed:"
        if needed
        else "# None was found; leave it out if there is none."
    )
    group = SECTION_GROUPS[section]
    for kind in adapter_names(group, registry):
        fields = load_adapter(group, kind, registry).Options.model_fields
        yield "#"
        yield f"# {section}:"
        yield f"#   kind: {kind}"
        for key, field in fields.items():
            if field.is_required() or key == "url":
                yield f"#   {key}:   # {field.description}"


def _described(field: FieldInfo | None, prefix: str = "") -> Iterator[str]:
    if field is not None and field.description:
        yield f"  # {prefix}{field.description}"


def _default(field: FieldInfo) -> str:
    value = to_jsonable_python(field.get_default(call_default_factory=True))
    return "" if value in (None, "") else _yaml(value)


def _safe(section: str, key: str, value: object) -> object:
    """Return the value without secrets, and with a shell's own `${…}` kept from being taken for references."""
    if isinstance(value, Mapping):
        return {k: _safe(section, str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        # Words of a command belong to a shell.
        return [item.replace("${", "$${") if isinstance(item, str) else item for item in value]
    if isinstance(value, str) and holds_secret(key, value):
        return f"${{{section}_{key}}}".upper()
    return value


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
