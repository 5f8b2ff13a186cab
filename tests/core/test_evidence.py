"""What the board promises while several threads look at it."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.core.evidence import Board, Evidence
from holdfast.core.identity import Endpoint

HERE = Endpoint("https://one.example/v1")
GOOD = Evidence("k1", HERE.url, first_ok=1.0, last_ok=5.0)


def test_whoever_looks_while_the_store_is_being_read_still_sees_that_a_key_worked() -> None:
    board = Board([GOOD])
    seen: list[float | None] = []

    def rows() -> Iterator[Evidence]:
        seen.append(board.evidence("k1", HERE).last_ok)
        yield Evidence("k0", HERE.url)
        seen.append(board.evidence("k1", HERE).last_ok)
        yield GOOD

    board.load(rows(), ())
    assert [*seen, board.evidence("k1", HERE).last_ok] == [5.0, 5.0, 5.0]
