"""Rules by family: each looks at a `Case` and yields findings. A plain table; ids are stable."""

from backout.assess.rules import (
    backups,
    current,
    data,
    holds,
    images,
    migrations,
    overwriting,
    owners,
    schema,
    secrets,
    sources,
    target,
    waiting,
)

RULES = (
    *waiting.RULES,
    *current.RULES,
    *target.RULES,
    *schema.RULES,
    *migrations.RULES,
    *data.RULES,
    *holds.RULES,
    *owners.RULES,
    *backups.RULES,
    *overwriting.RULES,
    *images.RULES,
    *secrets.RULES,
    *sources.RULES,
)

__all__ = ["RULES"]
