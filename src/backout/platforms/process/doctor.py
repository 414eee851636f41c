"""What `doctor` tries for this platform: everything a rollback would need, touching nothing."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from backout.errors import BackoutError
from backout.message import Field, msg
from backout.platforms.base import Diagnosis
from backout.platforms.process.service import Service
from backout.platforms.process.strangers import told

_ENOUGH_BYTES = 64 * 1024 * 1024


def diagnose(service: Service) -> Iterator[Diagnosis]:
    """Yield one line for each thing a rollback needs."""
    yield _root(service)
    yield _releases(service)
    yield _link(service)
    yield _env_file(service)
    yield _start_command(service)
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


def _start_command(service: Service) -> Diagnosis:
    linked = service.layout.linked()
    if linked is None:
        remedy = f"ls -l {shlex.quote(str(service.layout.root))}"
        return _line("start", None, remedy, "no current release to try the command in")
    program = service.command(linked)[0]
    try:
        path = service.env().get("PATH")
    except BackoutError:
        path = None
    here = Path(service.layout.release(linked), program)
    found = (
        (str(here) if os.access(here, os.X_OK) else None)
        if "/" in program
        else shutil.which(program, path=path)
    )
    remedy = f"cd {shlex.quote(str(service.layout.release(linked)))} && command -v {shlex.quote(program)}"
    how = "found" if found else "not found, or not executable"
    return _line("start", found is not None, remedy, "{program} is {how} from release {ref}",
                 program=service.site.redactor.text(program), how=how, ref=linked)  # fmt: skip


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
