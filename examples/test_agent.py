"""How you test a program of your own that uses Holdfast: no key, no network, no waiting.

python -m pytest examples/test_agent.py
"""

from __future__ import annotations

from pathlib import Path

import openai

import holdfast
from holdfast.testing import FakeClock, ScriptedProvider, ok, only_keys, open_home, status


def answer(hf: holdfast.Holdfast, session_id: str, question: str) -> str:
    """Ask the session's model. This is the program under test."""
    session = hf.session(session_id, "scripted/small")
    with openai.OpenAI(**session.for_openai()) as client:
        reply = client.chat.completions.create(
            model=session.model, messages=[{"role": "user", "content": question}]
        )
    return reply.choices[0].message.content or ""


def test_the_program_gets_its_answer(tmp_path: Path) -> None:
    with (
        ScriptedProvider(ok("Forty-two."), models=["small"]) as provider,
        open_home(tmp_path, provider) as hf,
    ):
        assert answer(hf, "issue-1", "What is it?") == "Forty-two."
    assert [(seen.model, seen.key) for seen in provider.calls] == [("small", "sk-test-a")]


def test_a_throttled_request_is_sent_again_when_its_time_has_come(tmp_path: Path) -> None:
    clock = FakeClock()
    throttled = status(429, headers={"retry-after": "7"})
    with (
        ScriptedProvider([throttled, ok("Forty-two.")], models=["small"]) as provider,
        open_home(tmp_path, provider, clock=clock) as hf,
    ):
        assert answer(hf, "issue-1", "What is it?") == "Forty-two."
    assert sum(clock.slept) >= 7
    assert len(provider.calls) == 2


def test_a_rejected_key_is_replaced_by_the_other_one(tmp_path: Path) -> None:
    script = only_keys(["sk-test-b"], ok("Forty-two."))
    with (
        ScriptedProvider(script, models=["small"]) as provider,
        open_home(tmp_path, provider, keys=["a", "b"]) as hf,
    ):
        assert answer(hf, "issue-1", "What is it?") == "Forty-two."
        assert "sk-test" not in hf.session("issue-1").why()
    assert [seen.key for seen in provider.calls] == ["sk-test-a", "sk-test-b"]


def test_a_fallback_answers_while_the_provider_is_away(tmp_path: Path) -> None:
    clock = FakeClock()
    fallback = '[fallback]\n"scripted/small" = { then = ["other/large"] }\n'
    with (
        ScriptedProvider(status(503), models=["small"]) as away,
        ScriptedProvider(ok("From elsewhere."), models=["large"]) as other,
        open_home(tmp_path, {"scripted": away, "other": other}, more=fallback, clock=clock) as hf,
    ):
        assert answer(hf, "issue-1", "What is it?") == "From elsewhere."
        away.follow(ok("I am back."))
        clock.advance(24 * 3600)
        assert answer(hf, "issue-1", "And now?") == "I am back."


def test_a_restart_keeps_the_choice_of_the_user(tmp_path: Path) -> None:
    with ScriptedProvider(models=["small", "large"]) as provider:
        with open_home(tmp_path, provider) as hf:
            hf.session("issue-1", "scripted/small").switch("scripted/large")
        with open_home(tmp_path, provider) as hf:
            answer(hf, "issue-1", "What is it?")
    assert provider.calls[-1].model == "large"
