"""Sentences for people, kept as a template with named fields so that they can be stored and translated."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Field = str | int | float | bool | None


class Message(BaseModel):
    """One sentence for a person: a template and its named fields.

    Attributes:
        template: English text with ``{named}`` fields; also the key a translation is looked up by.
        fields: The values, already redacted by the caller.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str
    fields: dict[str, Field] = {}

    def __str__(self) -> str:
        return self.template.format(**self.fields)


def msg(template: str, /, **fields: Field) -> Message:
    """Return a `Message`; the shortest way to write one."""
    return Message(template=template, fields=fields)
