"""Shares that weights make. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def of_hundred(weights: Mapping[str, int]) -> dict[str, int]:
    """Return per cent that weights make, rounded so that it is 100 together: what is left goes to those that lost most, in the order of names.

    Who has any weight has 1 at least: who has none gets no requests, and that is another thing.
    """
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(weights, 0)
    found = {name: max(weight * 100 // whole, bool(weight)) for name, weight in weights.items()}
    rest = sorted(weights, key=lambda name: (-(weights[name] * 100 % whole), name))
    for name in rest[: max(0, 100 - sum(found.values()))]:
        found[name] += 1
    found[max(found, key=lambda name: found[name])] -= sum(found.values()) - 100
    return found
