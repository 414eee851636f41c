"""Names of images mean what they mean to Kubernetes, and a short one what runs here."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from backout.platforms.kubernetes.images import (
    containers_with,
    digest_seen,
    in_full,
    is_image,
    repository_of,
    same_image,
    with_images,
)
from backout.platforms.kubernetes.template import VERSION_LABEL, hash_of, images_of

from .objects import template

DIGEST = "sha256:" + "a" * 64
OURS = "registry.example.com:5000/team/collector"


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("collector:1.2.3", True),
        ("team/collector", True),
        (f"collector@{DIGEST}", True),
        (f"{OURS}:v1@{DIGEST}", True),
        ("1.2.3", False),
        ("1.2.3+0123abcd", False),
        ("collector", False),
        ("collector:", False),
        ("../collector:1", False),
        ("collector@sha256:short", False),
        ("-x/y:1", False),
        ("", False),
    ],
)
def test_a_bare_word_is_a_version(name: str, image: bool) -> None:
    assert is_image(name) is image


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("collector:1", "docker.io/library/collector"),
        ("team/collector:1", "docker.io/team/collector"),
        (f"{OURS}:1@{DIGEST}", OURS),
        (f"localhost/collector@{DIGEST}", "localhost/collector"),
    ],
)
def test_what_is_left_out_is_docker_hub(name: str, repository: str) -> None:
    assert repository_of(name) == repository


def test_a_short_name_is_the_repository_that_runs() -> None:
    assert in_full("collector:2", f"{OURS}:1") == f"{OURS}:2"
    assert in_full(f"collector@{DIGEST}", f"{OURS}@{DIGEST}") == f"{OURS}@{DIGEST}"
    assert in_full("other:2", f"{OURS}:1") == "other:2"
    assert in_full("team/collector:2", f"{OURS}:1") == "team/collector:2"


def test_a_tag_is_no_digest() -> None:
    assert same_image("collector:1", "docker.io/library/collector:1")
    assert same_image(f"collector:1@{DIGEST}", f"docker.io/library/collector@{DIGEST}")
    assert not same_image("collector:1", f"collector:1@{DIGEST}")
    assert not same_image("collector:1", "collector:2")
    assert not same_image("collector:1", "other:1")


def pod(image: str, image_id: str) -> dict[str, Any]:
    status = {"containerStatuses": [{"name": "collector", "imageID": image_id}]}
    return {"spec": template(image)["spec"], "status": status}


def test_a_tag_is_what_pods_run_of_it_if_they_agree() -> None:
    runs = pod(f"{OURS}:2", f"docker-pullable://{OURS}@{DIGEST}")
    assert digest_seen(f"{OURS}:2", [runs, pod(f"{OURS}:1", f"{OURS}@sha256:{'b' * 64}")]) == DIGEST
    assert digest_seen(f"{OURS}:2", [runs, pod(f"{OURS}:2", f"{OURS}@sha256:{'b' * 64}")]) is None
    assert digest_seen(f"{OURS}:2", [pod(f"{OURS}:2", DIGEST)]) is None, "an image that came from a file"
    assert digest_seen(f"{OURS}:2", [pod(f"{OURS}:2", "")]) is None


def test_only_the_image_and_what_the_version_label_says_change() -> None:
    now = template("r/collector:1", initContainers=[{"name": "migrate", "image": "r/collector:1"}])
    now["spec"]["containers"].append({"name": "proxy", "image": "r/proxy:1"})
    before = copy.deepcopy(now)
    assert containers_with(now, "r/collector:1") == ("migrate", "collector")
    made = with_images(now, {"migrate": "r/collector:2", "collector": "r/collector:2"}, "2")
    assert now == before
    assert images_of(made) == {"migrate": "r/collector:2", "collector": "r/collector:2", "proxy": "r/proxy:1"}
    assert VERSION_LABEL not in made["metadata"]["labels"], "no label is made up"
    assert with_images(made, {"migrate": "r/collector:1", "collector": "r/collector:1"}, None) == before
    now["metadata"]["labels"][VERSION_LABEL] = "1"
    assert with_images(now, {}, "2")["metadata"]["labels"][VERSION_LABEL] == "2"
    assert hash_of(with_images(now, {}, None)) == hash_of(now)
