"""What `doctor` tries for this platform: the cluster, every permission, every workload; touching nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backout.errors import BackoutError
from backout.kubernetes.paths import plural
from backout.message import Message, msg
from backout.observed import Answer
from backout.platforms.base import Diagnosis
from backout.platforms.kubernetes.history import read
from backout.platforms.kubernetes.inventory import take_inventory
from backout.platforms.kubernetes.kept import Kept
from backout.platforms.kubernetes.names import CONFIG, KEY_NAME, TEMPLATE
from backout.platforms.kubernetes.options import WorkloadName
from backout.platforms.kubernetes.permissions import (
    Permission,
    hold_permissions,
    permissions,
    secret_permissions,
)
from backout.platforms.kubernetes.seen import partition_of
from backout.platforms.kubernetes.switch import NO_PARTITION

if TYPE_CHECKING:
    from backout.platforms.kubernetes.platform import KubernetesPlatform

_PATIENCE_S = 3.0


def diagnose(platform: KubernetesPlatform) -> Iterator[Diagnosis]:
    """Yield one line for each thing a rollback needs."""
    reachable = _cluster(platform)
    yield reachable
    if not reachable.ok:
        return
    yield from _permissions(platform)
    for workload in platform.options.names:
        yield from _workload(platform, workload)
    yield from _secrets(platform)
    yield from _owners(platform)
    yield from _kept(platform)


def _line(subject: str, ok: bool | None, evidence: Message, remedy: str) -> Diagnosis:
    return Diagnosis(subject=subject, ok=ok, evidence=evidence, remedy=None if ok else remedy)


def _cluster(platform: KubernetesPlatform) -> Diagnosis:
    try:
        config, namespace = platform.api.config, platform.api.namespace
        platform.api.may("get", platform.options.names[0].kind)
    except BackoutError as error:
        return _line("cluster", False, error.what, error.next_command)
    text = msg(
        "context {context}, server {server}, namespace {namespace}",
        context=config.context_name,
        server=config.server,
        namespace=namespace,
    )
    return _line("cluster", True, text, "")


def _permissions(platform: KubernetesPlatform) -> Iterator[Diagnosis]:
    """Ask the server for each verb; one line if all are given, else one for each that is not."""
    secrets = platform.options.secrets
    needed = permissions(frozenset(w.kind for w in platform.options.names))
    needed += hold_permissions(platform.options.hold)
    needed += secret_permissions(secrets.listed, keeps=bool(secrets.keep))
    missing: list[Permission] = []
    for one in needed:
        try:
            if not platform.api.may(one.verb, one.kind, subresource=one.subresource, name=one.name):
                missing.append(one)
        except BackoutError as error:
            yield _line("permissions", None, error.what, error.next_command)
            return
    if not missing:
        yield _line("permissions", True, msg("all {count} that are needed are given", count=len(needed)), "")
    for one in missing:
        resource = plural(one.kind) + (
            f"/{one.subresource or one.name}" if one.subresource or one.name else ""
        )
        yield _line(
            f"permission {one.verb} {resource}",
            False,
            msg("not given: {what} will not work", what=one.needed_for),
            platform.api.kubectl("auth", "can-i", one.verb, resource)
            + "   # the whole Role: docs/how-to/kubernetes-permissions.md"
            if one.kind != "Secret"
            else "kubectl apply -f permissions-secrets.yaml   # docs/how-to/kubernetes-secrets.md",
        )


def _workload(platform: KubernetesPlatform, workload: WorkloadName) -> Iterator[Diagnosis]:
    try:
        seen = read(platform.api, workload, _PATIENCE_S)
    except BackoutError as error:
        yield _line(workload.text, False, error.what, error.next_command)
        return
    limit = seen.object["spec"].get("revisionHistoryLimit")
    earlier = len({r.hash for r in seen.revisions} - {seen.wanted})
    text = msg(
        "{ready} of {want} pods ready, {earlier} earlier templates in its history (limit {limit})",
        ready=len(seen.ready), want=seen.replicas, earlier=earlier, limit=10 if limit is None else limit,
    )  # fmt: skip
    yield _line(
        workload.text,
        bool(earlier) or limit != 0,
        text,
        platform.api.kubectl("patch", workload.text, "-p", '{"spec":{"revisionHistoryLimit":10}}')
        + "   # or record every release: backout record keeps the template itself",
    )
    if seen.object["spec"].get("paused"):
        text = msg("its roll-out is paused: going back will resume it")
        yield _line(
            f"{workload.text} paused", None, text, platform.api.kubectl("rollout", "resume", workload.text)
        )
    if number := partition_of(seen.object):
        text = msg("it has partition {number}: its pods numbered below keep their release", number=number)
        yield _line(
            f"{workload.text} partition",
            False,
            text,
            platform.api.kubectl("patch", workload.text, "-p", NO_PARTITION),
        )


def _kept(platform: KubernetesPlatform) -> Iterator[Diagnosis]:
    try:
        view = platform.view(_PATIENCE_S)
        kept = Kept(platform.api, platform.site.service)
        found = take_inventory(
            kept.listed(TEMPLATE, _PATIENCE_S), kept.listed(CONFIG, _PATIENCE_S), view.seens, view.releases
        )
    except BackoutError as error:
        yield _line("kept in the cluster", None, error.what, error.next_command)
        return
    evidence = found.evidence(platform.api.kubectl("delete", "configmap"))
    yield _line("kept in the cluster", True, evidence, "")


def _secrets(platform: KubernetesPlatform) -> Iterator[Diagnosis]:
    """Say of each listed Secret whether its change would be seen, and whether it could come back."""
    options = platform.options.secrets
    try:
        look = platform.secrets.look(_PATIENCE_S)
    except BackoutError as error:
        yield _line("secrets", None, error.what, error.next_command)
        return
    if options.listed and look.prints is None:
        kubectl = platform.api.kubectl("create", "secret", "generic", KEY_NAME)
        yield _line(
            "secrets",
            None,
            msg(
                "there is no key for fingerprints yet, or it cannot be read: the next record makes it if it may"
            ),
            f'{kubectl} --from-literal=key="$(openssl rand -hex 32)"',
        )
        return
    for name in options.listed:
        assert look.prints is not None
        owner = look.owned.get(name) if name in options.keep else None
        if name not in look.prints.found:
            text = msg("there is none of that name, or it may not be read")
            yield _line(f"secret {name}", False, text, platform.api.kubectl("get", "secret", name))
        elif owner is not None:
            text = msg(
                "refused: it is not kept, because {owner} writes it; its changes are told", owner=owner
            )
            yield _line(f"secret {name}", False, text, f"move {name} from platform.secrets.keep to watch")
        else:
            kept = msg("kept with every release that is recorded")
            text = kept if name in options.keep else msg("its changes are told")
            yield _line(f"secret {name}", True, text, "")


def _owners(platform: KubernetesPlatform) -> Iterator[Diagnosis]:
    """Yield one line for each other owner: one that would undo a way back is better found today."""
    try:
        owners = platform.owners(platform.cluster.seens(_PATIENCE_S), _PATIENCE_S)
    except BackoutError:
        return  # The workload's own line says why.
    for owner in owners:
        safe = {Answer.NO: True, Answer.YES: False, Answer.UNKNOWN: None}[owner.reverts]
        evidence = owner.evidence
        if owner.pausable and owner.reverts is not Answer.NO:
            safe, evidence = True, msg("{evidence}; it can be paused", evidence=str(evidence))
        stop = owner.stop or "declare it in platform.automation"
        yield _line(f"owner {owner.name}", safe, evidence, f"{stop}   # docs/how-to/kubernetes-gitops.md")
