"""Why something may be refused before COMMIT, and why a way may not be open: what the documentation says of it."""

from __future__ import annotations

import re

# Source: docs/how-to/undo-a-migration.md, "What is covered" and "What nobody can compute".
_REASONS = (
    r"needs an answer",
    r"table that is made anew of another",
    r"column that is made anew of",
    r"another (cluster|replica_identity|identity)",
    r"materialized view",
    r"keeps? .* values? .*more than once",
)


def undocumented(said: str) -> bool:
    """Tell whether a reason is none of those that are documented."""
    return not any(re.search(one, said) for one in _REASONS)
