"""What swapping two databases and switching the service between them have in common: order, worlds, the way back. Pure."""

from __future__ import annotations

import dataclasses

from backout.backup import SwapOrder
from backout.plan.base import World
from backout.plan.model import StepSpec


def order_of(spec: StepSpec) -> SwapOrder:
    """Return which two databases it is about."""
    return SwapOrder.model_validate(spec.params["order"])


def worlds(spec: StepSpec, world: World) -> tuple[World, ...]:
    """Return the worlds on the way: nothing is served in between, and the schema is the other one afterwards."""
    fingerprint = spec.params["fingerprint"]
    return (
        dataclasses.replace(world, serving=frozenset()),
        dataclasses.replace(world, fingerprint=None if fingerprint is None else str(fingerprint)),
    )


def exchanged(spec: StepSpec, *, live: str, beside: str, kept: str) -> StepSpec:
    """Return the step that undoes it: numbers and schemas exchanged, under these names."""
    order = order_of(spec)
    back = SwapOrder(
        live=live,
        live_oid=order.beside_oid,
        beside=beside,
        beside_oid=order.live_oid,
        kept=kept,
        keep_until=order.keep_until,
        accept_slots=order.accept_slots,
    )
    changed = {
        "order": back.model_dump(mode="json"),
        "fingerprint": spec.params["prior_fingerprint"],
        "prior_fingerprint": spec.params["fingerprint"],
    }
    return spec.model_copy(update={"params": {**spec.params, **changed}})
