"""What an effect is: one kind of change of a schema, that it recognises, takes back and makes again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Protocol

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.work import Work

Operation = dict[str, Any]


class Bears(NamedTuple):
    """Which code works on which side of a change; where nobody can tell, it does not.

    Attributes:
        old: Code of before the change works while it is made.
        new: Code of after the change works when it is taken back.
    """

    old: bool
    new: bool


BOTH = Bears(True, True)
ADDS = Bears(old=True, new=False)
"""It adds what earlier code does not know."""
TAKES = Bears(old=False, new=True)
"""It takes what later code does not use."""
NEITHER = Bears(False, False)


class Effect(Protocol):
    """One kind of change. One file and one line in `effects/__init__.py` add one.

    Attributes:
        kind: Its name in the journal.
        down_at: Its turn on the way back of one transaction, ascending.
        redo_at: Its turn on the way forward again.
    """

    kind: ClassVar[str]
    down_at: ClassVar[int]
    redo_at: ClassVar[int]

    def bears(self, operation: Operation) -> Bears:
        """Tell which code works with the change made, and with it taken back."""
        ...

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take from a difference what this effect can take back, as one operation for each.

        What was softened by the engine itself is journalled already, and taken before.
        """
        ...

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Take a change back; return the operation as it is to be remembered for the way forward again.

        Raises:
            Moved: Something is not as the migration left it.
            NotHidden: It cannot be hidden.
        """
        ...

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make the change again; return the operation as it is to be remembered for the next way back."""
        ...
