"""What HAProxy counts of each side, as `show stat` of 2.6.12 prints it."""

from __future__ import annotations

import pytest

from backout.routers.base import RequestsCounted
from backout.routers.haproxy.counters import counted, process

STAT = """\
# pxname,svname,econ,eresp,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,
all,FRONTEND,,,9,9,9,9,9,9,
app,blue1,1,2,1,100,2,3,4,0,
app,blue2,0,0,0,50,0,0,1,0,
app,green1,0,0,0,0,0,0,0,0,
app,BACKEND,1,2,1,150,2,3,9,0,
"""


def test_of_each_side_its_servers_answers_and_what_broke_off() -> None:
    found = counted(STAT, "app", {"blue": ("blue1", "blue2"), "green": ("green1",)})
    assert found == {
        "blue": RequestsCounted(requests=110 + 3 + 51, failed=4 + 1 + 3),
        "green": RequestsCounted(requests=0, failed=0),
    }


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        counted(STAT, "app", {"blue": ("blue9",)})


def test_a_backend_that_speaks_no_http_counts_nothing() -> None:
    with pytest.raises(ValueError, match="int"):
        counted(
            "# pxname,svname,econ,eresp,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,\napp,a,0,0,,,,,,,\n",
            "app",
            {"a": ("a",)},
        )


def test_another_process_is_another_one_even_with_the_same_number() -> None:
    one, other = "Name: HAProxy\nPid: 8\nStart_time_sec: 1", "Name: HAProxy\nPid: 8\nStart_time_sec: 2"
    assert process(one) == process(one) != process(other)
    with pytest.raises(KeyError):
        process("Unknown command")


def test_a_line_that_was_cut_off_counts_nothing() -> None:
    with pytest.raises(ValueError, match="too early"):
        counted(STAT[: STAT.index("app,green1") + 14], "app", {"green": ("green1",)})
