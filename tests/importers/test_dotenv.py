"""What a .env file sets, as the programs that read one understand it."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.importers import env
from holdfast.importers.dotenv import parse
from holdfast.importers.entries import ImportResult

KEY = "sk-7c1d0b4e9f2a5836"


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> ImportResult:
    path = tmp_path / ".env"
    path.write_text(text, "utf-8")
    return env.read(path, environ or {})


def tables(result: ImportResult) -> dict[str, dict[str, object]]:
    return {str(entry.name): entry.table(copied=True) for entry in result.entries}


def told(result: ImportResult) -> str:
    return "\n".join(f"{what}: {why}" for what, why in result.left_out)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=plain", "plain"),
        ("  export A = plain  # note", "plain"),
        ("A='one # two'  # note", "one # two"),
        ('A="say \\"x\\""', 'say "x"'),
        ("A=`tick`", "tick"),
        ('A="first\nsecond"\nB=1', "first\nsecond"),
        ("A='${B}'", "${B}"),
        ("B=1\nA=${B}2", "12"),
        ("A=${HERE}", "outside"),
        ("A=${GONE:-usual}", "usual"),
        ("A=${GONE}", "${GONE}"),
        ('A="never closed\nB=1', '"never closed'),
        ("A=x#y", "x#y"),
        ("A=one\r\nB=1\r\n", "one"),
        ("A=", ""),
    ],
)
def test_a_line_of_a_dotenv_file_is_read_as_its_readers_do(text: str, value: str) -> None:
    assert parse(text, {"HERE": "outside"})["A"] == value


def test_a_base_url_beside_a_key_is_where_the_key_stays(tmp_path: Path) -> None:
    text = f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=https://relay.example/v1\n"
    assert tables(read(tmp_path, text)) == {
        "openai": {"url": "https://relay.example/v1", "keys": ["store:OPENAI_API_KEY"]}
    }
    # The file's own pair stays together; a pair of the file's and the environment's halves is none.
    both = read(
        tmp_path, text, {"OPENAI_BASE_URL": "https://other.example/v1", "OPENAI_API_KEY": f"{KEY}-mine"}
    )
    assert tables(both) == tables(read(tmp_path, text))
    assert [key.ref for entry in both.entries for key in entry.keys] == [""]
    for halves in (
        read(tmp_path, f"OPENAI_API_KEY={KEY}\n", {"OPENAI_BASE_URL": "https://other.example/v1"}),
        read(tmp_path, "OPENAI_BASE_URL=https://relay.example/v1\n", {"OPENAI_API_KEY": KEY}),
    ):
        assert tables(halves) == {}
        assert "a variable gives it one, but not in the place where its key is" in told(halves)


def test_a_bearer_token_goes_where_its_base_url_says(tmp_path: Path) -> None:
    token = f"ANTHROPIC_AUTH_TOKEN={KEY}\n"
    result = read(tmp_path, f"{token}ANTHROPIC_BASE_URL=https://relay.example\nANTHROPIC_API_KEY={KEY}-2\n")
    assert tables(result) == {
        "anthropic": {
            "url": "https://relay.example",
            "dialect": "anthropic-messages",
            "keys": ["store:ANTHROPIC_AUTH_TOKEN"],
        }
    }
    assert "ANTHROPIC_API_KEY: ANTHROPIC_AUTH_TOKEN is used for 'anthropic'" in told(result)
    alone = read(tmp_path, token)
    assert tables(alone) == {}
    assert "ANTHROPIC_AUTH_TOKEN: at its maker's own host" in told(alone)


def test_every_variable_that_looks_like_a_key_is_named(tmp_path: Path) -> None:
    text = (
        "GROQ_API_KEY=<your groq key>\nGROQ_API_KEY_2=gsk_k2-7c1d0b4e\nMISTRAL_API_KEY=one1234,two5678\n"
        f"AZURE_OPENAI_API_KEY={KEY}\nAZURE_OPENAI_ENDPOINT=https://u:p@res.azure.example\n"
        f'CORP_API_KEY={KEY}\nOPENAI_ORG_ID=org-1\nXAI_API_KEY="multi\nline"\nCOHERE_API_KEY="open\n'
    )
    result = read(tmp_path, text)
    assert tables(result) == {"groq": {"preset": "groq", "keys": ["store:GROQ_API_KEY_2"]}}
    for part in (
        "GROQ_API_KEY: the value of GROQ_API_KEY is a placeholder",
        "MISTRAL_API_KEY: the value of MISTRAL_API_KEY is a list",
        "XAI_API_KEY: the value of XAI_API_KEY is a list or has several lines",
        "COHERE_API_KEY: the value of COHERE_API_KEY has quotes in it",
        "holdfast provider add azure-openai --url https://res.azure.example --key env:AZURE_OPENAI_API_KEY",
        "holdfast provider add corp --url URL --key env:CORP_API_KEY",
        "OPENAI_ORG_ID: write headers",
    ):
        assert part in told(result)
    assert "u:p" not in told(result)
