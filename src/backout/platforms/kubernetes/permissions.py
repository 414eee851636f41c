"""What backout may have to do in the namespace: the Role of docs/how-to/kubernetes-permissions.md, as data."""

from __future__ import annotations

from typing import NamedTuple

from backout.platforms.kubernetes.holds.options import KubernetesHoldOptions, suspended_name
from backout.platforms.kubernetes.names import KEY_NAME


class Permission(NamedTuple):
    """One verb on one kind.

    Attributes:
        needed_for: What does not work without it.
        name: Of the only object that it is for; empty: any.
    """

    verb: str
    kind: str
    subresource: str
    needed_for: str
    name: str = ""


def hold_permissions(options: KubernetesHoldOptions) -> tuple[Permission, ...]:
    """Return what holding needs besides."""
    found = [
        Permission(verb, "Service", "", "holding requests") for verb in ("get", "patch") if options.service
    ]
    if options.service:
        found.append(Permission("list", "EndpointSlice", "", "proving that requests are held"))
    things = [w.kind for w in options.suspended]
    if options.maintenance:
        things.append(suspended_name(options.maintenance).kind)
    jobs = {"Job"} if {"CronJob", "Job"} & set(things) else set()
    for kind in sorted({*things} | jobs):
        found += [
            Permission(verb, kind, "", "suspending crons, jobs and workers") for verb in ("get", "patch")
        ]
    found += [Permission("list", "Job", "", "suspending what a CronJob started")] if jobs else []
    return tuple(found)


def permissions(kinds: frozenset[str]) -> tuple[Permission, ...]:
    """Return what is needed for workloads of these kinds."""
    found = [
        Permission(verb, kind, "", "seeing and changing what runs")
        for kind in sorted(kinds)
        for verb in ("get", "update", "patch")
    ]
    history = {"ReplicaSet" if kind == "Deployment" else "ControllerRevision" for kind in kinds}
    found += [Permission("list", kind, "", "finding earlier releases") for kind in sorted(history)]
    found += [
        Permission("list", "Pod", "", "proving what runs"),
        Permission("patch", "Pod", "", "run --keep-one"),
    ]
    if kinds - {"Deployment"}:
        found += [
            Permission("delete", "Pod", "", "replacing pods that never become ready"),
            Permission("create", "Pod", "eviction", "replacing pods where the strategy is OnDelete"),
        ]
    found += [
        Permission(verb, "ConfigMap", "", "keeping release records, runs and configuration")
        for verb in ("get", "list", "create", "update")
    ]
    found += [Permission(verb, "Lease", "", "one run at a time") for verb in ("get", "create", "update")]
    found += [
        Permission("get", "Pod", "log", "showing why a pod fails"),
        Permission("list", "Event", "", "showing why a pod fails"),
    ]
    return tuple(found)


def secret_permissions(listed: tuple[str, ...], *, keeps: bool) -> tuple[Permission, ...]:
    """Return what the optional Role gives (deploy/permissions-secrets.yaml).

    Args:
        listed: Secrets that are looked at.
        keeps: Whether copies are made; the key can be made by hand.
    """
    if not listed:
        return ()
    found = [Permission("get", "Secret", "", "telling whether it changed", name) for name in listed]
    found.append(Permission("get", "Secret", "", "fingerprints of Secrets", KEY_NAME))
    if keeps:
        found.append(Permission("create", "Secret", "", "keeping copies of Secrets"))
    return tuple(found)
