"""The layer that Python programs in images stand on: this machine's own CPython and packages of this environment.

It takes the interpreter, the standard library, the shared libraries that they need and the named packages with
what these need. Made once (some seconds), kept in the cache: every version of a program shares it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import py_compile
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from testbed.home import Home
from testbed.images import Layer

PACKAGES = "/opt/packages"
_FORMAT = "2"
_LEFT_OUT = {
    "__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests", "tkinter",
    "turtledemo", "venv",
}  # fmt: skip
_LEFT_OUT_PREFIXES = ("config-", "_test", "_tkinter", "_xxtest")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?")


def interpreter() -> str:
    """Return the interpreter's path in the image; the same as on this machine."""
    return str(_base() / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")


def environment() -> list[str]:
    """Return the variables that the interpreter needs in the image."""
    libraries = sysconfig.get_config_var("LIBDIR")
    return [f"PYTHONPATH={PACKAGES}", f"LD_LIBRARY_PATH={libraries}", "PYTHONUNBUFFERED=1", "LANG=C.UTF-8"]


def python_layer(home: Home, packages: Iterable[str]) -> Layer:
    """Return the layer with these packages (`psycopg[binary]`), made anew only when Python or a package has changed."""
    needed = sorted(_with_needs(packages))
    versions = [f"{name}={importlib.metadata.version(name)}" for name in needed]
    key = hashlib.sha256("\n".join([_FORMAT, sys.version, interpreter(), *versions]).encode()).hexdigest()[
        :16
    ]
    kept = home.layers / f"python-{key}.tar"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(_make(needed).data)
        new.rename(kept)
    return Layer(kept.read_bytes())


def _make(packages: Iterable[str]) -> Layer:
    files: dict[str, Path] = {interpreter(): Path(interpreter())}
    library = Path(sysconfig.get_path("stdlib"))
    files |= {str(file): file for file in _standard_library(library)}
    for name in packages:
        files |= dict(_package(name))
    for file in [file for file in files.values() if file.suffix == ".so" or ".so." in file.name]:
        files |= {needed: Path(needed) for needed in _needs(file)}
    files |= {needed: Path(needed) for needed in _needs(Path(interpreter()))}
    return Layer.of({**{name: file.resolve() for name, file in files.items()}, **_compiled(files)})


def _standard_library(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name in _LEFT_OUT or entry.name.startswith(_LEFT_OUT_PREFIXES):
            continue
        if entry.is_dir():
            yield from _standard_library(entry)
        elif entry.suffix in (".py", ".so"):
            yield entry


def _package(name: str) -> Iterator[tuple[str, Path]]:
    for file in importlib.metadata.files(name) or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            yield f"{PACKAGES}/{file}", Path(str(file.locate()))


def _with_needs(packages: Iterable[str]) -> set[str]:
    """Return the packages and what they need, by the names in this environment."""
    found: set[str] = set()
    waiting = [(m[1], m[2] or "") for m in map(_REQUIREMENT.match, packages) if m]
    while waiting:
        name, extras = waiting.pop()
        wanted = [extra.strip() for extra in extras.split(",") if extra.strip()]
        if name in found and not wanted:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            requirement, _, marker = line.partition(";")
            parsed = _REQUIREMENT.match(requirement.strip())
            if parsed and _applies(marker, wanted) and _installed(parsed[1]):
                waiting.append((parsed[1], parsed[2] or ""))
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def _applies(marker: str, extras: list[str]) -> bool:
    named = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
    return named is None or named[1] in extras


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _needs(file: Path) -> list[str]:
    """Return the shared libraries of the machine that a program or library is loaded with."""
    listed = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False).stdout
    paths = re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE)
    return [path for path in paths if not path.startswith(str(Path(sysconfig.get_path("platlib"))))]


def _compiled(files: Mapping[str, Path]) -> dict[str, bytes]:
    """Compile all modules once, so that a start does not; they are valid whatever the files' times."""
    compiled = {}
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "module.pyc"
        for name, file in files.items():
            if file.suffix == ".py":
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(str(file), str(to), dfile=name, doraise=True, invalidation_mode=mode)
                cached = (
                    Path(name).parent
                    / "__pycache__"
                    / f"{Path(name).stem}.{sys.implementation.cache_tag}.pyc"
                )
                compiled[str(cached)] = to.read_bytes()
    return compiled


def _base() -> Path:
    return Path(sys.base_exec_prefix)
