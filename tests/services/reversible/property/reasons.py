"""Why something may be refused before COMMIT, and why a way may not be open: what the documentation says of it."""

from __future__ import annotations

import re

# Source: docs/how-to/undo-a-migration.md.
_REASONS = (
    r"^backout needs an answer for ",
    r"^backout cannot undo dropping .*, which the same migration fills ",
    r"^backout cannot leave hidden indexes out of a copy",
    # Rows written since, which nobody may change but who wrote them.
    r"^unfinished: .*(VALIDATE CONSTRAINT|SET NOT NULL|UNIQUE INDEX CONCURRENTLY|USING INDEX)",
    r"are there more than once, which .* does not allow",
    r"duplicate key value violates unique constraint",
    r"cannot be computed in a row",
    r"has no value in .* written while it was hidden, and needs one",
)


def undocumented(said: str) -> bool:
    """Tell whether a reason is none of those that are documented."""
    return not any(re.search(one, said) for one in _REASONS)


def is_made_anew(said: str) -> bool:
    """Tell whether something was refused as it is made anew of what the same migration drops."""
    return "which the same migration fills" in said
