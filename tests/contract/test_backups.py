"""The stores that ship keep the contract."""

import shutil
from pathlib import Path

import pytest

from backout.backups.directory import DirectoryBackups, DirectoryOptions
from backout.clock import SystemClock
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.testing.backups import BackupCase, BackupContract


def directory_store(folder: Path, service: str = "collector", environment: str = "test") -> DirectoryBackups:
    site = Site(service, environment, folder, {}, SystemClock(), Redactor())
    return DirectoryBackups.create(DirectoryOptions(), site)


class TestDirectory(BackupContract):
    @pytest.fixture
    def case(self, tmp_path: Path) -> BackupCase:
        folder = tmp_path / "backups"
        folder.mkdir()
        return BackupCase(
            store=lambda: directory_store(tmp_path),
            stranger=lambda: directory_store(tmp_path, environment="staging"),
            service="collector",
            environment="test",
            away=lambda: shutil.rmtree(folder),
        )
