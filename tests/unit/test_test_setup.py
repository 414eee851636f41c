"""What `make test` cannot install is named with its remedy, and what may be left out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "test-setup"
SERVICES = (
    "git",
    "curl",
    "ps",
    "initdb",
    "psql",
    "pgbouncer",
    "prometheus",
    "docker-registry",
    "haproxy",
    "nginx",
    "socat",
)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine that has all services, Go and Node, and no apt-get; it cannot have the Kubernetes node."""
    programs = tmp_path / "bin"
    programs.mkdir()
    # What the script itself needs; it cannot install anything from here.
    for name in ("bash", "dirname", "head", "sort", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    for name in SERVICES:
        program(programs, name)
    program(programs, "go", "go1.25.1")
    program(programs, "node", "v20.1.0")
    return programs


def program(programs: Path, name: str, prints: str = "") -> None:
    (programs / name).write_text(f"#!/bin/sh\necho {prints}\n")
    (programs / name).chmod(0o755)


def set_up(machine: Path, skip: str) -> tuple[int, str]:
    """Run it in a clone without the tests' own files, so that it could build nothing either."""
    clone = machine.parent / "clone"
    (clone / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, clone / "scripts")
    done = subprocess.run(
        [clone / "scripts" / "test-setup"],
        env={"PATH": str(machine), "HOME": str(machine), "BACKOUT_SKIP": skip},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_is_there_needs_nothing(machine: Path) -> None:
    assert set_up(machine, "kubernetes,node,java,mlflow") == (0, "")


def test_a_go_that_is_too_old_is_named(machine: Path) -> None:
    program(machine, "go", "go1.21.4")
    assert set_up(machine, "kubernetes,node,java,mlflow") == (
        3,
        (
            "backout: needs Go 1.25 or newer, found 1.21.4: install it from go.dev/dl; "
            "or leave out: BACKOUT_SKIP=kubernetes,node,java,mlflow,go make test\n"
        ),
    )


@pytest.mark.parametrize("found", [None, "v18.20.4"])
def test_a_node_that_is_missing_or_too_old_is_named(machine: Path, found: str | None) -> None:
    if found:
        program(machine, "node", found)
    else:
        (machine / "node").unlink()
    said = f", found {found[1:]}" if found else ""
    assert set_up(machine, "kubernetes,go,java,mlflow") == (
        3,
        (
            f"backout: needs Node 20 or newer{said}: install it from nodejs.org; "
            "or leave out: BACKOUT_SKIP=kubernetes,go,java,mlflow,node make test\n"
        ),
    )


@pytest.mark.parametrize("lacks", ["javac", "mvn"])
def test_java_without_a_part_is_named(machine: Path, lacks: str) -> None:
    for name in {"javac", "mvn"} - {lacks}:
        program(machine, name)
    code, told = set_up(machine, "kubernetes,go,node,mlflow")
    assert code == 3 and told.startswith("backout: needs Java 17 or newer (a JDK) and Maven")
    assert told.endswith("or leave out: BACKOUT_SKIP=kubernetes,go,node,mlflow,java make test\n")


def test_where_nothing_can_be_installed_what_is_missing_is_named(machine: Path) -> None:
    (machine / "prometheus").unlink()
    assert set_up(machine, "kubernetes, go, node, java, mlflow") == (
        3,
        (
            "backout: needs prometheus (macOS: brew install prometheus); "
            "or leave services out: BACKOUT_SKIP=kubernetes,go,node,java,mlflow,prometheus make test\n"
        ),
    )


def test_what_is_left_out_stays_left_out_in_the_command_that_is_told(machine: Path) -> None:
    (machine / "prometheus").unlink()
    told = set_up(machine, " node ,,kubernetes,java,mlflow")[1]
    assert told.endswith(
        "or leave services out: BACKOUT_SKIP=node,kubernetes,java,mlflow,prometheus make test\n"
    )


def test_a_mistyped_name_is_told_before_anything_is_done(machine: Path) -> None:
    code, told = set_up(machine, "promethius")
    assert (code, told.count("\n")) == (3, 1)
    assert told.startswith("backout: BACKOUT_SKIP names promethius; it knows: postgres ")
