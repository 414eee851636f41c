"""What a person types to hold a thing of the cluster, and to let it go."""

from __future__ import annotations

import json

from backout.document import Json
from backout.kubernetes.api import Api
from backout.platforms.kubernetes.holds.marks import field_patch
from backout.platforms.kubernetes.names import HELD, WorkloadName


def command(api: Api, thing: WorkloadName, value: Json, now: Json) -> str:
    """Return the command that gives a thing's field a value; `now` is what it is before.

    Of a selector the labels that it has now have to be taken away by name.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return api.kubectl("scale", thing.text, f"--replicas={value}")
    obj = {"spec": {"selector": now if isinstance(now, dict) else {}}}
    patch = json.dumps({"spec": field_patch(thing, obj, value)})
    return api.kubectl("patch", thing.text, "--type=merge", "-p", patch)


def back(api: Api, thing: WorkloadName, prior: Json, held: Json) -> tuple[str, ...]:
    """Return the commands that put the field back and take the annotation away."""
    unmark = api.kubectl("annotate", thing.text, f"{HELD}-")
    if prior is None:
        look = api.kubectl("get", thing.text, "-o", "yaml") + f"   # what was before: annotation {HELD}"
        return (look, unmark)
    return (command(api, thing, prior, held), unmark)
