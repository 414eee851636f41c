"""Limits of the kinds of value in the configuration."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from backout.fields import Declared, Seconds


class Waits(Declared):
    short_s: Seconds = Field(default=1, gt=0, le=60)
    long_s: Seconds = 1


@pytest.mark.parametrize(("key", "most"), [("short_s", 60), ("long_s", 86_400)])
def test_seconds_have_the_limit_of_their_key_and_else_a_day(key: str, most: int) -> None:
    Waits.model_validate({key: most})
    with pytest.raises(ValidationError, match=f"less than or equal to {most}"):
        Waits.model_validate({key: most + 1})
    assert Waits.model_json_schema()["properties"][key]["maximum"] == most
