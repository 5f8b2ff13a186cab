"""`connect` adds to a program's own file what it needs, and `disconnect` gives back the very bytes."""

from __future__ import annotations

import errno
import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cli.furnishing import Cli, write
from holdfast._files import write_keeping_mode
from holdfast.core.errors import ConfigError
from holdfast.core.identity import Dialect
from holdfast.harness import HARNESSES, jsonc
from holdfast.harness import attach as shell
from holdfast.harness.base import ConnectOffer
from holdfast.store.sqlite import SqliteStore
from tables import rows

CONFIG = """\
[gateway]
listen = "127.0.0.1:4555"

[provider.mimo]
url    = "https://mimo.example/v1"
models = ["mimo-pro"]
translate = "never"
keys   = ["env:MIMO_KEY"]

[provider.both]
models = ["big"]
keys   = ["env:BOTH_KEY"]
[provider.both.endpoints]
openai-chat        = "https://both.example/v1"
anthropic-messages = "https://both.example"
openai-responses   = "https://both.example/v1"
"""
FILES = {
    "pi": (
        ".pi/agent/models.json",
        (
            '{\n  // mine\n  "providers": {\n'
            '    "a": {"baseUrl": "https://a.example", "apiKey": "$A"}, // keep\n  },\n}\n'
        ),
    ),
    "claude": (".claude/settings.json", '{"theme": "dark", "env": {"FOO": "1"}}'),
    "codex": (".codex/config.toml", '# mine\nmodel = "gpt-5"\n'),
    "opencode": (".config/opencode/opencode.jsonc", '{\n\t/* mine */\n\t"theme": "x"\n}'),
    "kilo": (".config/kilo/kilo.jsonc", '{\n\t/* mine */\n\t"theme": "x"\n}'),
}
CONNECTABLE = sorted(FILES)


@pytest.fixture
def user_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's HOME, with a Holdfast home in it."""
    write(home / "holdfast.toml", CONFIG)
    monkeypatch.setenv("MIMO_KEY", "sk-canary-mimo-93b1f0d2e7")
    monkeypatch.setenv("BOTH_KEY", "sk-canary-both-93b1f0d2e7")
    return home.parent


def furnish(user_home: Path, name: str) -> Path:
    """A configuration that the program's user wrote."""
    path = user_home / FILES[name][0]
    path.parent.mkdir(parents=True)
    path.write_text(FILES[name][1], "utf-8")
    path.chmod(0o644)
    return path


def profile(user_home: Path, text: str) -> Path:
    """Codex's profile that `connect` writes to, as its user wrote it."""
    path = user_home / ".codex/holdfast.config.toml"
    path.parent.mkdir()
    path.write_bytes(text.encode())
    return path


def tokens(user_home: Path) -> list[tuple[str, bool]]:
    store = SqliteStore(user_home / "holdfast" / "state.db")
    try:
        return [(token.label, token.revoked_at is None) for token in store.tokens()]
    finally:
        store.close()


def outside(user_home: Path) -> dict[str, bytes]:
    """Every file of the user's that is not Holdfast's."""
    return {
        str(path.relative_to(user_home)): path.read_bytes()
        for path in user_home.rglob("*")
        if path.is_file() and user_home / "holdfast" not in path.parents
    }


@pytest.mark.parametrize("name", CONNECTABLE)
def test_after_disconnect_every_byte_and_mode_is_what_it_was(name: str, cli: Cli, user_home: Path) -> None:
    path, before = furnish(user_home, name), {FILES[name][0]: FILES[name][1].encode()}
    assert cli("connect", name).exit_code == 0
    assert outside(user_home) != before
    assert cli("connect", name).exit_code == 0, "connecting again brings it up to date"
    assert cli("disconnect", name).exit_code == 0
    assert outside(user_home) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert tokens(user_home) == [(f"connect-{name}", False)] * 2
    assert list((user_home / "holdfast" / "connected").iterdir()) == []


@pytest.mark.parametrize("name", CONNECTABLE)
def test_a_file_that_was_not_there_is_gone_again(name: str, cli: Cli, user_home: Path) -> None:
    assert cli("connect", name, "--pin", "both/big").exit_code == 0
    made = outside(user_home)
    assert len(made) == 1
    assert cli("disconnect", name).exit_code == 0
    assert outside(user_home) == {}


@pytest.mark.parametrize("name", CONNECTABLE)
def test_what_is_written_holds_neither_key_nor_token_and_nothing_is_lost_of_what_stood_there(
    name: str, cli: Cli, user_home: Path
) -> None:
    furnish(user_home, name)
    cli("connect", name, "--pin", "both/big")
    token = (user_home / "holdfast" / "connected" / f"{name}.token").read_text()
    written = (
        b"".join(outside(user_home).values()).decode()
        + (user_home / "holdfast" / "connected" / f"{name}.json").read_text()
    )
    assert token.startswith("hf-")
    assert token not in written
    assert "canary" not in written
    assert f"connected/{name}.token" in written
    assert {
        stat.S_IMODE(path.stat().st_mode) for path in (user_home / "holdfast" / "connected").iterdir()
    } == {0o600}
    for word in ("mine", "keep", "dark", "FOO", "gpt-5"):
        assert (word in FILES[name][1]) <= (word in written)


def test_each_program_gets_every_model_that_it_can_use_as_a_pin(cli: Cli, user_home: Path) -> None:
    for name in CONNECTABLE:
        assert cli("connect", name, "--pin", "both/big").exit_code == 0, name
    pi = jsonc.parse((user_home / ".pi/agent/models.json").read_text())["providers"]["holdfast"]
    assert [model["id"] for model in pi["models"]] == ["mimo/mimo-pro", "both/big"]
    opencode = jsonc.parse((user_home / ".config/opencode/opencode.json").read_text())["provider"]["holdfast"]
    assert [*opencode["models"]] == ["mimo/mimo-pro", "both/big"]
    claude = jsonc.parse((user_home / ".claude/settings.json").read_text())
    assert (claude["env"]["ANTHROPIC_BASE_URL"], claude["env"]["ANTHROPIC_MODEL"]) == (
        "http://127.0.0.1:4555",
        "both/big",
    )
    codex = tomllib.loads((user_home / ".codex/holdfast.config.toml").read_text())
    assert (codex["model"], codex["model_providers"]["holdfast"]["base_url"]) == (
        "both/big",
        "http://127.0.0.1:4555/v1",
    )


def test_a_connected_program_is_told_what_is_known_of_each_model(cli: Cli, user_home: Path) -> None:
    facts = '{ id = "big", context = 200_000, output = 9_000, input = ["text", "image"], reasoning = true }'
    write(user_home / "holdfast" / "holdfast.toml", CONFIG.replace('["big"]', f"[{facts}]"))
    for name in CONNECTABLE:
        assert cli("connect", name, "--pin", "both/big").exit_code == 0, name
    pi = jsonc.parse((user_home / ".pi/agent/models.json").read_text())["providers"]["holdfast"]
    known = {"contextWindow": 200_000, "maxTokens": 9_000, "input": ["text", "image"], "reasoning": True}
    assert [{name: model.get(name) for name in known} for model in pi["models"]] == [
        dict.fromkeys(known),
        known,
    ]
    opencode = jsonc.parse((user_home / ".config/opencode/opencode.json").read_text())["provider"]["holdfast"]
    assert opencode["models"]["mimo/mimo-pro"] == {}
    assert opencode["models"]["both/big"]["limit"] == {"context": 200_000, "output": 9_000}
    claude = jsonc.parse((user_home / ".claude/settings.json").read_text())["env"]
    assert claude["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "200000"
    codex = tomllib.loads((user_home / ".codex/holdfast.config.toml").read_text())
    assert codex["model_context_window"] == 200_000


@pytest.mark.parametrize(
    ("name", "text", "taken"),
    [
        ("pi", '{"providers": {"holdfast": {"baseUrl": "x"}}}', "providers.holdfast"),
        ("pi", '{"providers": []}', "providers.holdfast"),
        ("claude", '{"apiKeyHelper": "mine.sh"}', "apiKeyHelper"),
        ("claude", '{"env": {"ANTHROPIC_BASE_URL": "https://mine"}}', "env.ANTHROPIC_BASE_URL"),
    ],
)
def test_what_its_user_wrote_is_never_overwritten(
    name: str, text: str, taken: str, cli: Cli, user_home: Path
) -> None:
    path = furnish(user_home, name)
    path.write_text(text)
    result = cli("connect", name)
    assert result.exit_code == 2
    assert taken in result.stderr
    assert path.read_text() == text
    assert list((user_home / "holdfast" / "connected").iterdir()) == []
    assert tokens(user_home) == [(f"connect-{name}", False)]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('model = "mine"\n', "model"),
        ('[model_providers.holdfast]\nname = "mine"\n', "model_providers.holdfast"),
        ("model_providers = 1\n", "model_providers.holdfast"),
        ('[model_providers]\nother.name = "mine"\n', "model_providers"),
    ],
)
def test_a_setting_of_the_user_s_own_in_codex_s_profile_is_never_overwritten(
    text: str, taken: str, cli: Cli, user_home: Path
) -> None:
    path = profile(user_home, text)
    result = cli("connect", "codex")
    assert (result.exit_code, f"\n  {taken}\n" in result.stderr) == (2, True), result.stderr
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "# mine",
        'approval_policy = "never"\r\n[features]\r\nx = true\r\n',
        "\ufeff# mine\n",
        '[model_providers.other]\nname = "o"',
    ],
)
def test_codex_s_profile_keeps_the_lines_of_its_user(text: str, cli: Cli, user_home: Path) -> None:
    path = profile(user_home, text)
    assert cli("connect", "codex").exit_code == 0
    loaded = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    assert loaded["model_provider"] == "holdfast"
    assert "holdfast" in loaded["model_providers"]
    assert cli("disconnect", "codex").exit_code == 0
    assert path.read_bytes() == text.encode()


def test_a_line_that_was_added_to_codex_s_profile_stays_and_it_can_be_connected_again(
    cli: Cli, user_home: Path
) -> None:
    path, added = user_home / ".codex/holdfast.config.toml", 'approval_policy = "never"\n'
    assert cli("connect", "codex").exit_code == 0
    path.write_text(path.read_text() + added)
    assert cli("disconnect", "codex").stderr == ""
    assert path.read_text() == added
    assert cli("connect", "codex").exit_code == 0
    assert path.read_text().endswith(added)
    assert cli("disconnect", "codex").exit_code == 0
    assert path.read_text() == added


def test_a_profile_that_an_older_version_wrote_is_forgotten_too(cli: Cli, user_home: Path) -> None:
    cli("connect", "codex")
    kept = user_home / "holdfast/connected/codex.json"
    receipt = json.loads(kept.read_text())
    del receipt["lines"]
    kept.write_text(json.dumps(receipt))
    path = user_home / ".codex/holdfast.config.toml"
    path.write_text(path.read_text() + "# more\n")
    assert cli("disconnect", "codex").exit_code == 0
    assert path.read_text() == "# more\n"


def test_a_file_that_cannot_be_understood_is_left_alone(cli: Cli, user_home: Path) -> None:
    path = furnish(user_home, "pi")
    path.write_text('{"providers": ')
    result = cli("connect", "pi")
    assert result.exit_code == 2
    assert "is not JSON" in result.stderr
    assert path.read_text() == '{"providers": '


def test_what_somebody_changed_meanwhile_stays_and_only_ours_goes(cli: Cli, user_home: Path) -> None:
    path = furnish(user_home, "pi")
    cli("connect", "pi")
    path.write_text(jsonc.put(path.read_text(), ("providers", "b"), {"baseUrl": "https://b.example"}))
    assert cli("disconnect", "pi").exit_code == 0
    left = jsonc.parse(path.read_text())
    assert [*left["providers"]] == ["a", "b"]
    assert "// mine" in path.read_text()
    assert "// keep" in path.read_text()


def test_a_program_that_wrote_its_file_anew_keeps_what_it_wrote_without_ours(
    cli: Cli, user_home: Path
) -> None:
    path = furnish(user_home, "claude")
    cli("connect", "claude")
    rewritten = jsonc.parse(path.read_text()) | {"theme": "light"}
    path.write_text(json.dumps(rewritten, indent=4))
    cli("disconnect", "claude")
    assert json.loads(path.read_text()) == {"theme": "light", "env": {"FOO": "1"}}


def test_an_edited_setting_of_ours_is_kept_and_reported(cli: Cli, user_home: Path) -> None:
    path = furnish(user_home, "claude")
    cli("connect", "claude")
    path.write_text(path.read_text().replace("http://127.0.0.1:4555", "https://mine.example"))
    result = cli("disconnect", "claude")
    assert "env.ANTHROPIC_BASE_URL was changed since, and was left as it is" in result.stderr
    assert jsonc.parse(path.read_text())["env"] == {"FOO": "1", "ANTHROPIC_BASE_URL": "https://mine.example"}


def test_objects_that_were_made_for_ours_go_with_them(cli: Cli, user_home: Path) -> None:
    path = user_home / ".claude/settings.json"
    path.parent.mkdir()
    path.write_text('{"theme": "dark"}')
    cli("connect", "claude")
    path.write_text(json.dumps(jsonc.parse(path.read_text()) | {"theme": "light"}))
    cli("disconnect", "claude")
    assert json.loads(path.read_text()) == {"theme": "light"}


def test_a_comment_that_its_user_wrote_into_an_object_of_ours_stays(cli: Cli, user_home: Path) -> None:
    path = user_home / ".claude/settings.json"
    path.parent.mkdir()
    path.write_text('{"theme": "dark"}')
    cli("connect", "claude")
    path.write_text(path.read_text().replace('"env": {', '"env": { // ask Ann before you change this', 1))
    cli("disconnect", "claude")
    assert "// ask Ann before you change this" in path.read_text()
    assert jsonc.parse(path.read_text()) == {"theme": "dark", "env": {}}


def test_a_file_that_holds_nothing_but_its_user_s_comment_stays(cli: Cli, user_home: Path) -> None:
    path = user_home / ".claude/settings.json"
    cli("connect", "claude")
    path.write_text("// ask Ann before you change this\n" + path.read_text())
    cli("disconnect", "claude")
    assert path.read_text() == "// ask Ann before you change this\n{}\n"


@pytest.mark.parametrize("command", ["connect", "disconnect"])
def test_what_a_killed_edit_left_beside_the_file_goes_with_the_next_one(
    command: str, cli: Cli, user_home: Path
) -> None:
    path = furnish(user_home, "pi")
    cli("connect", "pi")
    names = (f".{path.name}.4711.0123abcd", f".{path.name}.mine.0123abcd", ".other.4711.0123abcd")
    left = [path.with_name(name) for name in names]
    for leftover in left:
        leftover.write_text("{}")
    os.utime(left[0], (1, 1))
    if command == "connect":
        cli("disconnect", "pi")
        left[0].write_text("{}")
        os.utime(left[0], (1, 1))
    cli(command, "pi")
    assert [path.exists() for path in left] == [False, True, True]


def test_a_link_is_followed_and_stays_a_link(cli: Cli, user_home: Path) -> None:
    path = furnish(user_home, "pi")
    real = user_home / "dotfiles.json"
    path.rename(real)
    path.symlink_to(real)
    cli("connect", "pi")
    assert path.is_symlink()
    assert "holdfast" in real.read_text()
    cli("disconnect", "pi")
    assert real.read_text() == FILES["pi"][1]


@pytest.mark.parametrize("name", CONNECTABLE)
def test_a_file_with_a_second_name_is_not_torn_from_it(name: str, cli: Cli, user_home: Path) -> None:
    if name == "codex":
        path = profile(user_home, "# mine\n")
    else:
        path = furnish(user_home, name)
    second, before = user_home / "dotfiles.copy", path.read_bytes()
    second.hardlink_to(path)
    refused = cli("connect", name)
    assert refused.exit_code == 2
    assert "has 2 names (hard links)" in refused.stderr
    assert f"holdfast run {name}" in refused.stderr
    assert second.samefile(path)
    assert path.read_bytes() == before


def test_the_program_s_own_variable_says_where_its_files_are(
    cli: Cli, user_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PI_CODING_AGENT_DIR", str(user_home / "elsewhere"))
    cli("connect", "pi")
    assert [*outside(user_home)] == ["elsewhere/models.json"]


def drifted(cli: Cli) -> list[dict[str, Any]]:
    return [
        finding
        for finding in json.loads(cli("doctor", "--json").stdout)["findings"]
        if finding["check"] == "connect"
    ]


def test_doctor_says_when_a_connected_program_was_pointed_elsewhere(cli: Cli, user_home: Path) -> None:
    path = furnish(user_home, "pi")
    cli("connect", "pi")
    assert [finding["level"] for finding in drifted(cli)] == ["ok"]
    text = path.read_text()
    for change, words in (
        (lambda: path.write_text(text.replace(":4555", ":1")), "providers.holdfast"),
        (lambda: path.write_text("{"), "can no longer be read or parsed"),
        (path.unlink, "is gone"),
        ((user_home / "holdfast/connected/pi.token").unlink, "token"),
        (
            lambda: write(user_home / "holdfast/holdfast.toml", CONFIG.replace("4555", "4666")),
            "the gateway listens at http://127.0.0.1:4666",
        ),
        (lambda: (user_home / "holdfast/connected/pi.json").write_text("{"), "damaged"),
    ):
        change()
        (finding,) = drifted(cli)
        assert (finding["level"], words in finding["what"]) == ("wrong", True), finding
        assert finding["run"].startswith("holdfast connect pi")


def test_doctor_says_when_the_profile_of_codex_was_changed(cli: Cli, user_home: Path) -> None:
    cli("connect", "codex")
    path = user_home / ".codex/holdfast.config.toml"
    path.write_text(path.read_text().replace('model = "both/big"', 'model = "mine"') + "# more\n")
    assert drifted(cli)[0]["what"].endswith("was changed since it was connected: model")
    result = cli("disconnect", "codex")
    assert "model was changed since, and was left as it is" in result.stderr
    assert path.read_text() == 'model = "mine"\n# more\n'


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [("pi", "[1, 2]", "a list"), ("claude", '"x"', "a text"), ("opencode", "// x\n3", "a single value")],
)
def test_a_file_that_holds_no_settings_is_refused_plainly(
    name: str, text: str, kind: str, cli: Cli, user_home: Path
) -> None:
    path = furnish(user_home, name)
    path.write_text(text)
    result = cli("connect", name)
    assert result.exit_code == 2
    assert f"{path} holds {kind} where its program reads an object" in result.stderr
    assert path.read_text() == text


@rows("name", sorted(name for name, harness in HARNESSES.items() if harness.attach is None))
def test_a_program_that_takes_no_key_by_reference_is_run_and_not_connected(
    name: str, cli: Cli, user_home: Path
) -> None:
    result = cli("connect", name)
    assert result.exit_code == 2
    program = HARNESSES[name]
    why = program.no_plan or f"it takes its key {program.no_attach}"
    assert f"{program.title} cannot be connected: {why}\n  run: holdfast run " in result.stderr
    assert cli("disconnect", name).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("claude", "--pin", "mimo/mimo-pro"), "speaks anthropic-messages"),
        (("nope",), "no harness is called 'nope'"),
    ],
)
def test_a_connection_that_could_not_work_is_refused_before_anything_is_written(
    arguments: tuple[str, ...], message: str, cli: Cli, user_home: Path
) -> None:
    result = cli("connect", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert outside(user_home) == {}


def test_a_program_that_keeps_rewriting_its_file_is_asked_to_end_first(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text("{}")
    attachment = HARNESSES["pi"].attach
    assert attachment is not None
    turn = iter(range(100))

    def keep(_: Path, text: str) -> None:
        path.write_text(json.dumps({"n": next(turn)}))

    with pytest.raises(ConfigError, match="keeps changing"):
        shell.connect(
            "pi",
            attachment(
                ConnectOffer("http://127.0.0.1:1", "/t", ("cat", "/t"), (("a/b", Dialect.OPENAI_CHAT),))
            ),
            path,
            "http://127.0.0.1:1",
            "/t",
            keep,
        )
    assert json.loads(path.read_text()) == {"n": 2}


def test_a_full_disk_leaves_the_file_as_it_was_and_nothing_beside_it(
    user_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = furnish(user_home, "pi")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    text = path.read_text()
    with pytest.raises(ConfigError, match=r"cannot write .*No space left on device; nothing was changed"):
        write_keeping_mode(path, "{}")
    assert path.read_text() == text
    assert [path.name for path in path.parent.iterdir()] == ["models.json"]
