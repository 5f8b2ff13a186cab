"""A plan put into effect: private files and an environment without keys; everything of ours is gone
afterwards."""

from __future__ import annotations

import json
import os
import stat
from base64 import b64encode, encodebytes, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from harness.tasks import CHAT, VARIABLES, task
from holdfast._files import write_private
from holdfast.core.errors import CannotHandOver, ConfigError
from holdfast.harness import HARNESSES, apply
from holdfast.harness.base import TOKEN, File, Handover
from holdfast.values.secret import Secret

KEY = "sk-the-real-key-93b1f0d2"
ODD = 'key/with+odd"signs>>>??\xff-7d3e'
PLAN = HARNESSES["pi"].hand_over(task(CHAT, version="1.5.2"))


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def test_no_directory_on_the_way_is_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with apply.claimed(tmp_path / "run" / "pi" / "s", "s"):
            assert [
                stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("run", "run/pi", "run/pi/s")
            ] == [0o700] * 3
    finally:
        os.umask(before)


def test_the_files_of_a_run_are_private_and_gone_afterwards(tmp_path: Path) -> None:
    directory = tmp_path / "run" / "pi" / "s"
    with apply.claimed(directory, "s"):
        apply.lay_out(PLAN, directory, write_private)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert set(modes(directory).values()) == {0o600}
        assert json.loads((directory / "models.json").read_text())["providers"]
        assert apply.withdraw(PLAN, directory) == []
    assert sorted(modes(directory)) == [".holdfast.lock", "settings.json"]


def test_what_the_program_keeps_for_itself_is_begun_once_and_never_overwritten(tmp_path: Path) -> None:
    with apply.claimed(tmp_path, "s"):
        apply.lay_out(PLAN, tmp_path, write_private)
        (tmp_path / "settings.json").write_text('{"theme": "dark"}')
        apply.withdraw(PLAN, tmp_path)
        apply.lay_out(PLAN, tmp_path, write_private)
    assert (tmp_path / "settings.json").read_text() == '{"theme": "dark"}'


def test_a_file_that_the_program_rewrote_is_reported_and_still_removed(tmp_path: Path) -> None:
    with apply.claimed(tmp_path, "s"):
        apply.lay_out(PLAN, tmp_path, write_private)
        (tmp_path / "models.json").write_text("{}")
        assert apply.withdraw(PLAN, tmp_path) == ["models.json"]
    assert not (tmp_path / "models.json").exists()


def test_what_a_killed_run_left_is_overwritten_or_removed_before_the_next(tmp_path: Path) -> None:
    old = Handover(
        "pi", ("pi",), (File("old.json", "stale"), File("models.json", "stale")), {}, (), "", PLAN.expected
    )
    with apply.claimed(tmp_path, "s"):
        apply.lay_out(old, tmp_path, write_private)
    with apply.claimed(tmp_path, "s"):
        apply.lay_out(PLAN, tmp_path, write_private)
    assert not (tmp_path / "old.json").exists()
    assert "stale" not in (tmp_path / "models.json").read_text()


def test_a_link_that_somebody_put_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, directory = tmp_path / "victim", tmp_path / "run"
    victim.write_text("the user's own")
    with apply.claimed(directory, "s"):
        (directory / "models.json").symlink_to(victim)
        (directory / "settings.json").symlink_to(victim)
        apply.lay_out(PLAN, directory, write_private)
    assert victim.read_text() == "the user's own"
    assert not (directory / "models.json").is_symlink()


@pytest.mark.parametrize("left", ["not json", "[1]", '["../outside", "/etc/passwd"]', "{}"])
def test_a_manifest_that_was_tampered_with_removes_nothing_outside(left: str, tmp_path: Path) -> None:
    outside, directory = tmp_path / "outside", tmp_path / "run"
    outside.write_text("x")
    with apply.claimed(directory, "s"):
        (directory / ".holdfast.json").write_text(left)
        apply.lay_out(PLAN, directory, write_private)
    assert outside.exists()


def test_a_second_run_of_a_session_is_refused_with_the_process_that_has_it(tmp_path: Path) -> None:
    with apply.claimed(tmp_path, "mine"):
        with (
            pytest.raises(
                CannotHandOver, match=rf"session 'mine' is running already \(process {os.getpid()}\)"
            ) as caught,
            apply.claimed(tmp_path, "mine"),
        ):
            pass
        assert "--session" in caught.value.next_step
    with apply.claimed(tmp_path, "mine"):
        pass


def test_a_directory_that_cannot_be_written_is_reported_before_anything_starts(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with (
        pytest.raises(ConfigError, match=r"cannot make .*nothing was started") as caught,
        apply.claimed(blocked / "run", "s"),
    ):
        pass
    assert "HOLDFAST_HOME" in caught.value.next_step


def test_a_link_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError, match="not a directory of ours"), apply.claimed(tmp_path / "link", "s"):
        pass


def test_the_child_inherits_no_key_under_whatever_name() -> None:
    inherit = {
        "PATH": "/bin",
        "HOME": "/home/user",
        "MY_OWN_NAME": KEY,
        "CONNECTION": f"https://user:{KEY}@host",
        "MIMO_KEY": "another",
        "OPENAI_BASE_URL": "https://evil.example",
        "PI_CODING_AGENT_DIR": "/evil",
        "LANG": "C",
        "no_proxy": "intern.example",
        VARIABLES["groq"][0]: "gsk_x",
    }
    child = apply.environment(
        PLAN, inherit, Secret("hf-token-for-this-run"), [Secret(KEY)], ["MIMO_KEY", VARIABLES["groq"][0]]
    )
    assert KEY not in json.dumps(child)
    assert child == {
        "PATH": "/bin",
        "HOME": "/home/user",
        "LANG": "C",
        "no_proxy": "intern.example,127.0.0.1,localhost,::1",
        "NO_PROXY": "127.0.0.1,localhost,::1",
        TOKEN: "hf-token-for-this-run",
        **PLAN.set,
    }


SPELLINGS = {
    "plain": KEY,
    "within": f"Bearer {KEY}",
    "JSON": json.dumps({"key": ODD}),
    "URL": f"https://a.example/?key={quote(ODD, safe='')}",
    "URL, lower case": quote(ODD, safe="").replace("%2F", "%2f"),
    "form": urlencode({"key": ODD}),
    "base64": b64encode(KEY.encode()).decode(),
    "base64 without padding": b64encode(KEY.encode()).decode().rstrip("="),
    "base64 in lines": encodebytes(KEY.encode() * 4).decode(),
    "base64 for URLs": urlsafe_b64encode(ODD.encode()).decode(),
    "Basic": f"Basic {b64encode(f'somebody:{KEY}'.encode()).decode()}",
    "base64 within": f'{{"auths": {{"a/b": "x/{b64encode(KEY.encode()).decode()}"}}}}',
    "hex": KEY.encode().hex(),
    "hex in capitals": f"0x{KEY.encode().hex().upper()}",
    "hex after a digit": f"f{KEY.encode().hex()}",
}


@pytest.mark.parametrize("value", SPELLINGS.values(), ids=SPELLINGS)
def test_a_variable_that_spells_a_key_in_another_way_is_removed_too(value: str) -> None:
    child = apply.environment(PLAN, {"SPELT": value, "LANG": "C"}, None, [Secret(KEY), Secret(ODD)], [])
    assert ("SPELT" in child, child["LANG"]) == (False, "C")


def test_a_short_secret_in_base64_removes_what_is_exactly_it() -> None:
    child = apply.environment(
        PLAN,
        {"A": b64encode(b"abcdef").decode(), "B": b64encode(b"abcdefg").decode()},
        None,
        [Secret("abcdef")],
        [],
    )
    assert ("A" in child, "B" in child) == (False, True)


def test_a_short_secret_removes_what_is_exactly_it_and_nothing_more() -> None:
    child = apply.environment(PLAN, {"A": "abc", "B": "abcdef"}, None, [Secret("abc")], [])
    assert "A" not in child
    assert child["B"] == "abcdef"
    assert TOKEN not in child


@pytest.mark.parametrize(
    ("line", "variable"),
    [
        ("OPENAI_API_BASE=http://evil.example", "OPENAI_API_BASE"),
        ("export HTTPS_PROXY = http://evil.example", "HTTPS_PROXY"),
        ("http_proxy=http://evil.example", "http_proxy"),
        ("DEEPSEEK_API_BASE=http://evil.example", "DEEPSEEK_API_BASE"),
        ("AIDER_WEAK_MODEL=x/y", "AIDER_WEAK_MODEL"),
    ],
)
def test_a_project_file_that_would_redirect_a_program_is_refused_with_its_line(
    line: str, variable: str, tmp_path: Path
) -> None:
    plan = HARNESSES["aider"].hand_over(task(CHAT))
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env").write_text(f"# a project\nDATABASE=x\n{line}\n")
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    with pytest.raises(CannotHandOver, match=rf"\.env:3 sets {variable}"):
        apply.refuse_project(plan, below)


def test_a_project_file_that_redirects_nothing_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgres://x\n# OPENAI_API_BASE=no\nDEBUG=1\n")
    apply.refuse_project(HARNESSES["aider"].hand_over(task(CHAT)), tmp_path)
    apply.refuse_project(PLAN, tmp_path)


def test_a_configuration_of_the_project_that_beats_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "crush.json").write_text("{}")
    with pytest.raises(CannotHandOver, match=r"crush\.json overrides everything that we can set"):
        apply.refuse_project(HARNESSES["crush"].hand_over(task(CHAT)), tmp_path)
