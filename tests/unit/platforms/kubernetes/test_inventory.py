"""What is kept and needed by nothing is named; what anything may still refer to is not."""

from __future__ import annotations

from backout.platforms.kubernetes.inventory import take_inventory
from backout.platforms.kubernetes.releases import live
from backout.platforms.kubernetes.template import copy_name, hash_of

from .objects import seen, template

V1, V2, V3 = (template(f"r/collector:{n}.0.0") for n in (1, 2, 3))
A, B, C, D = (copy_name("settings", letter * 16) for letter in "abcd")


def kept(*names: str) -> list[dict[str, object]]:
    return [{"metadata": {"name": name}, "data": {"k": "v" * 1023}} for name in names]


def test_records_history_and_what_runs_need_their_copies() -> None:
    through_a_copy = template(
        containers=[
            {
                "name": "collector",
                "image": "r/collector:1.0.0",
                "envFrom": [{"configMapRef": {"name": C}}],
            }
        ]
    )
    web = seen(V2, through_a_copy)
    recorded = live([seen(V1)], {"settings": "a" * 16})
    templates = [f"backout-collector-template-{hash_of(t)}" for t in (V1, V2, V3)]
    found = take_inventory(kept(*templates), kept(A, B, C), [web], [recorded])
    assert (found.templates, found.configs) == (3, 3)
    assert set(found.unneeded) == {templates[2], B}
    told = str(found.evidence("kubectl delete configmap"))
    assert "6 kept" in told and "6 KiB" in told and f"kubectl delete configmap {templates[2]} {B}" in told


def test_nothing_to_delete_is_said() -> None:
    web = seen(V2)
    found = take_inventory(kept(f"t-{hash_of(V2)}"), kept(D), [web], [live([web], {"settings": "d" * 16})])
    assert not found.unneeded and "all of them needed" in str(found.evidence("kubectl delete configmap"))
