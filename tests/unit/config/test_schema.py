"""The published schema is the code's, the example is valid, and it shows every key there is."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from backout.config.load import load_config
from backout.config.schema import config_schema, schema_text

EXAMPLE = (files("backout.config") / "example.yaml").read_text()
PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "backout.schema.json"
ENVIRON = {
    "DATABASE_URL": "postgres://u:hunter22@127.0.0.1/db",
    "OTHER_DATABASE_URL": "postgres://u:hunter22@127.0.0.2",
    "DEPLOY_TOKEN": "hunter23",
    "POOLER_URL": "postgres://p:hunter24@h/pgbouncer",
}


def examples() -> list[str]:
    """Return the example as it stands, then once for each alternative block put in the place of its section."""
    found = [EXAMPLE]
    for block in re.findall(r"(?:^#:.*\n)+", EXAMPLE, re.MULTILINE):
        text = re.sub(r"^#: ?", "", block, flags=re.MULTILINE)
        section = text.partition(":")[0]
        found.append(re.sub(rf"^{section}:\n(?:[ \n].*\n|\n)*", text, EXAMPLE, count=1, flags=re.MULTILINE))
    return found


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text() == schema_text(), "type: make docs"


def test_the_schema_is_a_valid_schema_with_a_description_for_every_key() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    silent = [f"{where}.{key}" for where, key, text in _properties(schema) if not text]
    assert silent == []


@pytest.mark.parametrize("text", examples())
def test_each_example_is_valid_for_editors_and_loads(text: str, tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(config_schema())
    validator.validate(yaml.safe_load(text))
    (tmp_path / "backout.yaml").write_text(text)
    loaded = load_config(tmp_path / "backout.yaml", ENVIRON)
    assert loaded.platform.kind == yaml.safe_load(text)["platform"]["kind"]
    assert loaded.redactor.text("hunter22 hunter23").count("***") == (
        2 if loaded.platform.kind == "command" else 1
    )


def test_there_is_an_example_for_each_platform() -> None:
    kinds = {
        branch["properties"]["kind"]["const"] for branch in config_schema()["properties"]["platform"]["oneOf"]
    }
    assert {yaml.safe_load(text)["platform"]["kind"] for text in examples()} == kinds


def test_the_example_shows_every_key() -> None:
    shown = set(re.findall(r"^(?:#:)? *(?:- )?([a-z0-9_]+):", EXAMPLE, re.MULTILINE))
    assert {key for _, key, _ in _properties(config_schema())} - shown == set()


def test_defaults_in_the_example_are_the_defaults_of_the_code() -> None:
    """A key that the comments do not call required, or without default, is shown with its default."""
    data = yaml.safe_load(EXAMPLE)
    schema = config_schema()["properties"]
    process = next(b for b in schema["platform"]["oneOf"] if b["title"] == "process")["properties"]
    for key in ("stop_signal", "stop_timeout_s", "start_timeout_s"):
        assert data["platform"][key] == process[key]["default"]
    assert data["environment"] == schema["environment"]["default"]
    assert data["state"] == schema["state"]["default"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "a"},
        {"service": "a", "platform": {"kind": "proces"}},
        {"service": "a", "platform": {"kind": "process", "root": "."}},
        {
            "service": "a",
            "platform": {"kind": "command", "deploy": ["{version}"]},
            "policy": {"plan_expires_s": 5},
        },
    ],
)
def test_editors_mark_what_the_loader_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(config_schema()).validate(wrong)


def test_editors_take_a_reference_where_a_number_is_expected() -> None:
    data = {
        "service": "a",
        "platform": {
            "kind": "process",
            "root": ".",
            "start": ["x"],
            "start_timeout_s": "${START_TIMEOUT_S:-30}",
        },
    }
    jsonschema.Draft202012Validator(config_schema()).validate(data)


def _properties(node: Any, where: str = "") -> list[tuple[str, str, str]]:
    if isinstance(node, list):
        return [found for child in node for found in _properties(child, where)]
    if not isinstance(node, dict):
        return []
    here = node.get("properties", {})
    found = [(where, key, _text(child)) for key, child in here.items()]
    for key, child in node.items():
        found += _properties(list(child.values()) if key in ("properties", "$defs") else child, where)
    return found


def _text(node: dict[str, Any]) -> str:
    return str(node.get("description", "")) or ("const" in node and "kind") or ""
