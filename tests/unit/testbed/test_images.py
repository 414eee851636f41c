"""Images of the testbed: the same files are the same bytes, and an archive says both names."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from testbed.images import Image, Layer


def entries(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return {member.name: member for member in opened.getmembers()}


def image(text: bytes) -> Image:
    return Image(
        "registry.invalid/app:1.0.0", [Layer.of({"base": b"b"}), Layer.of({"app/x": text})], {"Cmd": ["/x"]}
    )


def test_no_time_or_owner_of_a_file_gets_into_a_layer(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        file = tmp_path / name
        file.write_bytes(b"x")
        file.chmod(0o700 if name == "one" else 0o744)
        made.append(Layer.of({"/bin/tool": file, "bin/link": "tool"}))
    assert made[0].digest == made[1].digest
    found = entries(made[0].data)
    assert list(found) == ["bin", "bin/link", "bin/tool"]
    assert found["bin/link"].linkname == "tool"
    assert (found["bin/tool"].mode, found["bin/tool"].mtime, found["bin/tool"].uid) == (0o755, 0, 0)


def test_other_content_is_another_digest() -> None:
    assert image(b"1").digest == image(b"1").digest != image(b"2").digest


def test_an_archive_names_the_image_by_tag_and_by_digest() -> None:
    made = image(b"1")
    with tarfile.open(fileobj=io.BytesIO(made.archive())) as opened:
        index = opened.extractfile("index.json")
        assert index is not None
        manifests = json.load(index)["manifests"]
    assert {manifest["digest"] for manifest in manifests} == {made.digest}
    names = [manifest["annotations"]["io.containerd.image.name"] for manifest in manifests]
    assert names == ["registry.invalid/app:1.0.0", f"registry.invalid/app@{made.digest}"]


def test_layers_that_the_receiver_has_are_left_out() -> None:
    made = image(b"1")
    base = made.layers[0].digest
    left = set(entries(made.archive())) - set(entries(made.archive(leave_out={base})))
    assert left == {f"blobs/sha256/{base.removeprefix('sha256:')}"}
