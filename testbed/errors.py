"""The one error of the testbed."""

from __future__ import annotations

from backout.errors import NotPossible
from backout.message import msg


class TestbedFailed(NotPossible):
    """The node could not be built, started or stopped.

    Args:
        what: What failed, with the failing program's own words.
        next_command: What to type.
    """

    __test__ = False

    def __init__(self, what: str, *, next_command: str = "scripts/testbed down") -> None:
        state = msg("What was started stays until it is stopped.")
        super().__init__(msg("{what}", what=what), state=state, next_command=next_command)
