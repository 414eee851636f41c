"""What an answer of the API server says besides what was asked for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


def told_to_wait_s(response: httpx2.Response) -> float:
    """Return the seconds of `Retry-After`; something in front of the API server may name a date: then 0."""
    try:
        return float(response.headers.get("Retry-After") or 0)
    except ValueError:
        return 0.0


def reason_of(response: httpx2.Response) -> str:
    """Return why the server refused, in its own words."""
    try:
        return str(response.json().get("message"))[:400]
    except (ValueError, AttributeError):
        return response.text[:200]


def budgets_of(response: httpx2.Response) -> str:
    """Return what PodDisruptionBudgets say of an eviction that they forbid; empty: it is another answer.

    Source: k8s.io/kubernetes v1.35, registry/core/pod/storage/eviction.go: 429 with causes of type DisruptionBudget.
    """
    if response.status_code != 429:
        return ""
    try:
        causes = response.json()["details"]["causes"]
        return " ".join(str(c["message"]) for c in causes if c["reason"] == "DisruptionBudget")
    except (ValueError, KeyError, TypeError):
        return ""
