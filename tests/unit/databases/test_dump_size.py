"""The size of a dump's data before compression, as its files tell it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from backout.databases.postgres.dumps.size import unpacked_size
from backout.databases.postgres.dumps.unpack import Damaged


def packed(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        (folder / f"{name}.dat.gz").write_bytes(gzip.compress(data, 1))


@pytest.mark.parametrize("told_up_to_bytes", [0, 10**6])
def test_it_is_the_same_whether_it_is_told_or_read(tmp_path: Path, told_up_to_bytes: int) -> None:
    packed(tmp_path, a=b"x" * 3_000_000, b=b"", c=os.urandom(5000))
    (tmp_path / "d.dat").write_bytes(b"12345")
    (tmp_path / "toc.dat").write_bytes(b"not data")
    assert unpacked_size(tmp_path, 2, told_up_to_bytes=told_up_to_bytes) == 3_000_000 + 5000 + 5


def test_a_large_file_is_read_to_its_end_and_one_that_is_cut_short_is_no_size(tmp_path: Path) -> None:
    data = os.urandom(5_000_000)
    packed(tmp_path, a=data)
    assert unpacked_size(tmp_path, 1) == len(data)
    file = tmp_path / "a.dat.gz"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(Damaged):
        unpacked_size(tmp_path, 1)
