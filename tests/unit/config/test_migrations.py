"""What a configuration says of migrations: read without the variables of other sections, and never past a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from backout.app.migration_settings import migration_settings, switched_off
from backout.config.load import load_config, load_migrations
from backout.config.problems import ConfigMistakes
from backout.errors import ConfigError, UsageError

REST = """\
service: collector
platform: {kind: process, root: /srv, start: [run], stop_timeout_s: "${STOP_S}"}
database: {kind: postgres, url: "${DATABASE_URL}"}
checks:
  - {kind: http, url: "${HEALTH_URL}", timeout_s: "${HEALTH_S}"}
"""


def written(tmp_path: Path, migrations: str, rest: str = REST) -> Path:
    path = tmp_path / "backout.yaml"
    path.write_text(rest + migrations)
    return path


def test_without_a_section_it_is_as_without_a_file(tmp_path: Path) -> None:
    told = migration_settings(written(tmp_path, ""), {}, tmp_path)
    none = migration_settings(None, {}, Path("/"))
    assert none.file is None
    assert (told.mode, told.answers, told.variables, told.window_s) == ("on", {}, (), 72 * 3600)
    assert (none.mode, none.answers, none.variables, none.window_s) == ("on", {}, (), 72 * 3600)


def test_every_key_is_read_and_variables_of_other_sections_need_not_be_set(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "migrations: {mode: observe, answers: [fill orders.customer = 1, \"fill users.password='x';\", 'back t.c = c::text'], "
        "window_h: 1.5, variables: [APP_URL], keep: {orders: side-table}}",
    )
    told = migration_settings(None, {}, tmp_path)
    assert told.file == file
    assert told.answers == {
        "orders.customer": "1",
        "users.password": "'x'",
        "back t.c": "c::text",
        "keep orders": "side-table",
    }
    assert (told.mode, told.variables, told.window_s) == ("observe", ("APP_URL",), 5400)
    with pytest.raises(ConfigMistakes) as caught:
        load_config(file, {})
    assert {p.key for p in caught.value.problems if p.unset} == {
        "platform.stop_timeout_s", "database.url", "checks[0].url", "checks[0].timeout_s",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "mode"), [("on", "on"), ("off", "off"), ('"off"', "off"), ("observe", "observe")]
)
def test_the_mode_is_what_was_written_also_where_yaml_takes_it_for_a_switch(
    tmp_path: Path, text: str, mode: str
) -> None:
    assert load_migrations(written(tmp_path, f"migrations: {{mode: {text}}}"), {}).mode == mode


@pytest.mark.parametrize(
    ("migrations", "rest", "key"),
    [
        ("migrations: {mode: maybe}", REST, "migrations.mode"),
        ("migrations: {window_h: -1}", REST, "migrations.window_h"),
        ("migrations: {keep: {orders: beside}}", REST, "migrations.keep"),
        ("migrations: {answer: []}", REST, "migrations.answer"),
        ("migrations: {answers: [fill t.c]}", REST, "migrations.answers"),
        ("migrations: {answers: ['fill t.c = ']}", REST, "migrations.answers"),
        ("migrations: {answers: ['t.c = 1']}", REST, "migrations.answers"),
        ("migrations: {answers: ['fill t.c = ${NOWHERE}']}", REST, "migrations.answers"),
        ("", REST.replace("kind: postgres", "kind: postgre"), "database.kind"),
        ("", REST.replace("http,", "http, expect_status: many,"), "checks[0].expect_status"),
    ],
)
def test_a_mistake_in_any_section_is_an_error(tmp_path: Path, migrations: str, rest: str, key: str) -> None:
    with pytest.raises(ConfigMistakes) as caught:
        migration_settings(written(tmp_path, migrations, rest), {}, tmp_path)
    assert [p.key.startswith(key) for p in caught.value.problems] == [True]


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        migration_settings(None, {"BACKOUT_CONFIG": "nowhere.yaml"}, tmp_path)
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        migration_settings(tmp_path / "nowhere.yaml", {}, tmp_path)


def test_the_switch_is_off_or_an_error(tmp_path: Path) -> None:
    assert switched_off({}) is None
    assert switched_off({"BACKOUT_MIGRATIONS": ""}) is None
    assert switched_off({"BACKOUT_MIGRATIONS": "OFF"}) == "BACKOUT_MIGRATIONS=OFF"
    with pytest.raises(UsageError, match="can only be off"):
        switched_off({"BACKOUT_MIGRATIONS": "of"})
