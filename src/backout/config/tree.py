"""YAML text to plain data in which every value knows its line: nothing is lost on the way to an error."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from backout.config.problems import ConfigMistakes, KeyPath, Place, Problem, dotted
from backout.config.references import References
from backout.env_file import ENV_FILES
from backout.errors import ConfigError
from backout.message import Message, msg

FILE_NAME = "backout.yaml"
MAX_BYTES = 1_000_000
MAX_VALUES = 20_000
"""Values after aliases are followed: a real file has a few hundred, an alias bomb millions."""
_TAG = "tag:yaml.org,2002:"
_CONSTRUCTED = frozenset({_TAG + "null", _TAG + "bool", _TAG + "int", _TAG + "float"})
_TEXT = frozenset({_TAG + "str", _TAG + "timestamp", _TAG + "value"})


@dataclass(slots=True)
class Tree:
    """The file as data.

    Attributes:
        data: Mappings, lists and scalars, references resolved.
        places: Where each key (or list entry) stands, by path; ``()`` is the top of the file.
        value_places: Where each value stands.
        raw: The text of each scalar as it is written, so that no resolved secret gets into an error.
        problems: Mistakes found so far.
        secrets: Resolved values that must never be shown.
        variables: Names of the environment variables that are referred to.
        env_files: Env files of the service that are there.
    """

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=lambda: {(): Place(1, 1)})
    value_places: dict[KeyPath, Place] = field(default_factory=dict)
    raw: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    secrets: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    env_files: tuple[Path, ...] = ()


def read_text(path: Path) -> str:
    """Return the file's text.

    Raises:
        ConfigError: It is not there, cannot be read, is too large or is not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        there = next((folder for folder in path.parents if folder.is_dir()), path.parent)
        what = msg("There is no configuration file {path}.", path=str(path))
        raise _unusable(what, f"ls -l {shlex.quote(str(there))}") from None
    except OSError as error:
        what = msg(
            "The configuration file {path} cannot be read: {reason}.",
            path=str(path),
            reason=error.strerror or str(error),
        )
        raise _unusable(what, f"ls -ld {path}") from error
    if len(raw) > MAX_BYTES:
        what = msg(
            "{path} has {size} bytes; a configuration has at most {limit}.",
            path=str(path),
            size=len(raw),
            limit=MAX_BYTES,
        )
        raise _unusable(what, f"ls -l {path}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_start = raw.rfind(b"\n", 0, error.start) + 1
        place = Place(raw.count(b"\n", 0, error.start) + 1, error.start - line_start + 1)
        what = msg("expected UTF-8 text, found the byte {byte}.", byte=f"0x{raw[error.start]:02x}")
        raise ConfigMistakes(path, [Problem(place, "", what, msg("Save the file as UTF-8."))]) from error


def parse(text: str, path: Path, environ: Mapping[str, str]) -> Tree:
    """Return the text as a tree, with every mistake that can be told without knowing the keys.

    Raises:
        ConfigMistakes: It is not YAML, is empty, or is not a mapping: nothing more can be said.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise ConfigMistakes(path, [_syntax_problem(error)]) from None
    except yaml.reader.ReaderError as error:
        line_start = text.rfind("\n", 0, error.position) + 1
        place = Place(text.count("\n", 0, error.position) + 1, error.position - line_start + 1)
        what = msg(
            "expected printable text, found the character {char}.", char=f"U+{ord(text[error.position]):04X}"
        )
        raise ConfigMistakes(path, [Problem(place, "", what)]) from None
    except RecursionError:
        what = msg("expected a configuration, found values nested too deep to read.")
        raise ConfigMistakes(path, [Problem(Place(1, 1), "", what)]) from None
    # `init` writes one name only: for a file of another name it would write beside it.
    command = shlex.join(["backout", "init", "--force", str(path.parent)])
    remedy = msg("`{command}` writes a new one.", command=command) if path.name == FILE_NAME else None
    if root is None:
        problem = Problem(
            Place(1, 1), "", msg("expected keys such as service and platform, found an empty file."), remedy
        )
        raise ConfigMistakes(path, [problem])
    if not isinstance(root, MappingNode):
        problem = Problem(
            _place(root),
            "",
            msg("expected keys such as service and platform, found {found}.", found=_kind(root)),
            remedy,
        )
        raise ConfigMistakes(path, [problem])
    references = References(environ, env_files=_env_files(root, path.parent))
    reader = _Reader(references)
    try:
        reader.tree.data = reader.mapping(root, ())
    except _TooMuchError as found:
        raise ConfigMistakes(path, [found.problem]) from None
    reader.tree.secrets, reader.tree.variables = frozenset(references.secrets), frozenset(references.used)
    reader.tree.env_files = references.env_files
    return reader.tree


class _TooMuchError(Exception):
    """Aliases that lead to themselves or to far too many values."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


class _Reader:
    """One walk over the composed nodes."""

    def __init__(self, references: References) -> None:
        self.tree = Tree()
        self._references = references
        self._scalars = yaml.SafeLoader("")
        self._open: set[int] = set()
        self._count = 0

    def mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        """Return a mapping, its `<<` keys filled in."""
        result: dict[str, Any] = {}
        seen: dict[str, Place] = {}
        self._enter(node, path)
        for key_node, value_node, merged in _pairs(node, frozenset()):
            key = self._key(key_node, path)
            if key is None or (merged and key in result):
                continue
            here = (*path, key)
            if key in seen and not merged:
                what = msg(
                    "expected each key once, found it again (first on line {line}).", line=seen[key].line
                )
                self._problem(_place(key_node), here, what, msg("Keep one of them."))
                continue
            seen[key] = self.tree.places[here] = _place(key_node)
            result[key] = self._value(value_node, here)
        self._open.discard(id(node))
        return result

    def _value(self, node: Node, path: KeyPath) -> Any:
        self.tree.value_places[path] = _place(node)
        self.tree.places.setdefault(path, _place(node))
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            self._enter(node, path)
            values = [self._value(child, (*path, i)) for i, child in enumerate(node.value)]
            self._open.discard(id(node))
            return values
        assert isinstance(node, ScalarNode)
        self._enter(node, path)
        self._open.discard(id(node))
        return self._scalar(node, path)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        raw = str(node.value)
        self.tree.raw[path] = raw
        # `22:30` is the number 1350 in YAML 1.1, and a date is an object: neither is ever meant here.
        if node.tag in _CONSTRUCTED and ":" not in raw:
            return self._scalars.construct_object(node)
        if node.tag not in _TEXT and node.tag not in _CONSTRUCTED:
            self._problem(
                _place(node),
                path,
                msg("expected plain text, found the tag {tag}.", tag=node.tag),
                msg("Remove the tag."),
            )
            return raw
        place = _place(node)
        for mistake in self._references.mistakes(path, raw):
            self._problem(place, path, *mistake)
        return self._references.resolve(path, raw)

    def _key(self, node: Node, path: KeyPath) -> str | None:
        if isinstance(node, ScalarNode):
            return str(node.value)
        self._problem(_place(node), path, msg("expected a name as key, found {found}.", found=_kind(node)))
        return None

    def _enter(self, node: Node, path: KeyPath) -> None:
        self._count += 1
        if id(node) in self._open:
            what = msg("expected a value, found an alias that contains itself.")
        elif self._count > MAX_VALUES or len(path) > 30:
            what = msg(
                "expected a configuration, found aliases or nesting that grow beyond {limit} values.",
                limit=MAX_VALUES,
            )
        else:
            self._open.add(id(node))
            return
        raise _TooMuchError(Problem(_place(node), dotted(path), what, msg("Write the values out.")))

    def _problem(
        self,
        place: Place,
        path: KeyPath,
        what: Message,
        remedy: Message | None = None,
        env_file: Path | None = None,
        unset: bool = False,
    ) -> None:
        self.tree.problems.append(Problem(place, dotted(path), what, remedy, env_file, unset))


def _env_files(root: MappingNode, directory: Path) -> tuple[Path, ...]:
    """Return the env files that are there: the declared one, then the usual places."""
    platform = next((v for k, v in root.value if k.value == "platform"), None)
    pairs = platform.value if isinstance(platform, MappingNode) else []
    told = {k.value: v.value for k, v in pairs if isinstance(k, ScalarNode) and isinstance(v, ScalarNode)}
    folder = directory / Path(told.get("root", ".")).expanduser()
    places = [folder / name for name in (told.get("env_file", ""), *ENV_FILES) if name]
    return tuple(dict.fromkeys(place.absolute() for place in places if place.is_file()))


def _pairs(node: MappingNode, seen: frozenset[int]) -> Iterator[tuple[Node, Node, bool]]:
    """Yield key, value and whether the pair came in by `<<`: own keys first, they win."""
    merges: list[Node] = []
    for key, value in node.value:
        if key.tag == _TAG + "merge":
            merges.extend(value.value if isinstance(value, SequenceNode) else [value])
        else:
            yield key, value, bool(seen)
    for source in merges:
        if isinstance(source, MappingNode) and id(source) not in seen and len(seen) < 20:
            for key, value, _ in _pairs(source, seen | {id(node), id(source)}):
                yield key, value, True


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    found = error.problem or error.context or str(error)
    if "'\\t'" in found:
        return Problem(place, "", msg("expected spaces, found a tab."), msg("Indent with spaces."))
    if "single document" in (error.context or ""):
        return Problem(
            place,
            "",
            msg("expected one document, found a second one after ---."),
            msg("Keep one file for each environment."),
        )
    remedy = msg("Texts with : or # need quotes; entries of one level start in the same column.")
    return Problem(place, "", msg("expected YAML, found a mistake: {found}.", found=found), remedy)


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _kind(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return f"the text {node.value!r}"
    return "keys" if isinstance(node, MappingNode) else "a list"


def _unusable(what: Message, next_command: str) -> ConfigError:
    return ConfigError(what, state=msg("Nothing was touched."), next_command=next_command)
