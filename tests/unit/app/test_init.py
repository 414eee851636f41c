"""`init` writes a file that loads, carries no secret, and never replaces one by accident."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from backout.app.init import InitResult, init, write_init
from backout.config.load import load_config
from backout.config.problems import ConfigMistakes
from backout.errors import NotPossible, UsageError

URL = "postgres://app:hunter22@127.0.0.1/app"


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    """A service as Capistrano leaves it: releases, a link, an env file with a secret."""
    root = tmp_path / "collector"
    release = root / "releases" / "20260101"
    release.mkdir(parents=True)
    (release / "Procfile").write_text("web: gunicorn -b :${PORT} app\n")
    (release / "package.json").write_text('{"name": "@acme/reports"}')
    (root / "current").symlink_to("releases/20260101")
    (root / ".env").write_text(f"DATABASE_URL={URL}\nAPI_TOKEN=hunter23\n")
    return root


def said(result: InitResult) -> str:
    return "\n".join(map(str, result.evidence))


def test_the_written_file_loads_and_is_valid_for_editors(deployed: Path) -> None:
    result = init(deployed, {})
    path = write_init(result)
    assert path == deployed / "backout.yaml"
    assert (deployed / ".backout").stat().st_mode & 0o777 == 0o700, "the journal comes here too"
    loaded = load_config(path, {"DATABASE_URL": URL})
    assert (loaded.config.service, loaded.config.environment) == ("reports", "production")
    assert loaded.platform.kind == "process"
    assert loaded.platform.options.model_dump()["start"] == ("sh", "-c", "exec gunicorn -b :${PORT} app")
    assert loaded.database is not None and loaded.database.kind == "postgres"
    assert result.missing == ()
    schema = json.loads((deployed / ".backout" / "backout.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))
    assert path.read_text().startswith("# yaml-language-server: $schema=.backout/backout.schema.json\n")


def test_no_secret_is_in_what_is_written_or_said(deployed: Path) -> None:
    result = init(deployed, {"DATABASE_URL": URL})
    assert "hunter" not in result.text + result.schema + said(result)
    assert "url: ${DATABASE_URL}" in result.text


def test_a_secret_that_an_adapter_gave_away_becomes_a_reference(tmp_path: Path) -> None:
    from backout.config.adapters import DATABASES, Registry, load_adapter
    from backout.message import msg
    from backout.platforms.base import Detection

    class Careless:
        Options = load_adapter(DATABASES, "postgres").Options

        @classmethod
        def detect(cls, directory: Path) -> Detection:
            return Detection(kind="postgres", options={"url": URL}, evidence=msg("seen"), confidence=1)

    class Entry:
        def load(self) -> type[Careless]:
            return Careless

    registry: Registry = {DATABASES: {"postgres": Entry()}}
    result = init(tmp_path, {}, registry=registry)
    assert "hunter" not in result.text and "url: ${DATABASE_URL}" in result.text


def test_what_has_to_be_set_or_filled_in_is_said(deployed: Path) -> None:
    (deployed / "current" / "Procfile").unlink()
    result = init(deployed, {})
    assert result.missing == ("platform.start",)
    assert "platform.start: not found; fill it in before the first command" in said(result)
    env_file = deployed / ".env"
    assert f"DATABASE_URL: not set here, but in {env_file}; " in said(result)
    assert f"before the first command: set -a; . {env_file}; set +a" in said(result)
    env_file.write_text(f"DATABASE_URL={URL}\nno assignment: a shell would stop here\n")
    plain = said(init(deployed, {}))
    assert "DATABASE_URL: not set here; before the first command: export DATABASE_URL=…" in plain
    assert "DATABASE_URL: not set" not in said(init(deployed, {"DATABASE_URL": URL}))
    with pytest.raises(ConfigMistakes, match=r"platform\.start: expected this key, found none"):
        load_config(write_init(result), {"DATABASE_URL": URL})


def test_where_nothing_is_found_the_file_says_what_could_stand_there(tmp_path: Path) -> None:
    result = init(tmp_path, {})
    assert result.missing == ("platform",)
    assert {"platform: none found", "router: none found", "database: none found"} <= set(
        map(str, result.evidence)
    )
    for block in (
        "# platform:\n#   kind: command\n",
        "# router:\n#   kind: front\n",
        "# database:\n#   kind: postgres\n",
    ):
        assert block in result.text
    with pytest.raises(ConfigMistakes, match="platform: expected this key"):
        load_config(write_init(result), {})


def test_every_commented_default_is_a_valid_one(deployed: Path) -> None:
    """Taking the # away from every default in a found section still loads."""
    text = init(deployed, {}).text
    keep = [
        line.replace("  # ", "  ", 1) if line.startswith("  # ") and _is_key(line) else line
        for line in text.splitlines()
    ]
    (deployed / "backout.yaml").write_text("\n".join(keep))
    load_config(deployed / "backout.yaml", {"DATABASE_URL": URL})


def _is_key(line: str) -> bool:
    key, colon, value = line.removeprefix("  # ").partition(":")
    return bool(colon and value.strip()) and key.replace("_", "").isalnum() and key.islower()


@pytest.mark.parametrize(
    ("files", "name", "source"),
    [
        (
            {"pyproject.toml": '[project]\nname = "alpha"', "package.json": '{"name": "beta"}'},
            "alpha",
            "pyproject.toml",
        ),
        ({"pyproject.toml": "not [toml", "package.json": '{"name": "@acme/beta"}'}, "beta", "package.json"),
        ({"package.json": "[]"}, "gamma", "the git remote"),
        ({"package.json": '{"name": 5}'}, "gamma", "the git remote"),
    ],
)
def test_the_name_of_the_service(tmp_path: Path, files: dict[str, str], name: str, source: str) -> None:
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    remote = "https://x:hunter22@git.example.com/team/gamma.git"
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", remote], check=True)
    result = init(tmp_path, {})
    assert f"service: {name}, from {source}" in said(result)
    assert "hunter" not in result.text + said(result)


def test_without_any_name_the_directory_counts(tmp_path: Path) -> None:
    (tmp_path / "my service").mkdir()
    assert "service: my-service, from the directory's name" in said(init(tmp_path / "my service", {}))


def test_a_file_that_is_there_stays_unless_forced_and_then_stands_beside(tmp_path: Path) -> None:
    path = tmp_path / "backout.yaml"
    path.write_text("mine")
    result = init(tmp_path, {})
    with pytest.raises(UsageError, match="is there already") as caught:
        write_init(result)
    assert caught.value.next_command == f"backout init --force {tmp_path}"
    assert path.read_text() == "mine" and not (tmp_path / ".backout").exists()
    write_init(result, force=True)
    assert path.read_text() == result.text
    assert (tmp_path / "backout.yaml.old").read_text() == "mine"


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no directory"):
        init(tmp_path / "nowhere", {})


def test_a_directory_that_is_gone_by_the_time_of_writing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    result = init(tmp_path / "a", {})
    (tmp_path / "a").rmdir()
    with pytest.raises(NotPossible, match="cannot be written: No such file"):
        write_init(result)


def test_a_database_named_by_the_environment_is_found_and_its_password_is_not_kept(tmp_path: Path) -> None:
    found = init(tmp_path, {"DATABASE_URL": "postgres://app:hunter22@db/app"})
    assert "url: ${DATABASE_URL}" in found.text
    assert "hunter22" not in found.text
