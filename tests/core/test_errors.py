"""What an error says to people and programs, wherever it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.errors import ConfigError, ConnectionLost, HoldfastError, NotReady, Problem, SecretMissing

PROBLEM = Problem("provider.x.url", "is no URL", fix="write https://…", location="holdfast.toml:3")
FACTS: list[tuple[HoldfastError, dict[str, Any]]] = [
    (HoldfastError("wrong"), {}),
    (ConfigError("wrong"), {}),
    (
        ConfigError("wrong", problems=[PROBLEM]),
        {
            "problems": [
                {
                    "path": "provider.x.url",
                    "what": "is no URL",
                    "fix": "write https://…",
                    "place": "holdfast.toml:3",
                }
            ]
        },
    ),
    (SecretMissing("wrong", tried=["env:A: not set"]), {"tried": ["env:A: not set"]}),
    (SecretMissing("wrong"), {}),
    (ConnectionLost("wrong", candidates=["p/m"]), {"candidates": ["p/m"]}),
    (ConnectionLost("wrong"), {"candidates": []}),
    (NotReady("wrong", reason="busy", retry_at=7.0), {"reason": "busy", "retry_at": 7.0}),
]


@pytest.mark.parametrize(("error", "facts"), FACTS)
def test_an_error_tells_programs_what_its_class_knows(error: HoldfastError, facts: dict[str, Any]) -> None:
    assert error.facts() == facts
    shown = {name: fact for name, fact in facts.items() if fact}
    exit_code = error.exit_code
    kind = type(error).__name__
    assert error.described("holdfast --help") == {
        "kind": kind,
        "what": "wrong",
        "run": "holdfast --help",
        "exit_code": exit_code,
        **shown,
    }


def test_the_message_ends_with_the_errors_own_command_or_else_with_the_other() -> None:
    known = HoldfastError("wrong", details=["because"], next_step="holdfast key list")
    assert known.message("holdfast doctor") == str(known) == "wrong\n  because\n  run: holdfast key list"
    assert HoldfastError("wrong").message("holdfast doctor") == "wrong\n  run: holdfast doctor"
    assert str(HoldfastError("wrong")) == "wrong"
