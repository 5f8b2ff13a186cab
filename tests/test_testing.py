"""What we hand to the tests of others is what ours are made of."""

from __future__ import annotations

import subprocess
import sys

import httpx2
import pytest

from holdfast import testing
from holdfast.fake_provider import ScriptedProvider
from holdfast.store.contract import StoreContract


def test_every_public_name_is_there_and_is_the_one_we_use() -> None:
    assert all(getattr(testing, name) is not None for name in testing.__all__)
    assert testing.ScriptedProvider is ScriptedProvider
    assert testing.StoreContract is StoreContract
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        testing.nothing  # noqa: B018


def test_a_scripted_provider_answers_as_scripted_over_a_real_socket() -> None:
    with testing.ScriptedProvider([testing.status(429), testing.ok("hi")]) as provider:
        asked = {"model": "m", "messages": []}
        answers = [
            httpx2.post(f"{provider.url}/chat/completions", json=asked, headers={"authorization": "Bearer k"})
            for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [429, 200]
    assert answers[1].json()["choices"][0]["message"]["content"] == "hi"
    assert [seen.key for seen in provider.requests] == ["k", "k"]


def test_a_program_that_only_scripts_a_provider_needs_no_pytest() -> None:
    code = "import sys, holdfast.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
