"""Which files are migrations, and which say how a release is built and configured; and what a plan says of both."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backout.git.between import configuration_of, migrations_of
from backout.message import msg
from backout.observed import Observed
from backout.report.between import between_lines, between_section
from backout.revision import Between, Commit

MIGRATIONS = [
    "shop/migrations/0002_count.py",  # Django
    "db/migrate/20260101120000_add_count.rb",  # Rails
    "alembic/versions/3f2a_count.py",
    "migrations/versions/3f2a_count.py",  # Flask-Migrate
    "src/main/resources/db/migration/V2__count.sql",  # Flyway
    "sql/V2.1__count.sql",
    "prisma/migrations/20260101_count/migration.sql",
    "migrations/000002_count.up.sql",  # golang-migrate
    "database/migrations/2026_01_01_count.php",  # Laravel
    "db/changelog/db.changelog-2.yaml",  # Liquibase
    "drizzle/migrations/0002_count.sql",
]
CONFIGURATION = [
    "Dockerfile",
    "deploy/Dockerfile.web",
    "docker-compose.prod.yml",
    "compose.yaml",
    ".env.example",
    "config/app.env.sample",
    "requirements.txt",
    "uv.lock",
    "poetry.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "go.sum",
    "helm/shop/values.yaml",
    "k8s/web.yaml",
    "etc/shop.service",
    ".github/workflows/deploy.yml",
    "Procfile",
]
NEITHER = [
    "shop/migrations/__init__.py",
    "src/migration.py",
    "docs/migrations/guide.md",
    "src/environment.py",
    "README.md",
    "src/deploy.py",
    "tests/test_lock.py",
]


@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_is_known_by_where_its_tool_keeps_it(name: str) -> None:
    assert migrations_of([name]) == (name,)
    assert configuration_of([name]) == ()


@pytest.mark.parametrize("name", CONFIGURATION)
def test_what_builds_and_configures_a_release(name: str) -> None:
    assert configuration_of([name]) == (name,)
    assert migrations_of([name]) == ()


@pytest.mark.parametrize("name", NEITHER)
def test_what_is_neither(name: str) -> None:
    assert migrations_of([name]) == configuration_of([name]) == ()


def seen(found: Between | None, why: str | None = None) -> Observed[Between]:
    unknown = msg("{why}", why=why) if why else None
    return Observed[Between](value=found, unknown=unknown, source="git", observed_at=datetime.now(UTC))


def test_long_lists_are_cut_and_the_rest_is_counted() -> None:
    found = Between(
        source="a" * 40, target="b" * 40, commits=31, files=50, only_in_target=2,
        newest=tuple(Commit(id=f"{n:040}", subject=f"Change {n}") for n in range(20)),
        migration_files=14,
        migrations=tuple(f"migrations/{n:04}.sql" for n in range(14)),
    )  # fmt: skip
    lines = between_lines(seen(found))
    assert lines[0] == "31 commit(s), 50 file(s); 2 commit(s) of the target are not in what runs now"
    assert lines[5].endswith("Change 4") and lines[6] == "and 26 more"
    assert lines[7].endswith("migrations/0009.sql and 4 more") and len(lines) == 8
    text = "\n".join(between_section(seen(found)))
    assert "Change 19" in text and "and 11 more" in text and "and 4 more" in text


def test_the_way_forward_names_what_it_adds() -> None:
    found = Between(
        source="a" * 40, target="b" * 40, commits=0, files=2, only_in_target=7,
        newest=tuple(Commit(id=f"{n:040}", subject=f"Change {n}") for n in range(7)),
    )  # fmt: skip
    lines = between_lines(seen(found))
    assert lines[0] == "7 commit(s) more than what runs now, 2 file(s)" and lines[-1] == "and 2 more"


def test_what_is_not_known_is_said_and_what_nobody_asked_is_not() -> None:
    assert between_lines(seen(None, "git did not answer in time")) == (
        "not known: git did not answer in time",
    )
    assert "Not known: git did not answer in time" in "\n".join(
        between_section(seen(None, "git did not answer in time"))
    )
    assert between_lines(None) == () and between_section(None) == []


def test_a_subject_cannot_steer_the_runbook() -> None:
    found = Between(
        source="a" * 40, target="b" * 40, commits=1,
        newest=(Commit(id="c" * 40, subject="[click](http://evil) <script>"),),
    )  # fmt: skip
    text = "\n".join(between_section(seen(found)))
    assert r"\[click\](http://evil) \<script>" in text
