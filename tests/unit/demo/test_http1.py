import asyncio

import pytest

from backout.demo import http1


def parse(raw: bytes, *, limit: int = http1.MAX_HEAD_BYTES):
    async def run():
        reader = asyncio.StreamReader(limit=limit)
        reader.feed_data(raw)
        reader.feed_eof()
        head = await http1.read_head(reader)
        return head, await http1.read_body(reader, head)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Content-Length: 3, 4",
        b"Content-Length: -3",
        b"Content-Length: 3x",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity",
        b"Content Length: 3",
        b"Content-Length : 3",
        b": empty",
        b"no colon",
        b"X: a\nContent-Length: 3",
    ],
)
def test_a_message_framed_in_two_ways_is_refused(fields):
    with pytest.raises(http1.Malformed):
        parse(b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\nabc")


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"-1\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"\r\n"])
def test_a_broken_chunk_is_refused(chunks):
    with pytest.raises(http1.Malformed):
        parse(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"POST / HTTP/1.1\r\nContent-Le",
    ],
)
def test_a_message_cut_off_is_not_taken_for_a_whole_one(raw):
    with pytest.raises(ConnectionError):
        parse(raw)


def test_chunks_with_extensions_and_trailers_are_put_together():
    raw = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
    assert parse(raw)[1] == b"abcde"


def test_nothing_at_all_is_an_orderly_end():
    with pytest.raises(http1.Closed):
        parse(b"")


def test_what_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(http1.TooLarge):
        parse(b"GET / HTTP/1.1\r\nX: " + b"a" * 300 + b"\r\n\r\n", limit=200)
    with pytest.raises(http1.TooLarge):
        parse(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (http1.MAX_BODY_BYTES + 1))


def test_fields_for_one_hop_do_not_go_on():
    fields = b"Host: a\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nUpgrade: h2c\r\nAccept: b"
    head, _ = parse(b"GET / HTTP/1.1\r\n" + fields + b"\r\n\r\n")
    assert head.end_to_end() == [(b"Host", b"a"), (b"Accept", b"b")]
    assert not head.keeps_alive(b"HTTP/1.1")
