import ast
import sys

import pytest

from backout.demo.collector import reports as good
from backout.demo.collector.v5_4_0 import reports as bad
from backout.demo.load import TENANTS
from backout.demo.releases import BAD, GOOD, write_release


@pytest.mark.parametrize("version", [GOOD, BAD])
def test_a_release_is_complete_and_stands_alone(tmp_path, version):
    write_release(version, tmp_path / version)
    release = tmp_path / version
    files = {path.relative_to(release).as_posix() for path in release.rglob("*")}
    own = ["__init__", "__main__", "pool", "reports", "server"]
    modules = {f"collector/{name}.py" for name in own}
    assert files == {"VERSION", "collector", "collector/VERSION"} | modules
    assert (tmp_path / version / "VERSION").read_text().strip() == version
    allowed = {*sys.stdlib_module_names, "psycopg"}
    for file in (tmp_path / version).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module or "")
            assert {name.partition(".")[0] for name in names} <= allowed, file


def test_the_bad_release_only_adds_to_the_schema():
    assert bad.MIGRATIONS[: len(good.MIGRATIONS)] == good.MIGRATIONS
    added = "".join(statement for _, statement in bad.MIGRATIONS[len(good.MIGRATIONS) :]).upper()
    assert "ADD COLUMN SOURCE TEXT;" in added
    assert not any(word in added for word in ("DROP", "NOT NULL DEFAULT", "RENAME", "ALTER COLUMN"))


def test_some_tenants_work_in_the_bad_release_and_some_do_not():
    broken = []
    for tenant in TENANTS:
        try:
            bad.source_of(tenant)
        except ValueError:
            broken.append(tenant)
    assert broken == ["umbrella", "wayne-labs-us"]


def test_an_unknown_version_writes_nothing(tmp_path):
    with pytest.raises(KeyError):
        write_release("9.9.9", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
