"""What pydantic says about the configuration, as mistakes with a place, a key and a did-you-mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from backout.config.problems import KeyPath, Place, Problem, did_you_mean, dotted
from backout.config.tree import Tree
from backout.message import Message, msg

JsonSchema = Mapping[str, Any]

_WRITTEN: Mapping[str, str] = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "dataclass_type": "keys and values",
    "finite_number": "a finite number",
    "path_type": "a path",
    "none_required": "nothing",
}


def explain(error: ValidationError, model: type[BaseModel], tree: Tree, at: KeyPath = ()) -> list[Problem]:
    """Return one mistake for each thing pydantic found.

    Args:
        error: What pydantic found.
        model: The model that was asked for.
        tree: The file.
        at: Where in the file the model's data starts.
    """
    problems: dict[tuple[Place, str, str], Problem] = {}
    for detail in error.errors(include_url=False):
        problem = _explain_one(detail, model, tree, at)
        problems.setdefault((problem.place, problem.key, str(problem.what)), problem)
    return list(problems.values())


def _explain_one(detail: ErrorDetails, model: type[BaseModel], tree: Tree, at: KeyPath) -> Problem:
    inside, schema = _locate(detail["loc"], model, tree, at)
    path = (*at, *inside)
    kind, ctx = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys(_schema_at(model, tree, at, inside[:-1]))
        others = [k for k in known if k not in _value(tree, path[:-1])]
        what = msg("expected one of {known}, found an unknown key.", known=", ".join(known))
        return Problem(tree.places[path], dotted(path), what, did_you_mean(inside[-1], others or known))
    if kind == "missing":
        key = (*path, str(detail["loc"][-1])) if not _ends_with(path, detail["loc"]) else path
        what = msg("expected this key, found none: {meaning}", meaning=str(_description(schema, key[-1])))
        return Problem(_nearest(tree.places, path), dotted(key), what)
    place = _nearest(tree.value_places, path) if path else tree.places[()]
    names = _names(kind, ctx)
    if names:
        if kind.startswith("union_tag"):
            path, place = _discriminator(path, place, tree, ctx)
        what = msg("expected {names}, found {found}.", names=_either(names), found=_found(tree, path))
        return Problem(place, dotted(path), what, did_you_mean(tree.raw.get(path, ""), names))
    what = msg("expected {expected}, found {found}.", expected=_expected(detail), found=_found(tree, path))
    return Problem(place, dotted(path), what, _quotes(kind, tree, path))


def _ends_with(path: KeyPath, loc: Sequence[str | int]) -> bool:
    return bool(path) and path[-1] == loc[-1]


def _nearest(places: Mapping[KeyPath, Place], path: KeyPath) -> Place:
    for end in range(len(path), -1, -1):
        if path[:end] in places:
            return places[path[:end]]
    return Place(1, 1)


def _locate(
    loc: Sequence[str | int], model: type[BaseModel], tree: Tree, at: KeyPath
) -> tuple[KeyPath, JsonSchema]:
    """Return the part of pydantic's path that is in the file (it also names union branches), its schema."""
    inside: KeyPath = ()
    for part in loc:
        if (*at, *inside, part) in tree.places:
            inside = (*inside, part)
    return inside, _schema_at(model, tree, at, inside)


@cache
def _json_schema(model: type[BaseModel]) -> JsonSchema:
    return model.model_json_schema(by_alias=True)


def _schema_at(model: type[BaseModel], tree: Tree, at: KeyPath, inside: KeyPath) -> JsonSchema:
    """Return the JSON schema at a path: of a union, the branch that the file's `kind` chooses."""
    whole = _json_schema(model)
    node = _branch(whole, whole, _value(tree, at))
    for end, part in enumerate(inside, start=1):
        child = node.get("properties", {}).get(part) if isinstance(part, str) else node.get("items")
        if child is None:
            child = (
                node.get("additionalProperties")
                if isinstance(node.get("additionalProperties"), Mapping)
                else {}
            )
        node = _branch(child or {}, whole, _value(tree, (*at, *inside[:end])))
    return node


def _branch(node: JsonSchema, whole: JsonSchema, value: Any) -> JsonSchema:
    while "$ref" in node:
        node = {
            **whole["$defs"][node["$ref"].rsplit("/", 1)[-1]],
            **{k: v for k, v in node.items() if k != "$ref"},
        }
    choices = [
        _branch(n, whole, value)
        for n in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ()))
    ]
    if not choices:
        return node
    kind = value.get("kind") if isinstance(value, Mapping) else None
    fitting = [
        c
        for c in choices
        if c.get("properties", {}).get("kind", {}).get("const") == kind and kind is not None
    ]
    objects = fitting or [
        c for c in choices if c.get("properties") or c.get("items") or c.get("additionalProperties")
    ]
    return {**(objects or choices)[0], **{k: v for k, v in node.items() if k == "description"}}


def _keys(schema: JsonSchema) -> list[str]:
    return list(schema.get("properties", {}))


def _description(schema: JsonSchema, key: str | int) -> str:
    return str(schema.get("properties", {}).get(key, {}).get("description") or "it is required.")


def _value(tree: Tree, path: KeyPath) -> Any:
    value: Any = tree.data
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return value if isinstance(value, Mapping | list) else {}


def _names(kind: str, ctx: Mapping[str, Any]) -> list[str]:
    """Return the names that were allowed, where the mistake is about a name."""
    if kind in ("literal_error", "enum"):
        return [name.strip().strip("'") for name in str(ctx["expected"]).replace(" or ", ", ").split(",")]
    if kind == "union_tag_invalid":
        return [name.strip().strip("'") for name in str(ctx["expected_tags"]).split(",")]
    return []


def _discriminator(path: KeyPath, place: Place, tree: Tree, ctx: Mapping[str, Any]) -> tuple[KeyPath, Place]:
    key = (*path, str(ctx.get("discriminator", "kind")).strip("'"))
    return (key, tree.value_places[key]) if key in tree.value_places else (path, place)


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _found(tree: Tree, path: KeyPath) -> str:
    """Return what stands in the file: never a resolved reference."""
    if path in tree.raw:
        raw = tree.raw[path]
        return (raw if len(raw) <= 60 else raw[:57] + "…") or "nothing"
    value: Any = tree.data
    for part in path:
        value = value[part]
    return "a list" if isinstance(value, list) else "keys"


_LIMITS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("a number above {}", "gt"),
    "greater_than_equal": ("a number of at least {}", "ge"),
    "less_than": ("a number below {}", "lt"),
    "less_than_equal": ("a number of at most {}", "le"),
    "string_too_short": ("a text of at least {} characters", "min_length"),
    "string_too_long": ("a text of at most {} characters", "max_length"),
    "string_pattern_mismatch": ("a text that matches {}", "pattern"),
    "too_short": ("at least {} entries", "min_length"),
    "too_long": ("at most {} entries", "max_length"),
}


def _expected(detail: ErrorDetails) -> str:
    kind, ctx = detail["type"], detail.get("ctx", {})
    if kind in _LIMITS:
        text, field = _LIMITS[kind]
        text = text.replace("entries", "entry") if ctx[field] == 1 else text
        return text.format(ctx[field])
    if kind == "union_tag_not_found":
        return "the key " + str(ctx["discriminator"]).strip("'")
    if kind in ("value_error", "assertion_error"):
        return str(ctx["error"]).removeprefix("expected ").rstrip(".")
    said = detail["msg"]
    return _WRITTEN.get(kind, (said[:1].lower() + said[1:]).removeprefix("input should be "))


def _quotes(kind: str, tree: Tree, path: KeyPath) -> Message | None:
    """Say how to write a text that YAML takes for a number or a switch (`1.10`, `no`)."""
    if kind == "string_type" and tree.raw.get(path):
        return msg('Write "{raw}", in quotes.', raw=tree.raw[path])
    return None
