"""The version that a side says it runs."""

from __future__ import annotations

import pytest

from backout.platforms.sides.served import _version_in


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ("v1.2\n", "v1.2"),
        ('{"version": "5.4.0", "built": 1}', "5.4.0"),
        ('"5.4.0"', "5.4.0"),
        ("1.10", "1.10"),
        ("20261129", "20261129"),
        ("", None),
        ("{}", None),
        ('{"version": null}', None),
        ("true", None),
        ("<html>\n<body>not found</body>", None),
        ("x" * 201, None),
    ],
)
def test_it_is_read_from_text_or_json(body, version):
    assert _version_in(body) == version
