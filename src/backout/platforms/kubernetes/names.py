"""What backout keeps in the cluster, and how it is called: labels and names, in one place."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

SERVICE, KIND = "backout/service", "backout/kind"
"""Labels on everything that backout keeps."""
GENERATION, STEP = "backout/generation", "backout/step"
"""Annotations on a workload: the fencing token and the step of its last change."""
HELD = "backout/held"
"""Annotation on what a hold stopped: what was before, as JSON."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "backout"}

RELEASE, TEMPLATE, CONFIG, SECRET, RUN = "release", "template", "config", "secret", "run"
SCHEMA, QUARANTINE = "schema", "quarantine"
KEY_NAME = "backout-key"
"""The Secret with the key of fingerprints; one for a namespace."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_LONGEST = 50


class WorkloadName(NamedTuple):
    """A workload as the configuration names it: ``deployment/web``."""

    kind: str
    name: str

    @property
    def text(self) -> str:
        """As kubectl takes it."""
        return f"{self.kind.lower()}/{self.name}"


def labels(service: str, kind: str) -> dict[str, str]:
    """Return the labels of an object that is kept for a service."""
    return {**MANAGED_BY, SERVICE: label_value(service), KIND: kind}


def selector(service: str, kind: str) -> str:
    """Return the label selector of what is kept for a service."""
    return f"{SERVICE}={label_value(service)},{KIND}={kind}"


def label_value(text: str) -> str:
    """Return a text as a label's value: at most 63 letters, digits, dots, dashes and underscores."""
    return text if len(text) <= 63 else f"{text[:46]}.{_short(text)}"


def object_name(*parts: str) -> str:
    """Return a DNS name of the parts; parts that are long or differ only in other signs keep a name of their own."""
    whole = "-".join(parts)
    plain = _NOT_IN_NAMES.sub("-", whole.lower()).strip("-")
    if plain == whole and len(plain) <= _LONGEST + 100:
        return f"backout-{plain}"
    return f"backout-{plain[:_LONGEST].strip('-')}-{_short(whole)}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
