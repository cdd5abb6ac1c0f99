import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.egress.reply import EXCERPT_BYTES_MAX, HEAD_BYTES_MAX, RESPONSE_BYTES_MAX, Reply, Unreadable

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n2;x=y\r\n!!\r\n0\r\n"

WHOLE = {
    "sized": (b"HTTP/1.1 202 Yes\r\nContent-Length: 3\r\n\r\nyes", 202, "yes", True),
    "chunked": (CHUNKED + b"\r\n", 200, "yes!!", True),
    "chunked with a trailer": (CHUNKED + b"Retry-After: 9\r\n\r\n", 200, "yes!!", True),
    "no content": (b"HTTP/1.1 204 No\r\n\r\n", 204, "", True),
    "not modified": (b"HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n", 304, "", True),
    "after a continue": (b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", True),
    "after hints": (b"HTTP/1.1 103 H\r\nRetry-After: 9\r\n\r\nHTTP/1.1 204 No\r\n\r\n", 204, "", True),
    "closing": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", False),
    "of 1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", False),
    "of 1.0, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 200, "ok", True),
    "of bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", True),
    "of another protocol": (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 101, "", False),
}


@pytest.mark.parametrize("answer, status, excerpt, keeps_alive", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_answer_is_whole_with_its_last_byte_and_not_before(
    answer: bytes, status: int, excerpt: str, keeps_alive: bool, in_pieces: bool
) -> None:
    reply = Reply()
    for piece in [answer[i : i + 1] for i in range(len(answer))] if in_pieces else [answer]:
        assert not reply.is_whole
        reply.feed(piece)
    assert reply.is_whole
    assert (reply.status, reply.excerpt, reply.keeps_alive) == (status, excerpt, keeps_alive)
    assert reply.retry_after is None


def test_an_answer_that_names_no_end_ends_with_the_connection() -> None:
    reply = Reply()
    reply.feed(b"HTTP/1.1 500 No\r\nRetry-After: 7\r\n\r\nall of ")
    reply.feed(b"it")
    assert not reply.is_whole
    reply.end()
    assert (reply.is_whole, reply.status, reply.excerpt, reply.retry_after) == (True, 500, "all of it", "7")
    assert not reply.keeps_alive


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        CHUNKED[:-3],
    ],
)
def test_part_of_an_answer_is_none_when_the_connection_ends(part: bytes) -> None:
    reply = Reply()
    reply.feed(part)
    reply.end()
    assert not reply.is_whole


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"HTT", b"\0junk"])
def test_what_comes_after_the_answer_changes_nothing_but_costs_the_connection(surplus: bytes) -> None:
    reply = Reply()
    reply.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + surplus)
    assert (reply.is_whole, reply.status, reply.excerpt, reply.keeps_alive) == (True, 200, "ok", False)


@pytest.mark.parametrize(
    "begin, more",
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 200),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
    ],
)
def test_a_head_without_end_is_given_up_at_its_limit(begin: bytes, more: bytes) -> None:
    reply = Reply()
    reply.feed(begin)
    for _ in range((HEAD_BYTES_MAX - len(begin)) // len(more)):
        reply.feed(more)
    with pytest.raises(Unreadable):
        reply.feed(more)


@pytest.mark.parametrize(
    "head, more",
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100),
        (CHUNKED, b"x" * 1000),
    ],
)
def test_a_body_without_end_is_read_to_its_limit_and_costs_the_connection(head: bytes, more: bytes) -> None:
    reply = Reply()
    reply.feed(head)
    while not reply.is_whole:
        reply.feed(more)
    assert reply.bytes <= HEAD_BYTES_MAX + RESPONSE_BYTES_MAX + len(head) + len(more)
    assert (reply.status, reply.keeps_alive) == (200, False)
    assert len(reply.excerpt) <= EXCERPT_BYTES_MAX


def test_a_body_just_below_its_limit_keeps_the_connection() -> None:
    reply = Reply()
    size = RESPONSE_BYTES_MAX
    reply.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    reply.feed(b"x" * size)
    assert (reply.is_whole, reply.keeps_alive) == (True, True)


@given(st.lists(st.binary(max_size=200) | st.sampled_from([b"HTTP/1.1 200 OK\r\n", CHUNKED, b"\r\n", b"\n", b"5"])))
def test_no_bytes_do_anything_but_make_an_answer_or_none(pieces: list[bytes]) -> None:
    reply = Reply()
    try:
        for piece in pieces:
            if not reply.is_whole:
                reply.feed(piece)
        reply.end()
    except Unreadable:
        assert not reply.is_whole
    assert reply.status == 0 or 100 <= reply.status <= 999
    assert not reply.is_whole or reply.status
