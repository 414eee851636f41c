"""Kinds of value in the configuration, each with its limits: what cannot work is told when the file is read."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema

from backout.document import Document

_NUMBERS = (int, float, int | None, float | None)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Declared(Document):
    """A part of the configuration: its numbers are finite, and a switch (`true`) is none."""

    model_config = ConfigDict(allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _a_switch_is_no_number(cls, data: Any) -> Any:
        # As text it is refused where it stands; pydantic would take `true` for 1.
        if not isinstance(data, dict) or not any(isinstance(value, bool) for value in data.values()):
            return data
        numbers = {name for name, field in cls.model_fields.items() if field.annotation in _NUMBERS}
        return {
            key: str(value).lower() if isinstance(value, bool) and key in numbers else value
            for key, value in data.items()
        }


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name of letters, digits, dots, dashes and underscores")
    return value


def _http_url(value: str) -> str:
    expected = "a URL that begins with http:// or https://"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(f"{expected}, with a port from 1 to 65535 if any") from None
    blank = any(c.isspace() or not c.isprintable() for c in value)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or blank:
        raise ValueError(expected)
    return value


class _ADayAtMost:
    """Limits a number to the seconds of a day where its field names no limit of its own: two limits would be the later one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        schema.setdefault("le", 86_400)
        found: CoreSchema = schema
        return found


Seconds = Annotated[float, _ADayAtMost()]
"""A day at most: whoever waits longer for one thing at night waits for ever."""
Name = Annotated[str, AfterValidator(_name)]
"""What can stand in a path, on a command line and in a table."""
SqlText = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]
"""An SQL expression; a number is one, too."""
HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""Where somebody answers HTTP."""
