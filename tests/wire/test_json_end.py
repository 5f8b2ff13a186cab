"""Whether a JSON text is whole, wherever it was cut into pieces."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire.json_end import JsonWatch

TEXTS = st.text(st.sampled_from('a"\\\\{}[]:,\u00e9\n '), max_size=8)
DOCUMENTS = st.dictionaries(
    TEXTS, st.recursive(TEXTS | st.integers(), lambda inner: st.lists(inner, max_size=3)), max_size=3
)


@given(DOCUMENTS, st.booleans(), st.integers(1, 9), st.integers(0, 200))
def test_a_json_text_is_whole_at_its_end_and_nowhere_before(
    document: dict[str, Any], ascii_only: bool, step: int, cut: int
) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only).encode()
    cut = min(cut, len(text))
    watch = JsonWatch()
    for at in range(0, cut, step):
        watch.feed(text[at : min(at + step, cut)])
    assert watch.ended is (cut in (0, len(text)))


def test_an_answer_that_is_no_json_has_no_end_that_could_be_missing() -> None:
    watch = JsonWatch()
    watch.feed(b"\r\n")
    watch.feed(b"{"[1:] + b"a,b {")
    assert watch.ended
