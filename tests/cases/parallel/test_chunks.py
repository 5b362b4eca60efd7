from __future__ import annotations

from pytest_pipeline.cases.parallel.chunks import Chunks


def test_pieces_are_a_quarter_of_a_share_and_shrink_to_one() -> None:
    chunks = Chunks(range(16))
    assert chunks.take(2) == [0, 1]
    assert chunks.take(2) == [2]
    assert [len(chunks.take(2)) for _ in range(13)] == [1] * 13
    assert chunks.take(2) == []


def test_a_piece_is_never_longer_than_maxschedchunk() -> None:
    assert len(Chunks(range(1000)).take(2)) == 125
    assert len(Chunks(range(1000), most=5).take(2)) == 5


def test_what_comes_back_is_taken_first_and_in_order() -> None:
    chunks = Chunks(range(16))
    chunks.put_back(reversed(taken := chunks.take(1)[::-1]))
    assert chunks.take(1) == sorted(taken)


def test_what_is_dropped_is_not_taken() -> None:
    chunks = Chunks(range(8))
    assert chunks.drop(lambda index: index < 7) == list(range(7))
    assert chunks.take(1) == [7]
