"""`init`: looks around and proposes a commented `backout.yaml`; writes it only where none is."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backout.app.init_text import Found, config_text
from backout.config.adapters import SECTION_GROUPS, Registry, adapter_names, load_adapter
from backout.config.schema import schema_text
from backout.config.tree import FILE_NAME, parse
from backout.env_file import setting, sourced
from backout.errors import BackoutError, NotPossible, UsageError
from backout.message import Message, msg
from backout.platforms.base import Detection

SCHEMA_PATH = Path(".backout") / "backout.schema.json"
_GIT_TIMEOUT_S = 2.0
_SURE = 0.5


@dataclass(frozen=True, slots=True)
class InitResult:
    """What would be written, and why.

    Attributes:
        directory: Where `backout.yaml` would stand, absolute.
        text: Its text; never a secret in it.
        schema: The JSON Schema that goes beside it, for editors.
        evidence: What was found, what was not, and what has to be set or filled in: one line each.
        missing: Dotted keys that have to be filled in before the file loads.
    """

    directory: Path
    text: str
    schema: str
    evidence: tuple[Message, ...]
    missing: tuple[str, ...]


def init(directory: Path, environ: Mapping[str, str], *, registry: Registry | None = None) -> InitResult:
    """Look for service, platform, router and database below a directory; changes nothing.

    Args:
        directory: Where to look; `backout.yaml` would stand there.
        environ: To tell which variables still have to be set.
        registry: Adapters to ask instead of the installed ones.

    Raises:
        UsageError: There is no such directory.
    """
    directory = directory.absolute()
    if not directory.is_dir():
        raise UsageError(
            msg("There is no directory {directory}.", directory=str(directory)),
            state=msg("Nothing was written."),
            next_command="backout init .",
        )
    service, source = _service(directory)
    evidence = [msg("service: {service}, from {source}", service=service, source=source)]
    sections: dict[str, Found | None] = {}
    for section in SECTION_GROUPS:
        sections[section] = _detect(section, directory, registry, evidence)
    sections["database"] = sections["database"] or _named_by(environ, registry, evidence)
    text, missing = config_text(service, sections, registry)
    evidence += [msg("{key}: not found; fill it in before the first command", key=key) for key in missing]
    evidence += _unset(text, directory, environ)
    return InitResult(directory, text, schema_text(registry), tuple(evidence), missing)


def write_init(result: InitResult, *, force: bool = False) -> Path:
    """Write `backout.yaml` and its schema, and return the file's path.

    Args:
        result: What `init` proposed.
        force: Replace a file that is there; the old one stays as ``backout.yaml.old``.

    Raises:
        UsageError: The file is there and `force` is not given.
        NotPossible: The directory cannot be written.
    """
    path = result.directory / FILE_NAME
    try:
        if path.exists() and force:
            path.replace(path.with_name(FILE_NAME + ".old"))
        with path.open("x", encoding="utf-8") as file:
            file.write(result.text)
        schema = result.directory / SCHEMA_PATH
        schema.parent.mkdir(mode=0o700, exist_ok=True)  # The journal comes here too.
        schema.write_text(result.schema, encoding="utf-8")
    except FileExistsError as error:
        raise UsageError(
            msg("{path} is there already.", path=str(error.filename)),
            state=msg("Nothing was written."),
            next_command=shlex.join(["backout", "init", "--force", str(result.directory)]),
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotPossible(
            msg("{path} cannot be written: {reason}.", path=str(error.filename or path), reason=reason),
            state=msg(
                "A file that was there is unchanged, or stands beside it as {old}.", old=f"{FILE_NAME}.old"
            ),
            next_command=f"ls -ld {result.directory}",
        ) from error
    return path


def _detect(
    section: str, directory: Path, registry: Registry | None, evidence: list[Message]
) -> Found | None:
    """Return what the surest adapter found; what else was found is evidence."""
    found: list[tuple[Detection, Found]] = []
    for kind in adapter_names(SECTION_GROUPS[section], registry):
        try:
            adapter = load_adapter(SECTION_GROUPS[section], kind, registry)
            detection = adapter.detect(directory)
        except (BackoutError, OSError, ValueError) as error:
            evidence.append(
                msg("{section}: {kind} could not look: {error}", section=section, kind=kind, error=str(error))
            )
            continue
        if detection is not None:
            found.append((detection, Found(detection.kind, detection.options, adapter.Options)))
    found.sort(key=lambda pair: -pair[0].confidence)
    for place, (detection, _) in enumerate(found):
        fields = {"section": section, "kind": detection.kind, "evidence": str(detection.evidence)}
        if place:
            evidence.append(msg("{section}: could also be {kind}: {evidence}", **fields))
        elif detection.confidence <= _SURE:
            evidence.append(msg("{section}: probably {kind}: {evidence}", **fields))
        else:
            evidence.append(msg("{section}: {kind}: {evidence}", **fields))
    if not found:
        evidence.append(msg("{section}: none found", section=section))
        return None
    return found[0][1]


def _named_by(environ: Mapping[str, str], registry: Registry | None, evidence: list[Message]) -> Found | None:
    """Return the database that a variable of this environment names; its value is not kept."""
    names = (n for n in ("DATABASE_URL", "POSTGRES_URL") if environ.get(n, "").startswith("postgres"))
    name = next(names, None)
    if name is None or "postgres" not in adapter_names(SECTION_GROUPS["database"], registry):
        return None
    evidence.append(msg("database: postgres: the environment sets {name}", name=name))
    adapter = load_adapter(SECTION_GROUPS["database"], "postgres", registry)
    return Found("postgres", {"url": f"${{{name}}}"}, adapter.Options)


def _unset(text: str, directory: Path, environ: Mapping[str, str]) -> Iterator[Message]:
    tree = parse(text, directory / FILE_NAME, environ)
    for name in sorted(name for name in tree.variables if not environ.get(name)):
        file = setting(name, tree.env_files)
        if file is not None:
            fields = {"name": name, "file": str(file), "command": sourced(file)}
            yield msg("{name}: not set here, but in {file}; before the first command: {command}", **fields)
        else:
            yield msg("{name}: not set here; before the first command: export {name}=…", name=name)


def _service(directory: Path) -> tuple[str, str]:
    """Return the service's name, and where it comes from."""
    for file, name in _names(directory):
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name.rpartition("/")[2]).strip("-.")
        if plain:
            return plain, file
    return "service", "nothing: no name was found"


def _names(directory: Path) -> Iterator[tuple[str, str]]:
    # Under releases/<version> deployments the manifest lies in the current release.
    for folder in (directory, directory / "current"):
        for file, read in (("pyproject.toml", _pyproject_name), ("package.json", _package_name)):
            try:
                name = read((folder / file).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if name:
                yield str((folder / file).relative_to(directory)), name
    remote = _git_remote(directory)
    if remote:
        # Hazard: the rest of a remote's address may hold a token.
        yield "the git remote", re.split(r"[/:]", remote.rstrip("/"))[-1].removesuffix(".git")
    yield "the directory's name", directory.resolve().name


def _pyproject_name(text: str) -> str:
    project = tomllib.loads(text).get("project")
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) else ""


def _package_name(text: str) -> str:
    package = json.loads(text)
    name = package.get("name") if isinstance(package, dict) else None
    return name if isinstance(name, str) else ""


def _git_remote(directory: Path) -> str:
    try:
        asked = subprocess.run(
            ["git", "-C", str(directory), "remote", "get-url", "origin"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
