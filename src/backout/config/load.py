"""Reading `backout.yaml`: all mistakes at once, each with its line; secrets only from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from backout.config.adapters import SECTION_GROUPS, Registry, UnknownAdapter, load_adapter
from backout.config.model import Config, MigrationsSection
from backout.config.problems import ConfigMistakes, Problem, did_you_mean
from backout.config.tree import FILE_NAME, Tree, parse, read_text
from backout.document import digest_of
from backout.errors import ConfigError
from backout.message import msg
from backout.redact import Redactor


class Bound(NamedTuple):
    """An adapter's class and its validated options: ready for `adapter.create(options, site)`."""

    kind: str
    adapter: Any
    options: BaseModel


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used.

    Attributes:
        path: The file, absolute; relative paths in it start at its folder.
        digest: ``sha256:…`` of the text with its references unresolved: the same on every machine.
        redactor: Knows every secret that the file refers to.
        variables: Environment variables that the file refers to.
    """

    path: Path
    config: Config
    platform: Bound
    router: Bound | None
    database: Bound | None
    backups: Bound | None
    redactor: Redactor
    digest: str
    variables: frozenset[str] = frozenset()

    @property
    def state_directory(self) -> Path:
        """Folder of the journal, absolute."""
        return self.path.parent / Path(self.config.state).expanduser()


def find_config(given: Path | None, environ: Mapping[str, str], directory: Path) -> Path:
    """Return the file to use: `--config`, BACKOUT_CONFIG, then backout.yaml here or above, up to a git root.

    Raises:
        ConfigError: There is none, or BACKOUT_CONFIG names none.
    """
    found = config_there(given, environ, directory)
    if found is not None:
        return found
    raise ConfigError(
        msg("There is no {name} in {directory} or above it.", name=FILE_NAME, directory=str(directory)),
        state=msg("Nothing was touched."),
        next_command="backout init",
    )


def config_there(given: Path | None, environ: Mapping[str, str], directory: Path) -> Path | None:
    """Return the file that `find_config` finds; None: there is none.

    Raises:
        ConfigError: BACKOUT_CONFIG names none.
    """
    named = given or (Path(environ["BACKOUT_CONFIG"]) if environ.get("BACKOUT_CONFIG") else None)
    if named is not None:
        file = directory / named.expanduser()
        if given is None and not os.path.lexists(file):
            raise ConfigError(
                msg("BACKOUT_CONFIG names {path}, and there is no such file.", path=str(file)),
                state=msg("Nothing was touched."),
                next_command="unset BACKOUT_CONFIG   # or set it to the file that is meant",
            )
        return file
    for folder in (directory, *directory.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
        if (folder / ".git").exists():
            break
    return None


def load_config(path: Path, environ: Mapping[str, str], *, registry: Registry | None = None) -> Loaded:
    """Read, resolve and validate a configuration; touches nothing else.

    Env files are read only to say which one has a variable that is missing; no value is taken from them.

    Args:
        path: The file.
        environ: Where `${NAME}` references are taken from.
        registry: Adapters to use instead of the installed ones.

    Raises:
        ConfigError: It cannot be used; as `ConfigMistakes` with every mistake in file order.
    """
    path = path.absolute()
    text = read_text(path)
    return _loaded(path, text, parse(text, path, environ), registry)


def load_for_requests(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Return a configuration of platform and router alone: mistakes in other sections, and variables that they lack, do not count.

    Raises:
        ConfigError: It cannot be used for that either.
    """
    path = path.absolute()
    text = read_text(path)
    tree = parse(text, path, environ)
    tree.data = {key: value for key, value in tree.data.items() if key in _FOR_REQUESTS}
    tree.problems = [p for p in tree.problems if not p.key or re.split(r"[.\[]", p.key)[0] in _FOR_REQUESTS]
    return _loaded(path, text, tree, None)


_FOR_REQUESTS = ("service", "environment", "state", "platform", "router", "canary")
"""Sections that say where requests go."""


def _loaded(path: Path, text: str, tree: Tree, registry: Registry | None) -> Loaded:
    redactor = Redactor()
    redactor.add(*tree.secrets)
    config, bound = _validate(Config, tree), _bound(tree, registry)
    if tree.problems or config is None or bound["platform"] is None:
        raise ConfigMistakes(path, _redacted(_without_echoes(tree.problems), redactor))
    return Loaded(
        path=path,
        config=config,
        platform=bound["platform"],
        router=bound["router"],
        database=bound["database"],
        backups=bound["backups"],
        redactor=redactor,
        digest=digest_of(text),
        variables=frozenset(tree.variables),
    )


def load_migrations(path: Path, environ: Mapping[str, str]) -> MigrationsSection:
    """Return what a configuration says of migrations; variables that other sections refer to need not be set.

    Raises:
        ConfigError: It cannot be used, whichever section has the mistake.
    """
    path = path.absolute()
    redactor = Redactor()
    tree = parse(read_text(path), path, environ)
    redactor.add(*tree.secrets)
    _validate(Config, tree)
    _bound(tree, None)
    # What follows from a value that is not needed, at its own place, is no mistake either.
    excused = {(p.place, p.key) for p in tree.problems if p.unset and not p.key.startswith("migrations.")}
    problems = [p for p in tree.problems if (p.place, p.key) not in excused]
    if problems:
        raise ConfigMistakes(path, _redacted(_without_echoes(problems), redactor))
    return MigrationsSection.model_validate(tree.data.get("migrations") or {})


def _bound(tree: Tree, registry: Registry | None) -> dict[str, Bound | None]:
    return {section: _bind(section, tree, registry) for section in SECTION_GROUPS}


def _validate(model: type[Config], tree: Tree) -> Config | None:
    try:
        return model.model_validate(tree.data)
    except ValidationError as error:
        from backout.config.explain import explain

        tree.problems += explain(error, model, tree)
        return None


def _bind(section: str, tree: Tree, registry: Registry | None) -> Bound | None:
    data = tree.data.get(section)
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        return None  # absent, or already a mistake of the section itself
    kind = data["kind"]
    try:
        adapter = load_adapter(SECTION_GROUPS[section], kind, registry)
    except UnknownAdapter as unknown:
        path = (section, "kind")
        known = ", ".join(unknown.known) or "nothing (no adapter is installed)"
        what = msg("expected one of {known}, found {found}.", known=known, found=tree.raw[path])
        tree.problems.append(
            Problem(tree.value_places[path], f"{section}.kind", what, did_you_mean(kind, unknown.known))
        )
        return None
    try:
        options = adapter.Options.model_validate({key: value for key, value in data.items() if key != "kind"})
    except ValidationError as error:
        from backout.config.explain import explain

        tree.problems += explain(error, adapter.Options, tree, (section,))
        return None
    return Bound(kind, adapter, options)


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """Return the mistakes, without what follows from another one in the same value."""
    first: dict[tuple[object, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.place, problem.key), problem)
    return list(first.values())


def _redacted(problems: list[Problem], redactor: Redactor) -> list[Problem]:
    return [
        p._replace(
            what=p.what.model_copy(update={"fields": {k: redactor.json(v) for k, v in p.what.fields.items()}})
        )
        for p in problems
    ]
