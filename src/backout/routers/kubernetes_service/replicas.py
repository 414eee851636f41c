"""Shares that numbers of replicas make. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def counts_for(shares: Mapping[str, int], total: int) -> dict[str, int]:
    """Return the replicas of each side.

    Args:
        shares: Per cent, 100 together.
        total: Replicas of all sides together.

    Raises:
        ValueError: They cannot be made of so many; what could be is in it.
    """
    exact = {name: share * total / 100 for name, share in shares.items()}
    counts = {name: int(one) for name, one in exact.items()}
    if counts == exact:
        return counts
    nearest = _nearest(exact, total)
    told = ", ".join(f"{name} {count * 100 / total:g} %" for name, count in nearest.items())
    raise ValueError(f"{total} replicas make steps of {100 / total:g} %; the nearest is {told}")


def _nearest(exact: Mapping[str, float], total: int) -> dict[str, int]:
    """Return whole numbers close by, with one at least for whoever has a share."""
    counts = {name: max(int(one), bool(one)) for name, one in exact.items()}
    rest = sorted(exact, key=lambda name: exact[name] - counts[name], reverse=True)
    for name in rest[: max(0, total - sum(counts.values()))]:
        counts[name] += 1
    most = max(counts, key=lambda name: counts[name])
    counts[most] -= sum(counts.values()) - total
    return counts
