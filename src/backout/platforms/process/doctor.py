"""What `doctor` tries for this platform: everything a rollback would need, touching nothing."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator

from backout.errors import BackoutError
from backout.message import Field, msg
from backout.platforms.base import Diagnosis
from backout.platforms.process.options import service_env
from backout.platforms.process.service import Service
from backout.platforms.process.start_check import mistakes_in, mistakes_of_form
from backout.platforms.process.strangers import told

_ENOUGH_BYTES = 64 * 1024 * 1024
_LOOKED_AT = 20


def diagnose(service: Service) -> Iterator[Diagnosis]:
    """Yield one line for each thing a rollback needs."""
    yield _root(service)
    yield _releases(service)
    yield _link(service)
    yield _env_file(service)
    yield from _start_command(service)
    yield _process(service)
    yield _disk(service)
    if service.options.ready_url is not None:
        yield _ready(service)


def _line(subject: str, ok: bool | None, remedy: str, text: str, **fields: Field) -> Diagnosis:
    return Diagnosis(subject=subject, ok=ok, evidence=msg(text, **fields), remedy=None if ok else remedy)


def _root(service: Service) -> Diagnosis:
    root = service.layout.root
    quoted = shlex.quote(str(root))
    if not root.is_dir():
        return _line("root", False, f"ls -ld {quoted}", "{root} is not a folder", root=str(root))
    ok = os.access(root, os.W_OK | os.X_OK)
    remedy = f'sudo chown "$(id -un)" {quoted}'
    return _line(
        "root", ok, remedy, "{root} is {how}", root=str(root), how="writable" if ok else "not writable"
    )


def _releases(service: Service) -> Diagnosis:
    folder = service.layout.releases
    count = sum(p.is_dir() for p in folder.iterdir()) if folder.is_dir() else 0
    remedy = f"ls -lt {shlex.quote(str(folder))}  # keep at least two: Capistrano's keep_releases"
    return _line("releases", count >= 2, remedy, "{count} releases; going back needs two", count=count)


def _link(service: Service) -> Diagnosis:
    linked, current = service.layout.linked(), service.layout.current
    ok = linked is not None and current.is_symlink() and service.layout.release(linked).is_dir()
    remedy = f"ln -sfn releases/VERSION {shlex.quote(str(current))}"
    where = linked or "no release"
    return _line("current", ok, remedy, "current points to {where}{gone}", where=where,
                 gone="" if ok or not linked else ", which is gone")  # fmt: skip


def _env_file(service: Service) -> Diagnosis:
    if service.layout.env_file is None:
        return _line("env_file", True, "", "none is declared")
    try:
        count = len(service.env())
    except BackoutError as error:
        return Diagnosis(subject="env_file", ok=False, evidence=error.what, remedy=error.next_command)
    return _line("env_file", count > 0, "", "{path} is readable", path=str(service.layout.env_file))


def _start_command(service: Service) -> Iterator[Diagnosis]:
    linked = service.layout.linked()
    if linked is None:
        remedy = f"ls -l {shlex.quote(str(service.layout.root))}"
        yield _line("start", None, remedy, "no current release to try the command in")
        return
    try:
        env = service.env()
    except BackoutError:
        env = service_env(service.site.environ, {})
    redact = service.site.redactor.text
    form = [redact(str(m)) for m in mistakes_of_form(service.options.start)]
    if form:
        remedy = "${EDITOR:-vi} backout.yaml  # platform.start: [sh, -c, 'exec …']"
        yield _line("start", False, remedy, "{mistakes}", mistakes="; ".join(form))
    bad, refs = 0, _retained(service, linked)
    for ref in refs:
        release, words = service.layout.release(ref), service.command(ref)
        mistakes = [redact(str(m)) for m in mistakes_in(release, words, env)]
        if mistakes:
            bad += 1
            remedy = f"cd {shlex.quote(str(release))} && ls -l; command -v {shlex.quote(redact(words[0]))}"
            text = "would not start from release {ref}: {mistakes}"
            yield _line("start", False, remedy, text, ref=ref, mistakes="; ".join(mistakes))
    if not bad and not form:
        program = redact(service.command(linked)[0])
        text = "{program} is found from release {ref}{others}"
        others = f", and from {len(refs) - 1} more" if len(refs) > 1 else ""
        yield _line("start", True, "", text, program=program, ref=linked, others=others)


def _retained(service: Service, linked: str) -> list[str]:
    """Return the current release and the newest others."""
    try:
        dated = [(p.stat().st_mtime, p.name) for p in service.layout.releases.iterdir() if p.is_dir()]
    except OSError:
        dated = []  # the line `releases` says so
    others = [name for _, name in sorted(dated, reverse=True) if name != linked and not name.startswith(".")]
    return [linked, *others[: _LOOKED_AT - 1]]


def _process(service: Service) -> Diagnosis:
    pid_file = shlex.quote(str(service.layout.pid_file))
    try:
        found = service.running()
        strangers = () if found else service.strangers()
    except BackoutError as error:
        return Diagnosis(subject="process", ok=None, evidence=error.what, remedy=error.next_command)
    if strangers:
        what, command = told(strangers, service.layout)
        return Diagnosis(subject="process", ok=None, evidence=what, remedy=command)
    if not found:
        return _line("process", False, f'ps -fp "$(cat {pid_file})"', "no process of this service was found")
    first = found[0]
    remedy = f"ps -fp {','.join(str(f.pid) for f in found)}"
    text = "{count} running: process {pid} runs {ref}"
    return _line("process", len(found) == 1, remedy, text, count=len(found), pid=first.pid, ref=first.ref)


def _disk(service: Service) -> Diagnosis:
    root = service.layout.root
    try:
        free = shutil.disk_usage(root).free
    except OSError as error:
        return _line(
            "disk", None, f"df -h {shlex.quote(str(root))}", "{why}", why=error.strerror or "unknown"
        )
    return _line("disk", free >= _ENOUGH_BYTES, f"df -h {shlex.quote(str(root))}", "{free_mib} MiB free",
                 free_mib=free // (1024 * 1024))  # fmt: skip


def _ready(service: Service) -> Diagnosis:
    url, trouble = str(service.options.ready_url), service.trouble_of_ready_url()
    shown = service.site.redactor.text(url)
    text = "{url} answers" if trouble is None else "{url}: {trouble}"
    return _line(
        "ready_url", trouble is None, f"curl -v {shlex.quote(shown)}", text, url=shown, trouble=trouble
    )
