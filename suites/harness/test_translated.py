"""The real programs on a provider that speaks another API than they do."""

from __future__ import annotations

import pytest
from stage import CHAT, KEY, MESSAGES, RESPONSES, Stage

from holdfast.core.identity import Dialect

WIRES = [
    ("claude", CHAT),
    ("claude", RESPONSES),
    ("codex", CHAT),
    ("codex", MESSAGES),
]


@pytest.mark.parametrize(("program", "dialect"), WIRES)
def test_a_program_works_on_a_provider_that_speaks_another_api(
    program: str, dialect: Dialect, on_stage: Stage
) -> None:
    on_stage.configure(dialect)
    ended = on_stage.run(program)
    assert ended.code == 0, ended.err
    assert {(call.key, call.model, call.dialect) for call in on_stage.provider.calls} == {
        (KEY, "good-model", dialect)
    }
    assert ended.leaks == set()
    assert "answered" in ended.err
