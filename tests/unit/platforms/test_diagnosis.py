"""A line of `doctor` that is not ok cannot be made without its remedy."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from backout.message import msg
from backout.platforms.base import Diagnosis


@pytest.mark.parametrize("ok", [False, None])
@pytest.mark.parametrize("remedy", [None, ""])
def test_what_is_not_ok_needs_a_remedy(ok: bool | None, remedy: str | None) -> None:
    with pytest.raises(ValidationError, match="disk: a line that is not ok needs a remedy"):
        Diagnosis(subject="disk", ok=ok, evidence=msg("full"), remedy=remedy)


def test_what_is_ok_needs_none() -> None:
    assert Diagnosis(subject="disk", ok=True, evidence=msg("free")).remedy is None
