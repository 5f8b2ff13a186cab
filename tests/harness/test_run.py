"""`holdfast run`: a program gets a connection without its key, stays on the pin, and what answered is
reported afterwards.

The program is a small one of ours that reads what Pi reads; the real ones are driven in suites/harness.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from children import Popen
from cli.furnishing import Cli, child_environment, write
from gateway.served import serving
from holdfast.fake_provider import ScriptedProvider, ok, only_keys, status
from holdfast.harness import HARNESSES
from holdfast.sdk.api import open as open_home

KEY, SPARE = "sk-canary-real-93b1f0d2e7a64c58", "sk-canary-spare-5d0c7be1a9f2"
PROGRAM = Path(__file__).with_name("program.py")
Run = Callable[..., Result]


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(only_keys([KEY, SPARE], ok(), status(401))) as made:
        yield made


@pytest.fixture
def context(home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home with one provider, the program on PATH as `pi` (and `codex`), a project as working directory.
    Returns that directory."""
    programs, project = tmp_path / "bin", tmp_path / "project"
    programs.mkdir()
    project.mkdir()
    for name in ("pi", "codex", "qwen"):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {PROGRAM} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("MIMO_KEY", KEY)
    monkeypatch.setenv("MIMO_SPARE", SPARE)
    monkeypatch.chdir(project)
    configure(home, provider)
    return project


def configure(home: Path, provider: ScriptedProvider, more: str = "") -> None:
    keys = '["env:MIMO_KEY", { from = "env:MIMO_SPARE", label = "spare" }]'
    write(
        home / "holdfast.toml",
        f'[provider.mimo]\nurl = "{provider.url}"\nmodels = ["pro", "lite"]\nkeys = {keys}\n{more}'
        "[settings]\nprobe_delays = []\n",
    )


def run(cli: Cli, *steps: str, pin: str = "mimo/pro", options: tuple[str, ...] = ()) -> Result:
    return cli("run", "pi", "--pin", pin, *options, "--", "--do", *steps)


def report(context: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((context / "report").read_text())
    return written


def left(home: Path) -> list[str]:
    """What is left of runs in the home."""
    return sorted(path.name for path in (home / "run").rglob("*") if path.is_file())


def test_the_provider_sees_the_pin_and_its_key_and_the_program_sees_neither_the_key_nor_its_variable(
    cli: Cli, context: Path, home: Path, provider: ScriptedProvider
) -> None:
    result = run(cli, "ask", "report=report")
    assert result.exit_code == 0, result.stderr
    assert [(call.key, call.model) for call in provider.calls] == [(KEY, "pro")]
    text = (context / "report").read_text()
    assert KEY not in text
    assert SPARE not in text
    environment = report(context)["environment"]
    assert "MIMO_KEY" not in environment
    assert environment["HOLDFAST_TOKEN"].startswith("hf-")
    assert environment["HOLDFAST_TOKEN"] not in json.dumps(
        [report(context)["files"], report(context)["argv"]]
    )
    assert "HOLDFAST_HOME" not in environment
    assert "127.0.0.1" in environment["NO_PROXY"]
    assert (
        f"1 request, 1 attempt: mimo/pro at 127.0.0.1:{provider.port} with key 'MIMO_KEY' answered 1"
        in result.stderr
    )
    assert left(home) == [".holdfast.lock", "settings.json"]
    assert KEY not in result.stderr


def test_an_ambient_key_and_a_foreign_address_never_reach_the_program(
    cli: Cli, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_" + "API_KEY", "sk-ambient-000000000000")
    monkeypatch.setenv("TOGETHERAI_" + "API_KEY", "tg-ambient-000000000000")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://evil.example")
    monkeypatch.setenv("COPY_OF_IT", f"prefix {KEY} suffix")
    monkeypatch.setenv("MY_EDITOR", "vi")
    run(cli, "report=report")
    environment = report(context)["environment"]
    assert "-ambient-" not in json.dumps(environment)
    assert "evil.example" not in json.dumps(environment)
    assert KEY not in json.dumps(environment)
    assert environment["MY_EDITOR"] == "vi"


def test_recovery_works_beneath_the_program(cli: Cli, context: Path, provider: ScriptedProvider) -> None:
    provider.follow([status(500), ok()])
    result = run(cli, "ask", "report=report")
    assert report(context)["answers"][0][0] == 200
    assert "1 request, 2 attempts" in result.stderr
    provider.follow(only_keys([SPARE]))
    result = run(cli, "ask", "report=report", pin="mimo/lite")
    assert report(context)["answers"][0][0] == 200
    assert "with key 'spare' answered 1" in result.stderr


def test_another_model_than_the_pin_s_is_refused_by_the_gateway_and_reported(
    cli: Cli, context: Path, provider: ScriptedProvider
) -> None:
    result = run(cli, "ask=lite", "report=report", "exit=0")
    assert report(context)["answers"][0][0] == 409
    assert provider.calls == []
    assert result.exit_code == 1
    assert "the program did not stay on 'mimo/pro'" in result.stderr
    assert "it asked for another model than 'mimo/pro', and was refused (1 request)" in result.stderr


def test_another_model_that_answers_is_an_error_of_the_run(
    cli: Cli, context: Path, provider: ScriptedProvider
) -> None:
    provider.follow(ok(model="lite"))
    result = run(cli, "ask")
    assert result.exit_code == 1
    assert "'lite' answered, and 'pro' was chosen" in result.stderr
    assert "run: holdfast why pi@project-" in result.stderr


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_passed_on(code: int, cli: Cli, context: Path) -> None:
    assert run(cli, f"exit={code}").exit_code == code


def test_an_exit_code_like_a_signal_s_is_not_called_one(cli: Cli, context: Path) -> None:
    result = run(cli, "exit=200")
    assert (result.exit_code, "signal" in result.stderr) == (200, False)


def test_a_program_that_a_signal_ended_says_so_and_leaves_nothing(
    cli: Cli, context: Path, home: Path
) -> None:
    result = run(cli, f"signal={int(signal.SIGKILL)}")
    assert result.exit_code == 128 + signal.SIGKILL
    assert "Pi was ended by signal 9" in result.stderr
    assert left(home) == [".holdfast.lock", "settings.json"]


def test_a_run_without_requests_claims_nothing(cli: Cli, context: Path) -> None:
    assert "holdfast: no request arrived" in run(cli, "exit=0").stderr


def test_a_file_that_the_program_rewrote_is_reported(cli: Cli, context: Path) -> None:
    assert "Pi rewrote models.json while it ran" in run(cli, "rewrite").stderr


def test_the_session_keeps_its_choice_for_the_next_run_in_this_directory(
    cli: Cli, context: Path, provider: ScriptedProvider
) -> None:
    run(cli, "ask", pin="mimo/lite")
    result = cli("run", "pi", "--", "--do", "ask")
    assert [call.model for call in provider.calls] == ["lite", "lite"]
    assert "session pi@project-" in result.stderr
    run(cli, "ask", pin="mimo/pro")
    assert cli("run", "pi", "--session", "other").exit_code == 2, "another session chose nothing yet"
    (session,) = json.loads(cli("session", "list", "--json").stdout)
    assert session["pin"] == "mimo/pro"


def test_a_project_s_own_selection_serves_a_session_that_has_none(
    cli: Cli, context: Path, provider: ScriptedProvider
) -> None:
    (context / ".holdfast.toml").write_text('pin = "mimo/lite"\n')
    assert cli("run", "pi", "--", "--do", "ask").exit_code == 0
    assert [call.model for call in provider.calls] == ["lite"]


def test_direct_gives_the_provider_s_own_address_and_the_key_in_one_variable(
    cli: Cli, context: Path, provider: ScriptedProvider
) -> None:
    result = run(cli, "ask", "report=report", options=("--direct",))
    written = report(context)
    assert [(call.key, call.model) for call in provider.calls] == [(KEY, "pro")]
    assert [name for name, value in written["environment"].items() if KEY in value] == ["HOLDFAST_TOKEN"]
    assert KEY not in json.dumps([written["files"], written["argv"]])
    assert SPARE not in json.dumps(written)
    assert provider.url in written["files"]["models.json"]
    assert "called the provider directly: Holdfast saw none of its requests" in result.stderr


def test_an_older_program_gets_settings_in_its_own_dialect(
    cli: Cli, context: Path, monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider
) -> None:
    monkeypatch.setenv("FAKE_VERSION", "0.76.0")
    assert run(cli, "ask", "report=report").exit_code == 0
    assert '"apiKey": "HOLDFAST_TOKEN"' in report(context)["files"]["models.json"]
    monkeypatch.setenv("FAKE_VERSION", "0.50.1")
    result = run(cli, "ask")
    assert (result.exit_code, "version 0.50.1 is installed" in result.stderr) == (2, True)
    assert len(provider.calls) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nope", "--pin", "mimo/pro"), 2, "no harness is called 'nope'"),
        (
            ("opencode", "--pin", "mimo/pro"),
            2,
            "opencode is not installed: there is no 'opencode' on PATH\n  run: npm install",
        ),
        (("codex", "--pin", "plain/m"), 2, "codex speaks openai-responses; provider 'plain' has openai-chat"),
        (
            ("codex", "--pin", "mimo/pro", "--direct"),
            2,
            "codex speaks openai-responses; provider 'mimo' has openai-chat",
        ),
        (("gemini", "--pin", "mimo/pro"), 2, "it speaks generateContent"),
        (("pi",), 2, "Pi needs a pin"),
        (("pi", "--pin", "mimo/prp"), 2, "does not offer 'prp'"),
        (("pi", "--pin", "gone/pro"), 3, "there is no provider 'gone'"),
        (("pi", "--pin", "nopin"), 2, "'nopin' is not a pin"),
        (("pi", "--pin", "mimo/pro", "--session", "../x"), 2, "session id"),
        (("pi", "--pin", "mimo/pro", "--", "--model", "x"), 2, "'--model' would choose another connection"),
        (("qwen", "--pin", "empty/m"), 2, "cannot read key"),
    ],
)
def test_what_cannot_be_handed_over_is_refused_before_anything_happens(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    cli: Cli,
    context: Path,
    home: Path,
    provider: ScriptedProvider,
) -> None:
    plain = f'\n[provider.plain]\nurl = "{provider.url}"\nkeys = ["env:MIMO_KEY"]\ntranslate = "never"\n'
    empty = f'\n[provider.empty]\nurl = "{provider.url}"\nkeys = ["env:NOT_SET"]\n'
    configure(home, provider, plain + empty)
    result = cli("run", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "run: " in result.stderr
    assert provider.calls == []
    assert json.loads(cli("session", "list", "--json").stdout) == []
    assert not (home / "run").exists()


def test_a_refusal_names_the_providers_that_would_do(
    cli: Cli, context: Path, home: Path, provider: ScriptedProvider
) -> None:
    configure(
        home,
        provider,
        f'\n[provider.router]\nurl = "{provider.url}"\n'
        'dialect = "openai-responses"\nkeys = ["env:MIMO_SPARE"]\n',
    )
    assert (
        "of your providers, 'router' speaks openai-responses"
        in cli("run", "codex", "--pin", "mimo/pro", "--direct").stderr
    )


def test_a_home_that_cannot_be_written_is_reported_and_nothing_starts(
    cli: Cli, context: Path, home: Path, provider: ScriptedProvider
) -> None:
    (home / "run").write_text("a file where the directory should be")
    result = run(cli, "ask")
    assert result.exit_code == 2
    assert "cannot make" in result.stderr
    assert "nothing was started" in result.stderr
    assert provider.calls == []


def test_the_token_of_a_run_opens_nothing_afterwards(cli: Cli, context: Path, home: Path) -> None:
    run(cli, "ask")
    run(cli, "ask")
    with open_home() as holdfast:
        tokens = holdfast.engine.store.tokens()
    assert len(tokens) == 2
    assert all(token.revoked_at is not None and token.session is not None for token in tokens)


def test_the_proof_of_a_run_counts_what_another_gateway_sent_for_its_session(
    cli: Cli, context: Path, home: Path, provider: ScriptedProvider
) -> None:
    with (
        serving(home) as served,
        started("--session", "s", "--", "--do", "ask", "report=report", "wait=end") as run,
    ):
        until((context / "report").exists)
        body = {"model": "mimo/lite", "messages": []}
        assert served.ask("/s/s/v1/chat/completions", body).status_code == 200
        (context / "end").touch()
        _, reported = run.communicate(timeout=20)
    assert run.returncode == 1
    assert "2 requests, 2 attempts" in reported
    assert "mimo/lite at 127.0.0.1" in reported


def test_a_program_that_takes_its_token_to_another_gateway_did_not_stay_on_its_pin(
    cli: Cli, context: Path, home: Path, provider: ScriptedProvider
) -> None:
    with serving(home) as served, started("--", "--do", "ask", "report=report", "wait=end") as run:
        until((context / "report").exists)
        token = report(context)["environment"]["HOLDFAST_TOKEN"]
        assert served.chat("mimo/lite", token=token).status_code == 401
        (context / "end").touch()
        _, reported = run.communicate(timeout=20)
    assert run.returncode == 1
    assert "it presented its token to another gateway, which refused it" in reported
    assert "1 request, 1 attempt" in reported
    assert len(provider.calls) == 1


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    command = [sys.executable, "-m", "holdfast", "run", "pi", "--pin", "mimo/pro", *arguments]
    return Popen(
        command,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_second_run_of_the_session_is_refused_and_the_first_goes_on(
    cli: Cli, context: Path, provider: ScriptedProvider
) -> None:
    with started("--", "--do", "report=report", "wait=go", "ask") as first:
        until((context / "report").exists)
        second = run(cli, "ask")
        assert second.exit_code == 2
        assert "is running already (process" in second.stderr
        assert run(cli, "ask", options=("--session", "another")).exit_code == 0
        (context / "go").touch()
        _, output = first.communicate(timeout=20)
    assert first.returncode == 0, output
    assert "1 request, 1 attempt" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_for_us_is_one_for_the_program_and_everything_is_cleaned_up(
    number: signal.Signals, context: Path, home: Path
) -> None:
    with started("--", "--do", "report=report", "wait=never") as process:
        until((context / "report").exists)
        process.send_signal(number)
        _, output = process.communicate(timeout=20)
    assert process.returncode in (128 + number, 1), (
        output
    )  # Python turns an interrupt into a traceback and exit code 1
    assert left(home) == [".holdfast.lock", "settings.json"]


def test_what_a_killed_run_left_is_replaced_by_the_next_and_its_token_ended(
    cli: Cli, context: Path, home: Path
) -> None:
    with started("--", "--do", "report=report", "wait=never") as process:
        until((context / "report").exists)
        child = report(context)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
    assert "models.json" in left(home)
    (context / "never").touch()
    assert run(cli, "ask", "report=report").exit_code == 0
    assert report(context)["files"]["models.json"] != child["files"]["models.json"]
    assert left(home) == [".holdfast.lock", "settings.json"]
    with open_home() as holdfast:
        assert all(token.revoked_at is not None for token in holdfast.engine.store.tokens())


def test_a_key_that_is_replaced_while_it_runs_is_used_from_the_next_request_on(
    context: Path, home: Path, provider: ScriptedProvider
) -> None:
    secret = home / "key"
    write(secret, KEY)
    write(
        home / "holdfast.toml",
        f'[provider.mimo]\nurl = "{provider.url}"\nmodels = ["pro"]\nkeys = ["file:{secret}"]\n',
    )
    with started("--", "--do", "ask", "report=report", "wait=go", "ask") as process:
        until((context / "report").exists)
        write(secret, SPARE)
        (context / "go").touch()
        _, output = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert [call.key for call in provider.calls] == [KEY, SPARE]


def test_the_list_of_programs_says_which_were_driven(cli: Cli) -> None:
    listed = {harness["name"]: harness for harness in json.loads(cli("run", "--list", "--json").stdout)}
    assert listed["pi"]["tested"] == HARNESSES["pi"].tested
    assert listed["crush"]["tested"] == ""
    assert "from its documentation, not tested" in cli("run", "--list").stdout
    assert "plain text" in cli("run").stdout
