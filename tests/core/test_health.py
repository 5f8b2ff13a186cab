"""What the board promises while several threads look at it."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.core.changes import Evidence
from holdfast.core.health import HealthRegistry
from holdfast.core.identity import Endpoint

HERE = Endpoint("https://one.example/v1")
GOOD = Evidence("k1", HERE.url, first_ok=1.0, last_ok=5.0)


def test_whoever_looks_while_the_store_is_being_read_still_sees_that_a_key_worked() -> None:
    health = HealthRegistry([GOOD])
    seen: list[float | None] = []

    def rows() -> Iterator[Evidence]:
        seen.append(health.evidence("k1", HERE).last_ok)
        yield Evidence("k0", HERE.url)
        seen.append(health.evidence("k1", HERE).last_ok)
        yield GOOD

    health.load(rows(), ())
    assert [*seen, health.evidence("k1", HERE).last_ok] == [5.0, 5.0, 5.0]
