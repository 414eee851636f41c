"""A command in the configuration: a list of words, or one string that is split as a shell would."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(shlex.split(value))
    except ValueError:
        raise ValueError("words in which every quote is closed") from None


Words = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    BeforeValidator(_split, json_schema_input_type=tuple[str, ...] | str),
]
"""At least one word; no shell runs it."""


def filled(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Return the words with each ``{name}`` of `values` put in; what is put in is not looked at again."""
    if not values:
        return list(words)
    names = re.compile("{(" + "|".join(map(re.escape, values)) + ")}")
    return [names.sub(lambda found: values[found[1]], word) for word in words]
