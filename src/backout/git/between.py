"""What lies between two commits: the commits, and which of the files that differ are migrations or configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable

from backout.git.repository import Repository
from backout.revision import Between, Commit

NAMED = 20
"""How many commits, and files of a kind, are named; the rest is counted. A plan is kept in the journal."""
_SUBJECT = 200

# Folders as the tools make them: Django, Rails (db/migrate), Alembic, Flyway (V1__x.sql), Prisma, Knex, golang-migrate, Laravel.
_MIGRATION = re.compile(
    r"(^|/)(migrations?|db/migrate|alembic/versions|changelogs?/db|db/changelog)/[^.].*\.(py|sql|rb|js|ts|php|go|xml|ya?ml|json)$"
    r"|(^|/)[VUR][0-9._]*__[^/]+\.sql$|(^|/)[^/]+\.(up|down)\.sql$",
    re.DOTALL,  # a file's name may have any character in it
)
_NO_MIGRATION = re.compile(r"(^|/)(__init__\.py|index\.[jt]s)$")
_CONFIGURATION = re.compile(
    r"(^|/)("
    r"(Docker|Container)file[^/]*|[^/]*\.Dockerfile|(docker-)?compose[^/]*\.ya?ml|Procfile|Makefile|Chart\.ya?ml|values[^/]*\.ya?ml"
    r"|kustomization\.ya?ml|skaffold\.ya?ml|fly\.toml|app\.ya?ml|Jenkinsfile|\.gitlab-ci\.yml|backout\.ya?ml"
    r"|[^/]*\.(service|socket|timer|tf|tfvars\.example|lock|lockfile)|\.env[^/]*|[^/]*\.env\.(example|sample|dist|template)|env\.(example|sample)"
    r"|requirements[^/]*\.txt|constraints[^/]*\.txt|pyproject\.toml|setup\.(py|cfg)|package(-lock)?\.json|pnpm-lock\.yaml"
    r"|composer\.json|Gemfile|go\.(mod|sum)|Cargo\.toml|pom\.xml|build\.gradle(\.kts)?|\.tool-versions|\.(python|node|ruby)-version"
    r"|nginx[^/]*\.conf|haproxy\.cfg"
    r")$"
    r"|(^|/)(deploy|deployment|k8s|kubernetes|helm|charts|manifests|terraform|ansible|systemd|\.github/workflows)/",
)


def between(repository: Repository, source: str, target: str) -> Between:
    """Return what is in `source` and not in `target`, and which files differ.

    Args:
        repository: Asked with its own deadline for each of three questions.
        source: The commit that runs, in full.
        target: The commit to go back to, in full.

    Raises:
        TargetUnreachable: Git did not answer.
    """
    counted = repository.text("rev-list", "--left-right", "--count", f"{source}...{target}").split()
    commits, only_in_target = int(counted[0]), int(counted[1])
    told = f"{target}..{source}" if commits else f"{source}..{target}"
    logged = repository.text("log", f"--max-count={NAMED}", "--format=%H%x09%s", told)
    changed = repository.text(
        "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--end-of-options", target, source
    )
    files = [name for name in changed.split("\0") if name]
    migrations, configuration = migrations_of(files), configuration_of(files)
    newest = (line.partition("\t") for line in logged.splitlines())
    return Between(
        source=source,
        target=target,
        commits=commits,
        newest=tuple(Commit(id=name, subject=subject[:_SUBJECT]) for name, _, subject in newest),
        only_in_target=only_in_target,
        files=len(files),
        migration_files=len(migrations),
        migrations=migrations[:NAMED],
        configuration_files=len(configuration),
        configuration=configuration[:NAMED],
    )


def migrations_of(files: Iterable[str]) -> tuple[str, ...]:
    """Return the files that are migrations, by where the known tools keep them."""
    return tuple(f for f in files if _MIGRATION.search(f) and not _NO_MIGRATION.search(f))


def configuration_of(files: Iterable[str]) -> tuple[str, ...]:
    """Return the files that say how a release is built, deployed or configured, and are no migrations."""
    files = tuple(files)
    migrations = set(migrations_of(files))
    return tuple(f for f in files if f not in migrations and _CONFIGURATION.search(f))
