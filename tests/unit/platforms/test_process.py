"""The process platform's parts that need no running service."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from backout.clock import SystemClock
from backout.env_file import read_env
from backout.errors import ConfigError, LeaseLost, StoreUnreadable, TargetUnreachable, UnknownVersion
from backout.observed import Workload
from backout.platforms.base import Site
from backout.platforms.process import ProcessOptions, ProcessPlatform
from backout.platforms.process.files import write_atomically
from backout.platforms.process.lease import fenced
from backout.platforms.process.options import Layout, service_env
from backout.platforms.process.tree import digest_of_tree
from backout.redact import Redactor
from backout.release import Artefact
from backout.testing.lease import lease_of
from backout.testing.records import release_of
from backout.testing.steps import acting_on


def platform_in(root: Path, **extra: object) -> ProcessPlatform:
    site = Site("web", "production", root, dict(os.environ), SystemClock(), Redactor())
    options = {"root": ".", "start": "./server --port 80", **extra}
    return ProcessPlatform.create(ProcessOptions.model_validate(options), site)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for ref in ("v1", "v2"):
        (tmp_path / "releases" / ref).mkdir(parents=True)
    return tmp_path


def test_start_is_split_as_a_shell_would_and_release_is_filled_in(root: Path) -> None:
    platform = platform_in(root, start="{release}/bin/x --name 'a b'")
    assert platform.command("v1") == [f"{root}/releases/v1/bin/x", "--name", "a b"]
    with pytest.raises(ValidationError, match="at least 1"):
        platform_in(root, start="")


def test_paths_start_at_the_root_which_starts_at_the_configuration(tmp_path: Path) -> None:
    options = ProcessOptions(root="srv", start=("x",), pid_file="/run/x.pid", env_file="shared/env")
    layout = Layout.of(options, service="web", directory=tmp_path)
    assert layout.root == tmp_path / "srv"
    assert (layout.pid_file, layout.env_file) == (Path("/run/x.pid"), tmp_path / "srv/shared/env")
    assert layout.log_file == tmp_path / "srv/shared/log/web.log"


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("releases/v1", "v1"),
        ("{root}/releases/v1", "v1"),
        ("releases/v1/public", "v1"),
        ("releases/gone", "gone"),
        ("elsewhere", None),
        ("releases", None),
        ("releases/..", None),
    ],
)
def test_what_the_link_says(root: Path, text: str, ref: str | None) -> None:
    (root / "current").symlink_to(text.format(root=root))
    assert platform_in(root).layout.linked() == ref


def test_env_files(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=1\nexport B='two words'\nC=\"x=y\"\nD=\n")
    assert read_env(file) == {"A": "1", "B": "two words", "C": "x=y", "D": ""}
    file.write_text("A=1\nsecret-without-name\n")
    with pytest.raises(ConfigError, match="line 2") as caught:
        read_env(file)
    assert "secret-without-name" not in str(caught.value.what)
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        read_env(tmp_path / "gone")


def test_what_is_exported_in_somebodys_shell_does_not_reach_the_service() -> None:
    shell = {"PATH": "/bin", "LC_ALL": "C", "DATABASE_URL": "postgres://staging", "BACKOUT_FAULT": "x"}
    assert service_env(shell, {"PORT": "80"}) == {"PATH": "/bin", "LC_ALL": "C", "PORT": "80"}


def add_file(folder: Path) -> None:
    (folder / "more").write_text("")


def change(folder: Path) -> None:
    (folder / "file").write_text("other")


def make_executable(folder: Path) -> None:
    (folder / "file").chmod(0o755)


def move_link(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("elsewhere")


def add_folder(folder: Path) -> None:
    (folder / "sub").mkdir()


def rename(folder: Path) -> None:
    (folder / "file").rename(folder / "fil")


def cache(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/x.pyc").write_text("x")
    (folder / "y.pyc").write_text("y")


def runtime(folder: Path) -> None:
    (folder / "tmp").mkdir()
    (folder / "tmp/x").write_text("x")


def touch(folder: Path) -> None:
    os.utime(folder / "file", (1, 1))


@pytest.mark.parametrize("what", [add_file, change, make_executable, move_link, add_folder, rename])
def test_the_digest_notices(tmp_path: Path, what: Callable[[Path], None]) -> None:
    before = tree(tmp_path)
    what(tmp_path)
    assert digest_of_tree(tmp_path) != before


@pytest.mark.parametrize("what", [cache, runtime, touch])
def test_the_digest_does_not_mind(tmp_path: Path, what: Callable[[Path], None]) -> None:
    before = tree(tmp_path)
    what(tmp_path)
    assert digest_of_tree(tmp_path) == before


def tree(folder: Path) -> str:
    (folder / "file").write_text("content")
    (folder / "link").symlink_to("file")
    return digest_of_tree(folder)


def test_releases_are_listed_newest_first(root: Path) -> None:
    os.utime(root / "releases/v1", (2_000_000_000, 2_000_000_000))
    (root / "releases/.tmp").mkdir()
    (root / "releases/notes.txt").touch()
    assert [a.ref for a in platform_in(root).artefacts(1)] == ["v1", "v2"]


@pytest.mark.parametrize("ref", ["v9", "", ".", "..", "../releases/v1", "/etc"])
def test_what_is_no_release_is_not_identified(root: Path, ref: str) -> None:
    with pytest.raises(UnknownVersion):
        platform_in(root).identify(ref)


def test_switch_stops_links_and_starts(root: Path) -> None:
    workload = Workload(wanted=Artefact(ref="20260102"), running=(Artefact(ref="20260102"),))
    steps = platform_in(root).switch(workload, Artefact(ref="20260101"), from_version="v2", to_version="v1")
    told = [(s.kind, s.params["ref"], s.params["version"]) for s in steps]
    assert told == [
        ("process.stop", "20260102", "v2"),
        ("process.link", "20260101", "v1"),
        ("process.start", "20260101", "v1"),
    ]


def test_switch_to_what_runs_stops_nothing(root: Path) -> None:
    workload = Workload(wanted=Artefact(ref="v1"), running=(Artefact(ref="v1"),))
    steps = platform_in(root).switch(workload, Artefact(ref="v1"), from_version="v2", to_version="v1")
    assert [s.kind for s in steps] == ["process.link", "process.start"]


def test_by_hand_names_real_paths(root: Path) -> None:
    platform = platform_in(root, env_file="shared/env", ready_url="http://127.0.0.1:1/health")
    workload = Workload(wanted=Artefact(ref="v2"), running=(Artefact(ref="v2"),))
    steps = platform.switch(workload, Artefact(ref="v1"), from_version="v2", to_version="v1")
    text = "\n".join(c for s in steps for c in platform.step_kinds()[s.kind].by_hand(s))
    for part in (
        f"cd {root}/releases/v1",
        f"{root}/shared/env",
        "./server --port 80",
        "http://127.0.0.1:1/health",
    ):
        assert part in text
    assert f"{root}/shared/pids/web.pid" in text and "releases/v1 .current.new" in text


def test_a_lease_that_cannot_be_read_is_unknown_not_free(root: Path) -> None:
    write_atomically(root / ".backout/lease.json", "{not json")
    with pytest.raises(StoreUnreadable, match=r"lease\.json"):
        platform_in(root).lease_store().read()


def test_an_older_generation_is_refused_and_the_newest_let_through(root: Path) -> None:
    platform = platform_in(root)
    assert platform.lease_store().swap(None, lease_of(5))
    with fenced(platform.layout, acting_on({}, generation=5)):
        pass
    with (
        pytest.raises(LeaseLost, match="took this service over"),
        fenced(platform.layout, acting_on({}, generation=4)),
    ):
        pytest.fail("it was let through")


def test_a_state_folder_that_cannot_be_written_is_named(root: Path) -> None:
    (root / ".backout").touch()  # also stops root, whom permissions do not
    with pytest.raises(TargetUnreachable, match=r"\.backout"):
        platform_in(root).lease_store().swap(None, lease_of(1))


def test_a_broken_line_does_not_hide_the_other_records(root: Path) -> None:
    store = platform_in(root).record_store()
    store.write_record(release_of(1))
    with (root / ".backout/releases.jsonl").open("a") as file:
        file.write('{"half": ')
    assert [r.id for r in store.read_records()] == ["rel-1"]


def test_a_start_command_with_a_secret_is_not_remembered(root: Path) -> None:
    platform = platform_in(root, start="./server --token tok-5c1e-secret")
    platform.site.redactor.add("tok-5c1e-secret")
    platform.record_store().write_record(release_of(1))
    assert "tok-5c1e-secret" not in (root / ".backout/platform.json").read_text()
    with pytest.raises(ConfigError, match="missing: start"):
        ProcessPlatform.from_root(root, platform.site)


def test_detection(root: Path) -> None:
    assert ProcessPlatform.detect(root / "releases/v1") is None
    (root / "current").symlink_to("releases/v2")
    (root / "shared/pids").mkdir(parents=True)
    (root / "shared/pids/puma.pid").touch()
    (root / "shared/.env").write_text("TOKEN=tok-5c1e-secret\n")
    (root / "releases/v2/start.sh").touch()
    found = ProcessPlatform.detect(root)
    assert found is not None and found.options == {
        "root": ".",
        "env_file": "shared/.env",
        "pid_file": "shared/pids/puma.pid",
        "start": ["./start.sh"],
    }


def test_doctor_says_what_is_missing_with_a_remedy(tmp_path: Path) -> None:
    platform = platform_in(tmp_path / "gone", env_file="shared/env", ready_url="http://127.0.0.1:9/")
    lines = {line.subject: line for line in platform.doctor()}
    assert {s for s, line in lines.items() if line.ok is False} == {
        "root", "releases", "current", "env_file", "process", "ready_url",
    }  # fmt: skip
    assert all(line.remedy for line in lines.values() if line.ok is not True)
