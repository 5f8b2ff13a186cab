"""holdfast.toml on disk: its place, its lines, edits that keep comments, and what happens when something is
in the way."""

from __future__ import annotations

import os
import stat
import textwrap
import threading
import time
from pathlib import Path

import pytest

from holdfast import config as config_file
from holdfast.config import Home, Lines, edit
from holdfast.config import home as home_file
from holdfast.core.config import Config
from holdfast.core.errors import ConfigError, ConnectionLost
from holdfast.core.identity import Dialect, Pin, ProviderName
from holdfast.credentials import SecretsFile
from holdfast.values.secret import Secret

EXAMPLE = """\
# my providers
[provider.mimo]   # the plan
preset = "mimo-plan-cn"
url    = "https://token-plan-sgp.xiaomimimo.com/v1"   # moved by support
models = ["mimo-v2.5-pro"]
keys   = [
  "env:MIMO_KEY",   # mine
  # the team's
  { from = "store:b", label = "b" },
]
# about headers
[provider.mimo.headers]
X-Team = "a"

# the way out
[provider.router]
preset = "openrouter"
keys   = ["env:ROUTER_KEY"]

[fallback]
"mimo/mimo-v2.5-pro" = { then = ["router/xiaomi/mimo-v2.5-pro"], return_after = "10m" }   # agreed
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home")


@pytest.fixture
def example(home: Home) -> Home:
    home.config.parent.mkdir()
    home.config.write_text(EXAMPLE)
    return home


def refused(home: Home, text: str) -> str:
    home.config.parent.mkdir(exist_ok=True)
    home.config.write_text(textwrap.dedent(text))
    with pytest.raises(ConfigError) as caught:
        config_file.load(home)
    assert str(home.config) in str(caught.value)
    return str(caught.value)


def test_one_variable_moves_everything(tmp_path: Path) -> None:
    home = Home.find({"HOLDFAST_HOME": str(tmp_path)})
    assert home == Home(tmp_path / "holdfast.toml", tmp_path, tmp_path / "secrets.toml")


def test_without_it_the_platform_s_directories_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CONFIG", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    for environ in ({}, {"HOLDFAST_HOME": ""}):
        home = Home.find(environ)
        assert len({home.config.parent, home.state, home.secrets.parent}) >= 1
        assert (home.config.name, home.secrets.name, home.state.is_absolute()) == (
            "holdfast.toml",
            "secrets.toml",
            True,
        )


def test_a_home_may_be_written_with_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.find({"HOLDFAST_HOME": "~/x"}).state == tmp_path / "x"


def test_no_file_is_an_empty_configuration_and_makes_nothing(home: Home) -> None:
    assert not config_file.load(home).providers
    assert config_file.revision(home) is None
    assert not home.config.parent.exists()


def test_the_file_is_read_with_presets_and_with_the_line_of_each_url(example: Home) -> None:
    config = config_file.load(example)
    mimo = config.providers[ProviderName("mimo")]
    assert mimo.profile == "mimo"
    assert (
        config.endpoint_source(mimo, Dialect.OPENAI_CHAT)
        == "provider.mimo.url, holdfast.toml:4, instead of preset mimo-plan-cn"
    )
    assert mimo.dialects == (Dialect.OPENAI_CHAT,)


def test_a_mark_of_the_byte_order_is_no_syntax_error(home: Home) -> None:
    home.config.parent.mkdir()
    home.config.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())
    assert len(config_file.load(home).providers) == 2


def test_the_revision_changes_with_the_file(example: Home) -> None:
    before = config_file.revision(example)
    assert config_file.revision(example) == before
    config_file.set_models(example, "router", ["a"])
    assert config_file.revision(example) != before


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("provider.mimo", 2),
        ("provider.mimo.url", 4),
        ("provider.mimo.keys", 6),
        ("provider.mimo.keys[0]", 7),
        ("provider.mimo.keys[1]", 9),
        ("provider.mimo.keys[1].label", 9),
        ("provider.mimo.headers.X-Team", 13),
        ('fallback."mimo/mimo-v2.5-pro".then[0]', 21),
        ("provider.mimo.strategy", 2),
        ("provider.router.keys[4].from", 18),
    ],
)
def test_each_path_knows_its_line_and_a_missing_one_the_line_of_its_table(path: str, line: int) -> None:
    assert Lines(EXAMPLE, "f").locate(path) == f"f:{line}"


def test_a_bracket_inside_a_string_or_a_list_is_no_header() -> None:
    text = 'a = """\n[not.a.table]\n"""\nb = [\n[1],\n[2,\n3]]\n[c]\nd = 1\n'
    lines = Lines(text, "f")
    assert [lines.locate(path) for path in ("a", "b", "b[0]", "b[1][1]", "c.d", "x")] == [
        "f:1",
        "f:4",
        "f:5",
        "f:7",
        "f:9",
        "f",
    ]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            '[provider.a]\nurl = "https://x.example/v1"\nkeys = [sk-abc]\n',
            ["holdfast.toml:3:9: syntax: Invalid value", "run: ${EDITOR:-vi} +3 "],
        ),
        ("[provider.a]\nurl = \n", ["holdfast.toml:2:7: syntax: Invalid value"]),
        (
            '[provider.a]\nkeys = ["env:A",\n',
            ["holdfast.toml: syntax: Invalid value: the file ends too early", "run: ${EDITOR:-vi} +$ "],
        ),
        (
            '[provider.a]\nurl = "https://x.example"\nurl = "https://y.example"\n',
            ["holdfast.toml:3:26: syntax: Cannot overwrite a value"],
        ),
        (
            '[provider.a]\nurl = "https://x.example/v1"\nkyes = []\n',
            ["holdfast.toml:3: provider.a.kyes: unknown key 'kyes'", "did you mean 'keys'?"],
        ),
        (
            (
                '[provider.a]\nurl = "https://x.example/v1"\nkeys = [\n  "env:A",\n'
                '  "sk-abcdefghijklmnopqrst",\n]\n'
            ),
            [
                "holdfast.toml:5: provider.a.keys[1]: must be a reference",
                "holdfast key add a --from env:VARIABLE",
            ],
        ),
        (
            '[provider.custom]\nurl = "https://x.example/v1"\n',
            ["holdfast.toml:1: provider.custom: 'custom' is a kind", "holdfast provider add NAME --url URL"],
        ),
        (
            '\n[provider.a]\nurl = "https://me:pw@x.example/v1"\n',
            [
                "holdfast.toml:3: provider.a.url: https://****@x.example/v1 has a user or password",
                "holdfast key add PROVIDER --from env:NAME",
            ],
        ),
        (
            '[provider.a]\npreset = "openruter"\n',
            [
                "holdfast.toml:2: provider.a.preset: no preset is called 'openruter'",
                "did you mean 'openrouter'?",
            ],
        ),
        (
            "[provider.a]\n",
            [
                "holdfast.toml:1: provider.a: provider 'a' has no endpoint",
                "holdfast provider add a --url URL",
            ],
        ),
        (
            '[gateway]\nlisten = "x"\n[gatewy]\n',
            [
                "holdfast.toml:2: gateway.listen: must be host:port",
                "holdfast.toml:3: gatewy: unknown key",
                "holdfast doctor",
            ],
        ),
    ],
)
def test_a_wrong_file_is_reported_with_line_and_command(home: Home, text: str, messages: list[str]) -> None:
    message = refused(home, text)
    assert not [part for part in messages if part not in message], message
    assert "sk-abc" not in message
    assert "me:pw" not in message
    assert home.config.read_text() == text


def test_a_file_that_is_no_text_or_cannot_be_read_is_reported(home: Home) -> None:
    home.config.parent.mkdir()
    home.config.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"holdfast\.toml is not UTF-8 text"):
        config_file.load(home)
    home.config.unlink()
    home.config.mkdir()
    with pytest.raises(ConfigError, match=r"holdfast\.toml is not a regular file"):
        config_file.load(home)


def test_the_first_provider_makes_a_private_home(home: Home) -> None:
    config = config_file.add_provider(
        home,
        "mimo",
        {"url": "https://x.example/v1", "models": ["m"], "keys": ["env:A", {"from": "env:B", "label": "b"}]},
    )
    assert home.config.read_text() == (
        '[provider.mimo]\nurl = "https://x.example/v1"\nmodels = ["m"]\n'
        'keys = ["env:A", {from = "env:B", label = "b"}]\n'
    )
    assert [key.label for key in config.providers[ProviderName("mimo")].keys] == ["A", "b"]
    assert stat.S_IMODE(home.config.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o600
    assert {path.name for path in home.config.parent.iterdir()} == {"holdfast.toml", ".holdfast.toml.lock"}


def test_a_provider_is_added_without_touching_the_rest_of_the_file(example: Home) -> None:
    config = config_file.add_provider(
        example, "my.local", {"preset": "ollama", "endpoints": {"openai-chat": "http://127.0.0.1:1/v1"}}
    )
    assert (
        example.config.read_text()
        == EXAMPLE
        + '\n[provider."my.local"]\npreset = "ollama"\nendpoints = {openai-chat = "http://127.0.0.1:1/v1"}\n'
    )
    source = config.endpoint_source(config.providers[ProviderName("my.local")], Dialect.OPENAI_CHAT)
    assert source == 'provider."my.local".endpoints.openai-chat, holdfast.toml:25, instead of preset ollama'


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("router", {"url": "https://x.example"}, "provider 'router' exists already"),
        ("custom", {"url": "https://x.example"}, "'custom' is a kind"),
        ("a", {"url": "nonsense"}, "provider.a.url: 'nonsense' is not an http(s) URL"),
        (
            "a",
            {"url": "https://x.example", "keys": ["sk-abcdefghijklmnop"]},
            "provider.a.keys[0]: must be a reference",
        ),
    ],
)
def test_a_wrong_provider_is_not_written(
    example: Home, name: str, entry: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config_file.add_provider(example, name, entry)
    assert message in str(caught.value)
    assert "holdfast.toml:" not in str(caught.value)
    assert example.config.read_text() == EXAMPLE


def test_a_rename_reaches_tables_fallbacks_and_kept_keys_and_keeps_every_comment(example: Home) -> None:
    SecretsFile(example.secrets).put("mimo", "b", Secret("value-of-b"))
    config = config_file.rename_provider(example, "mimo", "plan")
    expected = (
        EXAMPLE.replace("[provider.mimo]", "[provider.plan]")
        .replace("[provider.mimo.headers]", "[provider.plan.headers]")
        .replace('"mimo/', '"plan/')
    )
    assert example.config.read_text() == expected
    assert list(config.fallbacks) == [Pin.parse("plan/mimo-v2.5-pro")]
    assert SecretsFile(example.secrets).get("plan", "b") == Secret("value-of-b")
    assert SecretsFile(example.secrets).labels("mimo") == ()
    back = config_file.rename_provider(example, "router", "my.way")
    assert '[provider."my.way"]\npreset' in example.config.read_text()
    assert back.fallbacks[Pin.parse("plan/mimo-v2.5-pro")].then == (Pin.parse("my.way/xiaomi/mimo-v2.5-pro"),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mimo", "router", "exists already"),
        ("nobody", "x", "no provider is called 'nobody'"),
        ("mimo", "auto", "is a kind"),
    ],
)
def test_a_rename_that_cannot_be_changes_nothing(example: Home, old: str, new: str, message: str) -> None:
    kept = SecretsFile(example.secrets)
    kept.put("mimo", "b", Secret("value-of-b"))
    kept.put("router", "b", Secret("value-of-router"))
    with pytest.raises(ConfigError, match=message):
        config_file.rename_provider(example, old, new)
    assert example.config.read_text() == EXAMPLE
    assert SecretsFile(example.secrets).get("router", "b") == Secret("value-of-router")


def test_a_removed_provider_takes_its_tables_and_kept_keys_and_leaves_the_next_one_s_comment(
    example: Home,
) -> None:
    SecretsFile(example.secrets).put("mimo", "b", Secret("value-of-b"))
    config_file.set_fallback(example, Pin.parse("mimo/mimo-v2.5-pro"), [])
    config = config_file.remove_provider(example, "mimo")
    assert list(config.providers) == ["router"]
    assert example.config.read_text().startswith(
        "# my providers\n# about headers\n# the way out\n[provider.router]\n"
    )
    assert SecretsFile(example.secrets).labels("mimo") == ()


def test_a_provider_that_a_fallback_names_is_not_removed(example: Home) -> None:
    with pytest.raises(ConfigError) as caught:
        config_file.remove_provider(example, "router")
    assert (
        "holdfast.toml:21: fallback.\"mimo/mimo-v2.5-pro\".then: 'router/xiaomi/mimo-v2.5-pro' names a "
        "provider that is not in this file"
    ) in str(caught.value)
    assert example.config.read_text() == EXAMPLE


def test_keys_come_and_go_and_the_comments_of_the_others_stay(example: Home) -> None:
    config_file.add_key(example, "mimo", {"from": "env:NEW", "label": "new"})
    config_file.add_key(example, "router", {"from": "cmd:op read op://v/k"})
    config = config_file.remove_key(example, "mimo", "MIMO_KEY")
    assert [key.label for key in config.providers[ProviderName("mimo")].keys] == ["b", "new"]
    assert [key.ref for key in config.providers[ProviderName("router")].keys] == [
        "env:ROUTER_KEY",
        "cmd:op read op://v/k",
    ]
    text = example.config.read_text()
    assert "# the team's" in text
    assert text.count("#") == EXAMPLE.count("#") - 1


def test_the_first_key_of_a_provider_makes_the_list(home: Home) -> None:
    config_file.add_provider(home, "a", {"url": "https://x.example/v1"})
    assert config_file.add_key(home, "a", {"from": "env:A"}).providers[ProviderName("a")].keys[0].label == "A"


def test_a_kept_key_is_durable_before_it_is_named_and_forgotten_after(example: Home) -> None:
    config_file.add_key(example, "router", {"from": "store:main"}, Secret("value-of-main"))
    assert SecretsFile(example.secrets).get("router", "main") == Secret("value-of-main")
    assert "value-of-main" not in example.config.read_text()
    with pytest.raises(ConfigError, match="'store:main' is listed twice"):
        config_file.add_key(example, "router", {"from": "store:main"}, Secret("another-value"))
    assert SecretsFile(example.secrets).get("router", "main") == Secret("value-of-main")
    config_file.remove_key(example, "router", "main")
    assert SecretsFile(example.secrets).get("router", "main") is None


def test_a_secret_and_its_reference_belong_together(example: Home) -> None:
    for entry, secret in (({"from": "store:x"}, None), ({"from": "env:X"}, Secret("value-of-x"))):
        with pytest.raises(ConfigError, match="kept under a store: reference"):
            config_file.add_key(example, "router", entry, secret)


def test_an_unknown_key_is_reported_with_the_nearest(example: Home) -> None:
    with pytest.raises(ConfigError, match="provider 'mimo' has no key 'MIMO_KYE': did you mean 'MIMO_KEY'"):
        config_file.remove_key(example, "mimo", "MIMO_KYE")


def test_models_and_fallbacks_are_set_and_taken_back(example: Home) -> None:
    pin = Pin.parse("router/a/b")
    assert config_file.set_models(example, "mimo", ["x", "y"]).providers[ProviderName("mimo")].models == (
        "x",
        "y",
    )
    assert config_file.set_models(example, "mimo", None).providers[ProviderName("mimo")].models is None
    assert config_file.set_models(example, "mimo", None).providers[ProviderName("mimo")].models is None
    assert (
        config_file.set_fallback(example, pin, [Pin.parse("mimo/x")], "1h").fallbacks[pin].return_after
        == 3600
    )
    assert config_file.set_fallback(example, pin, [Pin.parse("mimo/y")]).fallbacks[pin].then == (
        Pin.parse("mimo/y"),
    )
    assert pin not in config_file.set_fallback(example, pin, []).fallbacks
    with pytest.raises(ConfigError, match="names a provider that is not in this file"):
        config_file.set_fallback(example, pin, [Pin.parse("nobody/x")])


def test_a_file_that_is_wrong_already_is_not_edited(home: Home) -> None:
    home.config.parent.mkdir()
    home.config.write_text("[provider.a]\nurll = 1\n")
    with pytest.raises(ConfigError, match="is not edited before it is corrected"):
        config_file.add_provider(home, "b", {"url": "https://x.example/v1"})
    assert home.config.read_text() == "[provider.a]\nurll = 1\n"


def test_edits_at_the_same_time_lose_nothing(home: Home) -> None:
    names = [f"p{number}" for number in range(8)]
    threads = [
        threading.Thread(target=config_file.add_provider, args=(home, name, {"url": "https://x.example/v1"}))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(config_file.load(home).providers) == names


def test_a_file_that_cannot_be_written_is_reported_with_path_and_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    home = Home.at(tmp_path / "file" / "home")
    with pytest.raises(ConfigError) as caught:
        config_file.add_provider(home, "a", {"url": "https://x.example/v1"})
    assert f"cannot write {home.config}: Not a directory; nothing was changed" in str(caught.value)
    assert f"run: ls -ld {home.config.parent}" in str(caught.value)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("call", "error"),
    [("fsync", OSError(28, "No space left on device")), ("replace", OSError(30, "Read-only file system"))],
)
def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(
    example: Home, monkeypatch: pytest.MonkeyPatch, call: str, error: OSError
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(ConfigError, match=f"cannot write .*: {error.strerror}; nothing was changed"):
            config_file.set_models(example, "mimo", ["x"])
    assert example.config.read_text() == EXAMPLE
    assert {path.name for path in example.config.parent.iterdir()} == {"holdfast.toml", ".holdfast.toml.lock"}


def test_a_linked_file_stays_a_link(example: Home, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    example.config.rename(real)
    example.config.symlink_to(real)
    config_file.set_models(example, "mimo", ["x"])
    assert example.config.is_symlink()
    assert 'models = ["x"]' in real.read_text()


@pytest.fixture
def mine(home: Home) -> Config:
    """The user's own configuration, with the provider `mimo`."""
    return config_file.add_provider(home, "mimo", {"url": "https://mimo.example/v1"})


def project(directory: Path, text: str | bytes) -> Path:
    (directory / "project").mkdir()
    (directory / "project" / ".holdfast.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return directory / "project"


def test_a_project_selects_a_pin_from_any_directory_below(
    tmp_path: Path, mine: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = project(tmp_path, 'pin = "mimo/a/b"\n')
    below = top / "src" / "deep"
    below.mkdir(parents=True)
    assert config_file.project_pin(mine, below) == (Pin.parse("mimo/a/b"), top / ".holdfast.toml")
    assert config_file.project_pin(mine, tmp_path) is None
    monkeypatch.chdir(below)
    assert config_file.project_pin(mine) == (Pin.parse("mimo/a/b"), top / ".holdfast.toml")


def test_a_directory_that_was_deleted_selects_nothing(
    tmp_path: Path, mine: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert config_file.project_pin(mine) is None
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'pin = "mimo/b"\n[provider.mimo]\nurl = "https://evil.example/v1"\n',
            ".holdfast.toml:2: provider: a project may select a pin and nothing else",
        ),
        (
            'pin = "evil/b"\nprovider.evil.url = "https://evil.example/v1"\n',
            ".holdfast.toml:2: provider: a project may select a pin and nothing else",
        ),
        (
            'pin = "mimo/b"\nurl = "https://evil.example/v1"\n',
            ".holdfast.toml:2: url: a project may select a pin and nothing else",
        ),
        (
            'pin = "mimo/b"\nkey = "cmd:evil"\n',
            ".holdfast.toml:2: key: a project may select a pin and nothing else",
        ),
        (
            'pin = "mimo/b"\n[fallback]\n"mimo/b" = { then = ["evil/b"] }\n',
            ".holdfast.toml:2: fallback: a project may select",
        ),
        ('[gateway]\nlisten = "0.0.0.0:1"\n', ".holdfast.toml:1: gateway: a project may select"),
        ('pin = "mimo/b"\n"\\u001b[31m" = 1\n', '.holdfast.toml:2: "\\u001b[31m": a project may select'),
        (
            "pin = 3\n",
            (
                ".holdfast.toml:1: pin: must be the only line: a provider and a model\n"
                '    pin = "provider/model"'
            ),
        ),
        ('pin = "custom/x"\n', ".holdfast.toml:1: pin: 'custom' is a kind"),
        ("pin = \n", ".holdfast.toml:1:7: syntax: Invalid value"),
        ("pin = " + "[" * 4000, "is nested too deeply to be read"),
        (f'pin = "mimo/b" #{"x" * 5000}', "is longer than 4096 bytes"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_project_never_defines_or_redirects_a_provider(
    tmp_path: Path, mine: Config, text: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config_file.project_pin(mine, project(tmp_path, text))
    assert message in str(caught.value)
    assert caught.value.next_step


def test_a_project_selects_none_but_the_user_s_own_providers(tmp_path: Path, mine: Config) -> None:
    with pytest.raises(ConnectionLost) as caught:
        config_file.project_pin(mine, project(tmp_path, 'pin = "mimi/m"\n'))
    assert (
        f"{tmp_path}/project/.holdfast.toml selects 'mimi/m', and no provider of yours is called 'mimi'"
        in str(caught.value)
    )
    assert caught.value.candidates == ("mimo/m",)
    assert "provider add" not in str(caught.value), "nobody is led to add what a project names"


def test_a_configuration_is_read_in_time_that_follows_its_size_and_twice_for_an_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, runs, read = Home.at(tmp_path), [], []
    for count in (1_000, 8_000):
        keys = ", ".join(f'"env:K{number}"' for number in range(count))
        home.config.write_text(f'[provider.p]\nurl = "https://p.example/v1"\nkeys = [{keys}]\n')
        begun = time.process_time()
        assert len(config_file.load(home).providers[ProviderName("p")].keys) == count
        runs.append(time.process_time() - begun)
    assert runs[1] < 20 * runs[0], runs
    home.config.write_text(EXAMPLE)
    monkeypatch.setattr(
        edit, "understood", lambda text, *rest: read.append(text) or home_file.understood(text, *rest)
    )
    after = edit.rewrite(home, lambda text, _: text + "\n[provider.way]\nurl = 'https://way.example'\n")
    assert ProviderName("way") in after.providers
    assert after == config_file.load(home)
    assert len(read) == 2, "what is there, and what is written"
