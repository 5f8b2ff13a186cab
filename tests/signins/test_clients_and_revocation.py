"""The client of a sign-in: its secret, what its tokens are for, its account, and the end of its tokens."""

from __future__ import annotations

import threading
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import holdfast
from cli.furnishing import Cli
from holdfast.config import Home
from holdfast.config import load as load_config
from holdfast.core.errors import ConfigError
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.engine import login
from holdfast.engine.token_service import TokenService, take_over
from holdfast.values.secret import Secret
from signins.authority import CANARY, Authority

SECRET = "client+word%1"  # what a form writes in another way


@pytest.fixture
def authority(home: Path) -> Iterator[Authority]:
    with Authority() as made:
        made.pending = 0
        (home / "holdfast.toml").write_text(made.config())
        yield made


def signed_in(home: Path, authority: Authority, ends_in: float = 3_000.0) -> Grant:
    authority.issue()
    now = time.time()
    grant = Grant("g1", 0, Secret(authority.access), Secret(authority.refresh), now - 600, now + ends_in)
    SecretsFile(home / "secrets.toml").put_grant("corp", grant)
    return grant


def ask(home: Path) -> httpx2.Response:
    with holdfast.open(home) as hf:
        session = hf.session("s", "corp/m")
        with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
            return client.post("/chat/completions", json={"model": "m", "messages": []})


@pytest.mark.parametrize("way", ["post", "basic"])
def test_a_client_with_a_secret_proves_itself_at_the_service_in_the_way_it_is_told(
    cli: Cli, home: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("CORP_SECRET", SECRET)
    config = authority.config(client_secret='"env:CORP_SECRET"', client_auth=f'"{way}"')
    (home / "holdfast.toml").write_text(config)
    shown = cli("key", "login", "corp", "--device")
    assert shown.exit_code == 0, shown.stderr
    grant = SecretsFile(home / "secrets.toml").grant("corp")
    assert grant is not None
    signed_in(home, authority, ends_in=-10.0)
    assert ask(home).status_code == 200
    pair = f"holdfast-test:{urllib.parse.quote_plus(SECRET)}"
    basic = f"Basic {b64encode(pair.encode()).decode()}"
    assert [path for path, _ in authority.posts] == ["/device", "/token", "/token"]
    assert {asked.get("client_secret") for _, asked in authority.posts} == {SECRET if way == "post" else None}
    assert set(authority.proofs) == {basic if way == "basic" else ""}
    stored = b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())
    assert SECRET.encode() not in stored
    assert SECRET not in shown.stdout + shown.stderr


def test_a_client_whose_secret_cannot_be_read_says_which_and_spends_no_token(
    cli: Cli, home: Path, authority: Authority
) -> None:
    (home / "holdfast.toml").write_text(authority.config(client_secret='"env:CORP_SECRET"'))
    failed = cli("key", "login", "corp")
    assert failed.exit_code == 2
    assert "client_secret of [signin.corp] cannot be read: env:CORP_SECRET: not set" in failed.stderr
    signed_in(home, authority, ends_in=-10.0)
    checked = cli("check", "corp")
    assert "env:CORP_SECRET: not set in this environment" in checked.stdout + checked.stderr
    assert (authority.posts, authority.refreshes) == ([], 0)


@pytest.mark.parametrize("written", ["sk-not-a-reference-at-all", "store:corp", "oauth:corp", "call:corp"])
def test_the_secret_of_a_client_stands_behind_a_reference_and_is_never_repeated(
    home: Path, authority: Authority, written: str
) -> None:
    (home / "holdfast.toml").write_text(authority.config(client_secret=f'"{written}"'))
    with pytest.raises(ConfigError, match="must be a reference") as caught:
        load_config(Home.at(home))
    assert "sk-not" not in str(caught.value)


def test_what_tokens_are_for_is_said_wherever_they_are_asked_for(home: Path, authority: Authority) -> None:
    target = {"audience": "https://api.corp.example", "resource": "https://corp.example/v1"}
    quoted = {name: f'"{value}"' for name, value in target.items()}
    (home / "holdfast.toml").write_text(authority.config(**quoted))
    service = TokenService(load_config(Home.at(home)).sign_ins["corp"])
    lines: list[str] = []

    def visit(url: str) -> None:
        threading.Thread(target=lambda: httpx2.get(url, follow_redirects=True, trust_env=False)).start()

    login.by_device(service, lines.append, sleep=lambda _: None)
    login.by_browser(service, lines.append, visit=visit, account="ann@corp.example")
    signed_in(home, authority, ends_in=-10.0)
    assert ask(home).status_code == 200
    assert all(target.items() <= asked.items() for _, asked in authority.posts)
    visited = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(lines[-1].split()[-1]).query))
    assert (target | {"login_hint": "ann@corp.example"}).items() <= visited.items()
    assert len(authority.posts) == 4


ENDED = [
    ((200, {}), "the service has revoked its tokens"),
    (
        (503, {"error": "temporarily_unavailable"}),
        "did not confirm that its tokens are revoked (HTTP 503 temporarily_unavailable): sign out there too",
    ),
]


@pytest.mark.parametrize(("answer", "line"), ENDED)
@pytest.mark.parametrize(
    "command",
    [("key", "remove", "corp", "corp"), ("provider", "remove", "corp"), ("key", "login", "corp", "--device")],
)
def test_tokens_that_are_given_up_are_revoked_and_what_came_of_it_is_said(
    cli: Cli,
    home: Path,
    authority: Authority,
    command: tuple[str, ...],
    answer: tuple[int, dict[str, str]],
    line: str,
) -> None:
    (home / "holdfast.toml").write_text(authority.config(revoke_url=f'"{authority.root}/revoke"'))
    old = signed_in(home, authority)
    authority.revokes = [answer]
    shown = cli(*command)
    assert shown.exit_code == 0, shown.stderr
    assert line in shown.stdout
    assert CANARY not in shown.stdout
    assert old.refresh is not None
    token = old.refresh.reveal()
    revoked = [asked for path, asked in authority.posts if path == "/revoke"]
    assert revoked == [{"token": token, "token_type_hint": "refresh_token", "client_id": "holdfast-test"}]
    now = SecretsFile(home / "secrets.toml").grant("corp")
    assert (now is None) is (command[1] == "remove")
    assert now is None or now.id != "g1"


def test_a_service_without_an_address_for_it_is_named_and_nothing_is_claimed(
    cli: Cli, home: Path, authority: Authority
) -> None:
    signed_in(home, authority)
    shown = cli("key", "remove", "corp", "corp").stdout
    assert "stay valid at the service until they expire: [signin.corp] has no revoke_url" in shown
    assert authority.posts == []


def test_a_sign_in_that_is_over_is_revoked_by_nobody(cli: Cli, home: Path, authority: Authority) -> None:
    (home / "holdfast.toml").write_text(authority.config(revoke_url=f'"{authority.root}/revoke"'))
    SecretsFile(home / "secrets.toml").put_grant("corp", Grant("g1", 0, Secret("at"), None, ended="over"))
    assert "revoke" not in cli("key", "remove", "corp", "corp").stdout
    assert authority.posts == []


def test_an_address_for_revocations_is_https_or_on_this_machine(home: Path, authority: Authority) -> None:
    (home / "holdfast.toml").write_text(authority.config(revoke_url='"http://corp.example/revoke"'))
    with pytest.raises(ConfigError, match="is not https"):
        load_config(Home.at(home))


def test_a_sign_in_is_taken_over_with_what_a_renewal_under_way_brought(
    home: Path, authority: Authority
) -> None:
    """So that what is revoked is the newest token."""
    signed_in(home, authority, ends_in=-10.0)
    begun = threading.Event()
    authority.thinks, authority.begun = 0.3, begun.set
    asking = threading.Thread(target=ask, args=(home,))
    asking.start()
    assert begun.wait(20)
    before = take_over(SecretsFile(home / "secrets.toml"), "corp", None)
    asking.join()
    assert before is not None
    assert (before.generation, before.refresh) == (1, Secret(authority.refresh))
    assert SecretsFile(home / "secrets.toml").grant("corp") is None


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ('keys = ["oauth:corp"]', 'keys = [{from = "oauth:corp", account = "ann"}]'),
        (
            'keys = [{ from = "oauth:corp", label = "mine" }]',
            'keys = [{ from = "oauth:corp", label = "mine", account = "ann" }]',
        ),
        (
            'keys = [{ from = "oauth:corp", account = "bob" }]',
            'keys = [{ from = "oauth:corp", account = "ann" }]',
        ),
    ],
)
def test_the_account_of_a_sign_in_is_noted_at_its_key(
    cli: Cli, home: Path, authority: Authority, written: str, after: str
) -> None:
    config = authority.config().replace('keys = ["oauth:corp"]', written)
    (home / "holdfast.toml").write_text(config)
    shown = cli("key", "login", "corp", "--device", "--account", "ann")
    assert shown.exit_code == 0, shown.stderr
    assert "it belongs to account 'ann'" in shown.stdout
    assert (home / "holdfast.toml").read_text() == config.replace(written, after)
    (key,) = load_config(Home.at(home)).providers["corp"].keys
    assert key.account == "ann"


def test_a_service_that_repeats_the_secret_of_its_client_does_not_get_it_printed(
    cli: Cli, home: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORP_SECRET", "quiet-client-word")
    more = {"client_secret": '"env:CORP_SECRET"', "revoke_url": f'"{authority.root}/revoke"'}
    (home / "holdfast.toml").write_text(authority.config(**more))
    signed_in(home, authority)
    authority.revokes = [(400, {"error": "quiet-client-word"})]
    removed = cli("key", "remove", "corp", "corp")
    assert "did not confirm" in removed.stdout
    assert "quiet-client" not in removed.stdout + removed.stderr
