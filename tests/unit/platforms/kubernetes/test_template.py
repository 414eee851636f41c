"""A template is the same for the same meaning, and what it refers to is found wherever it stands."""

from __future__ import annotations

import copy

import pytest

from backout.platforms.kubernetes.template import (
    config_maps_of,
    content_hash,
    copy_name,
    hash_of,
    images_of,
    normal,
    original_of,
    pinned,
    renamed,
    secrets_of,
    tag_of,
    version_of,
)

from .objects import template

REFERRING = template(
    initContainers=[{"name": "init", "image": "r/init:7", "envFrom": [{"configMapRef": {"name": "a"}}]}],
    containers=[
        {
            "name": "collector",
            "image": "r/collector:1.0.0",
            "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "b", "key": "k"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s1", "key": "k"}}},
                {"name": "C", "value": "literal"},
            ],
            "envFrom": [{"secretRef": {"name": "s2"}}, {"configMapRef": {"name": "a"}}],
        }
    ],
    volumes=[
        {"name": "v", "configMap": {"name": "c"}},
        {"name": "w", "secret": {"secretName": "s3"}},
        {"name": "p", "projected": {"sources": [{"configMap": {"name": "d"}}, {"secret": {"name": "s4"}}]}},
        {"name": "e", "emptyDir": {}},
    ],
)


def test_what_controllers_and_restarts_add_is_no_content() -> None:
    plain = template()
    added = copy.deepcopy(plain)
    added["$patch"] = "replace"
    added["metadata"]["labels"] |= {"pod-template-hash": "x", "controller-revision-hash": "y"}
    added["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/restartedAt": "now",
        "backout/restarted": "run/1",
    }
    added["metadata"]["creationTimestamp"] = None
    assert normal(added) == normal(plain) == plain
    assert hash_of(added) == hash_of(plain)


@pytest.mark.parametrize(
    "other",
    [
        template("r/collector:1.0.1"),
        template(terminationGracePeriodSeconds=5),
        {**template(), "metadata": {"labels": {"app": "collector"}, "annotations": {"a": "b"}}},
    ],
)
def test_anything_else_is(other: dict[str, object]) -> None:
    assert hash_of(other) != hash_of(template())


def test_every_reference_is_found() -> None:
    assert config_maps_of(REFERRING) == ("a", "b", "c", "d")
    assert set(secrets_of(REFERRING)) == {"s1", "s2", "s3", "s4"}
    assert images_of(REFERRING) == {"init": "r/init:7", "collector": "r/collector:1.0.0"}


def test_copies_stand_for_what_they_are_copies_of() -> None:
    before = copy.deepcopy(REFERRING)
    copied = renamed(REFERRING, lambda name: copy_name(name, "0123456789abcdef"))
    assert before == REFERRING, "it is a copy that is changed"
    assert config_maps_of(copied)[0] == "a.backout.0123456789abcdef"
    assert hash_of(copied) == hash_of(REFERRING)
    assert [original_of(name) for name in config_maps_of(copied)] == ["a", "b", "c", "d"]
    assert copy_name("a.backout.0123456789abcdef", "fedcba9876543210") == "a.backout.fedcba9876543210"
    assert original_of("a.backout.short") == "a.backout.short"


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("collector", "latest"),
        ("collector:5.3.0", "5.3.0"),
        ("host:5000/team/collector", "latest"),
        ("host:5000/team/collector:v5@sha256:" + "ab" * 32, "v5"),
        ("collector@sha256:" + "ab" * 32, "abababababab"),
    ],
)
def test_the_version_is_the_tag(image: str, tag: str) -> None:
    assert tag_of(image) == version_of(template(image)) == tag


def test_a_label_says_it_better() -> None:
    labelled = template()
    labelled["metadata"]["labels"]["app.kubernetes.io/version"] = "2026.11"
    assert version_of(labelled) == "2026.11"
    assert pinned("a@sha256:x") == "sha256:x" and pinned("a:1") is None


def test_content_is_text_and_bytes() -> None:
    assert content_hash({"data": {"a": "1"}}) != content_hash({"binaryData": {"a": "1"}})
    assert content_hash({"data": {"a": "1"}, "metadata": {"uid": "x"}}) == content_hash({"data": {"a": "1"}})
