"""Profiles are data: found by name, alias and host, replaced by the user's own, refused with their name when
they are wrong."""

from __future__ import annotations

import io
import json
import runpy
import sys

import pytest

from holdfast.core.errors import ConfigError
from holdfast.core.faults import FaultClass, Origin, Scope
from holdfast.engine.classify_lines import classify_lines
from holdfast.providers import profiles
from tables import rows


@rows("name", profiles.names())
def test_every_profile_can_be_read(name):
    profile = profiles.load(name)
    assert profile.name == name
    assert profile.rows == profiles.load(None).rows


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.deepseek.com", "deepseek"),
        ("token-plan-sgp.xiaomimimo.com", "mimo"),
        ("api.openai.com:443", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("eu.openai.azure.com", "azure"),
        ("us-central1-aiplatform.googleapis.com", "vertex"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("API.Z.AI", "zai"),
        ("127.0.0.1:11434", "ollama"),
        ("gateway.example.com", None),
        ("evil-api.openai.com.example.org", None),
        ("", None),
    ],
)
def test_a_host_has_its_profile(host, name):
    assert profiles.for_host(host) == name


def test_no_host_pattern_belongs_to_two_profiles():
    patterns = [pattern for pattern, _ in profiles._hosts(None)]
    assert len(patterns) == len(set(patterns))


def test_an_unknown_name_reads_as_generic_and_an_alias_as_its_profile():
    assert profiles.load("my-own-proxy") is profiles.load(None)
    assert profiles.load("../../etc/passwd") is profiles.load(None)
    assert profiles.load("zhipuai").name == "zai"


def test_a_profile_built_on_another_adds_to_it():
    codex = profiles.load("openai-codex")
    assert codex.own["token_invalidated"].terminal
    assert codex.own["account_deactivated"] == profiles.load("openai").own["account_deactivated"]


def test_a_key_prefix_points_to_the_hosts_of_its_plan_from_elsewhere():
    mimo, plan = (
        profiles.load("mimo"),
        [f"token-plan-{region}.xiaomimimo.com" for region in ("cn", "sgp", "ams")],
    )
    assert mimo.plan_host("tp-abc".startswith, "api.xiaomimimo.com") == " or ".join(plan)
    assert [mimo.plan_host("tp-abc".startswith, host) for host in plan] == [None, None, None], (
        "which of them it is, the prefix does not say"
    )
    assert mimo.plan_host("sk-abc".startswith, "api.xiaomimimo.com") is None


def test_the_users_own_profile_comes_before_ours(tmp_path):
    (tmp_path / "house.toml").write_text(
        'hosts = ["llm.house.example"]\n[codes]\nE77 = "quota_window key cause:lunch"\n', "utf-8"
    )
    assert profiles.for_host("llm.house.example", tmp_path) == "house"
    verdict = profiles.load("house", tmp_path).own["e77"]
    assert (verdict.kind, verdict.scope, verdict.cause) == (FaultClass.QUOTA_WINDOW, Scope.KEY, "lunch")
    assert profiles.load("openai", tmp_path).name == "openai"


def test_marks_of_a_verdict_are_read_in_any_order():
    verdict = profiles.verdict("auth_rejected terminal account upstream unsent")
    assert (verdict.kind, verdict.scope, verdict.origin, verdict.terminal, verdict.sent) == (
        FaultClass.AUTH_REJECTED,
        Scope.ACCOUNT,
        Origin.UPSTREAM,
        True,
        False,
    )
    assert profiles.verdict("transient endpoint network").scope is Scope.ENDPOINT


@pytest.mark.parametrize(
    "text",
    [
        "not toml [",
        '[codes]\nx = "no_such_class"\n',
        '[codes]\nx = "transient wobbly"\n',
        '[codes]\nx = ""\n',
        '[phrases]\n"!!" = "transient"\n',
        "codes = 1\n",
    ],
)
def test_a_wrong_profile_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "broken.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="broken"):
        profiles.load("broken", tmp_path)


def lines(*rows: object) -> list[dict[str, object]]:
    return [
        json.loads(line)
        for line in classify_lines(row if isinstance(row, str) else json.dumps(row) for row in rows)
    ]


def test_a_malformed_line_is_reported_and_the_rest_goes_on():
    answers = lines(
        "{",
        "[1]",
        "",
        {"status": "401"},
        {"status": True},
        {"status": 401, "phase": "nowhere"},
        {"status": 401, "headers": 3},
        {"status": 401},
    )
    assert ["error" in answer for answer in answers] == [True, True, True, True, True, True, False]
    assert answers[-1]["class"] == "auth_rejected"


def test_a_line_tells_what_is_known_and_nothing_else():
    (answer,) = lines(
        {
            "provider": "openai",
            "status": 429,
            "headers": {"Retry-After": "7"},
            "body": {"error": {"message": "Rate limit reached"}},
        }
    )
    assert answer["class"] == "rate_limited"
    assert answer["retry_after"] == 7
    assert answer["confidence"] == "status"
    assert answer.keys() & {"terminal", "sent", "hint"} == set()


def test_a_line_without_a_provider_is_known_by_its_host():
    (answer,) = lines(
        {"host": "api.minimax.io", "status": 200, "headers": {}, "body": '{"base_resp":{"status_code":1002}}'}
    )
    assert answer["class"] == "rate_limited"


def test_known_facts_about_the_key_are_given_beside_the_class_of_the_answer():
    context = {
        "known_good": True,
        "known_good_host": "token-plan-sgp.xiaomimimo.com",
        "host": "token-plan-cn.xiaomimimo.com",
        "key_prefix": "tp-",
    }
    (answer,) = lines(
        {
            "provider": "mimo",
            "status": 401,
            "headers": {},
            "body": '{"error":{"message":"Invalid API Key"}}',
            "context": context,
        }
    )
    assert answer["class"] == "auth_rejected"
    assert answer["weighed"]["class"] == "endpoint_mismatch"
    assert answer["weighed"]["hint"] == "token-plan-sgp.xiaomimimo.com"


def test_it_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"status": 503}\n'))
    monkeypatch.delitem(sys.modules, "holdfast.engine.classify_lines")
    runpy.run_module("holdfast.engine.classify_lines", run_name="__main__")
    assert json.loads(capsys.readouterr().out)["class"] == "provider_unavailable"
