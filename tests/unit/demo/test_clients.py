import json
import time

import pytest

from backout.demo.clients import Clients
from backout.demo.load import Request, _malformed


class Ended:
    """The clients' process is not running: everything that will ever be written is written."""

    def alive(self, _name):
        return False


def clients_with(tmp_path, *requests: Request, tail: str = "") -> Clients:
    record = tmp_path / "requests.jsonl"
    record.write_text("".join(json.dumps(request) + "\n" for request in requests) + tail)
    return Clients(Ended(), "http://127.0.0.1:9", record, bad_version="2")


def request(started, seconds=0.5, status=200, version="1", error=None, report=None) -> Request:
    return Request(0, started, seconds, "GET", status, version, error, report)


def test_only_the_bad_releases_own_errors_are_not_failures(tmp_path):
    now = time.monotonic()
    clients = clients_with(
        tmp_path,
        request(now),
        request(now, status=500, version="2"),
        request(now, status=500, version="1"),
        request(now, status=503, version=None),
        request(now, status=0, version=None, error="ConnectionResetError: gone"),
        request(now, status=200, version="2", error="the answer is not understood"),
    )
    clients._marks["begin"], clients._marks["end"] = now - 1, now + 1
    summary = clients.summary("begin", "end")
    assert (summary.requests_sent, summary.errors_of_bad_release, summary.requests_failed) == (6, 1, 4)
    assert summary.answered_by == {"1": 1}
    assert summary.failures["status 503 from the front"] == 1
    assert sum(summary.failures.values()) == summary.requests_failed


def test_a_span_counts_what_was_under_way_in_it(tmp_path):
    t = 1000.0
    spans = [(t - 2, 1), (t - 2, 2.5), (t + 1, 1), (t + 4.9, 3), (t + 5, 1)]
    clients = clients_with(tmp_path, *(request(started, seconds) for started, seconds in spans))
    clients._marks.update(begin=t, end=t + 5)
    summary = clients.summary("begin", "end")
    assert (summary.requests_sent, summary.longest_request_seconds, summary.seconds) == (3, 3, 5)


def test_a_half_written_line_is_read_next_time(tmp_path):
    whole = json.dumps(request(1.0, report="a"))
    clients = clients_with(tmp_path, tail=whole[:20])
    assert clients.acknowledged() == set()
    with clients._record.open("a") as record:
        record.write(whole[20:] + "\n")
    assert clients.acknowledged() == {"a"}


def test_an_empty_span_has_no_figures_out_of_thin_air(tmp_path):
    clients = clients_with(tmp_path)
    clients.mark("begin")
    summary = clients.summary("begin")
    assert (summary.requests_sent, summary.longest_request_seconds, summary.p95_seconds) == (0, 0, 0)
    with pytest.raises(KeyError):
        clients.summary("never marked")


@pytest.mark.parametrize(
    ("status", "body", "report", "wrong"),
    [
        (201, b'{"id":"r"}', "r", False),
        (201, b'{"id":"other"}', "r", True),
        (201, b"[]", "r", True),
        (200, b'{"reports":[]}', None, False),
        (200, b'{"reports":null}', None, True),
        (200, b"<html>", None, True),
        (200, b'{"id":"r"}', "r", True),
        (404, b"{}", None, True),
        (500, b"", None, False),
    ],
)
def test_an_answer_is_acknowledged_only_if_it_says_so(status, body, report, wrong):
    assert (_malformed(status, body, report) is not None) is wrong
