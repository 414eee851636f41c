"""What a hold found shut or draining: in HAProxy itself it looks like the hold afterwards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from backout.document import Document


class Before(Document):
    """One server before a hold.

    Attributes:
        weight: 0 to 256.
        state: As `set server` calls it.
        out: Somebody had taken it out, as for repair.
    """

    weight: int
    state: Literal["ready", "drain", "maint"]
    out: bool


class Note:
    """The note of one backend's hold, in the state folder.

    Args:
        path: It is there while something is held that was not all open before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, before: Mapping[str, Before]) -> None:
        """Keep this for the release; nothing to keep: forget the earlier one.

        Where it cannot be written the hold goes on: what is not let in afterwards stays shut, with weight 0, and doctor tells it.
        """
        if not before:
            return self.forget()
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            told = {name: one.model_dump() for name, one in before.items()}
            draft = self._path.with_suffix(".new")
            draft.write_text(json.dumps(told, indent=2) + "\n")
            draft.replace(self._path)
        return None

    def read(self) -> dict[str, Before]:
        """Return what was kept; nothing where that cannot be told."""
        try:
            told = json.loads(self._path.read_text())
            return {str(name): Before.model_validate(one) for name, one in told.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def forget(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
