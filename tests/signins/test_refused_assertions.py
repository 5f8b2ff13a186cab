"""An assertion that its token service refused is not shown with each request: it rests, for all processes of
the home, as a sign-in does that could not be renewed. Another assertion is shown at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.config import Home
from holdfast.core.errors import SecretMissing, SourceSilent
from holdfast.core.identity import Key, ProviderName
from holdfast.credentials import Vault
from holdfast.credentials.token_answers import TokenAnswer
from holdfast.engine.workload_identity import exchanges
from holdfast.values.secret import Secret

NOW = 1_000_000.0
WORKLOAD = Key(ProviderName("corp"), "a", "wif:corp")
REFUSED = 400, {"error": "invalid_grant"}
GIVEN = 200, {"access_token": "a-good-token", "expires_in": 600}
JWT = "eyJ-assertion-canary-0001"


class Cluster:
    """A home whose processes show an assertion to a token service; the clock and the answers are the test's.
    Answers are given once each, then `GIVEN`."""

    def __init__(self, home: Path) -> None:
        self.now, self.home, self.assertion = NOW, home, home / "token"
        self.answers: list[tuple[Any, ...]] = []
        self.shown: list[object] = []
        self.assertion.write_text(JWT)
        self.configure("")
        self.vault = self.another()

    def configure(self, more: str, source: str = "file") -> None:
        reference = {"file": f"file:{self.assertion}", "cmd": f"cmd:cat {self.assertion}"}[source]
        (self.home / "holdfast.toml").write_text(
            '[provider.corp]\nurl = "https://corp.example/v1"\nkeys = ["wif:corp"]\n[signin.corp]\n'
            f'token_url = "https://login.example/token"\nassertion = "{reference}"\n{more}'
        )

    def another(self) -> Vault:
        """The vault of another process."""
        vault: Vault = Vault(
            self.home / "secrets.toml",
            exchange=exchanges(Home.at(self.home), lambda: vault, self.post, self.clock),
            clock=self.clock,
            background=lambda work: None,
        )
        return vault

    def clock(self) -> float:
        return self.now

    def post(self, url: str, fields: Any, **_: object) -> TokenAnswer:
        self.shown.append(fields.get("assertion") or fields["subject_token"])
        status, body, *wants = self.answers.pop(0) if self.answers else GIVEN
        return TokenAnswer(status, json.dumps(body).encode(), *wants)

    def refusal(self, vault: Vault) -> str:
        with pytest.raises(SecretMissing) as caught:
            vault.secret(WORKLOAD)
        assert not isinstance(caught.value, SourceSilent), "a refusal is no silence"
        return str(caught.value)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.mark.parametrize(("source", "rests"), [("file", [2, 4, 8, 16, 32, 64, 120, 120]), ("cmd", [2, 4])])
def test_a_refused_assertion_rests_ever_longer_in_every_process(
    cluster: Cluster, source: str, rests: list[int]
) -> None:
    cluster.configure("", source)
    cluster.answers = [REFUSED] * 20
    for number, rest in enumerate(rests, start=1):
        assert "asked again" not in cluster.refusal(cluster.vault)
        for later in (0.0, rest - 0.1):
            cluster.now += later
            for vault in (cluster.vault, cluster.another()):
                assert "refuses the assertion: invalid_grant; it is asked again in" in cluster.refusal(vault)
        assert len(cluster.shown) == number
        cluster.now += 0.1


@pytest.mark.parametrize("source", ["file", "cmd"])
def test_another_assertion_is_shown_at_once_and_only_once(cluster: Cluster, source: str) -> None:
    cluster.configure("", source)
    cluster.answers = [REFUSED, REFUSED]
    for _ in range(2):
        cluster.refusal(cluster.vault)
    cluster.assertion.write_text("another-assertion")
    for _ in range(2):
        cluster.refusal(cluster.vault)
    assert cluster.shown == [Secret(JWT), Secret("another-assertion")]
    cluster.assertion.write_text("a-third-assertion")
    assert cluster.vault.secret(WORKLOAD) == Secret("a-good-token")
    assert len(cluster.shown) == 3


RULES = 'fields = { federation_rule_id = "f", organization_id = "o", service_account_id = "s" }\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'audience = "api"\n'),
        (RULES, RULES.replace('"f"', '"g"')),
        (RULES, f'{RULES}kind = "anthropic"\n'),
    ],
)
def test_a_corrected_sign_in_is_asked_at_once(cluster: Cluster, before: str, after: str) -> None:
    cluster.configure(before)
    cluster.answers = [REFUSED]
    cluster.refusal(cluster.vault)
    cluster.configure(after)
    assert cluster.vault.secret(WORKLOAD) == Secret("a-good-token")


def test_another_address_is_asked_at_once(cluster: Cluster) -> None:
    cluster.answers = [REFUSED]
    cluster.refusal(cluster.vault)
    path = cluster.home / "holdfast.toml"
    path.write_text(path.read_text().replace("login.example/token", "login.example/v2"))
    assert cluster.vault.secret(WORKLOAD) == Secret("a-good-token")


def test_an_accepted_assertion_begins_anew_with_the_shortest_rest(cluster: Cluster) -> None:
    cluster.answers = [REFUSED, REFUSED, GIVEN, REFUSED]
    for later in (0.0, 2.0):
        cluster.now += later
        cluster.refusal(cluster.vault)
    cluster.now += 4.0
    assert cluster.vault.secret(WORKLOAD) == Secret("a-good-token")
    cluster.refusal(cluster.another())
    cluster.now += 2.0
    assert cluster.another().secret(WORKLOAD) == Secret("a-good-token")


@pytest.mark.parametrize(("wants", "rest"), [(30.0, 30.0), (0.0, 2.0), (1e9, 3_600.0)])
def test_a_service_that_refuses_says_when_it_may_be_asked_again(
    cluster: Cluster, wants: float, rest: float
) -> None:
    cluster.answers = [(*REFUSED, wants)]
    cluster.refusal(cluster.vault)
    cluster.now += rest - 0.1
    cluster.refusal(cluster.another())
    cluster.now += 0.1
    assert cluster.another().secret(WORKLOAD) == Secret("a-good-token")


@pytest.mark.parametrize(("wants", "rest"), [(30.0, 30.0), (1e9, 3_600.0)])
def test_a_busy_service_is_asked_by_no_process_before_the_time_that_it_names(
    cluster: Cluster, wants: float, rest: float
) -> None:
    cluster.answers = [(429, {"error": "slow_down"}, wants)]
    for later in (0.0, rest - 0.1):
        cluster.now += later
        for vault in (cluster.vault, cluster.another()):
            with pytest.raises(SourceSilent) as caught:
                vault.secret(WORKLOAD)
            assert caught.value.retry_at == NOW + rest
    assert len(cluster.shown) == 1
    cluster.now += 0.1
    assert cluster.another().secret(WORKLOAD) == Secret("a-good-token")


def test_a_rest_that_a_clock_ahead_has_set_is_none(cluster: Cluster) -> None:
    cluster.answers = [REFUSED]
    cluster.now += 365 * 86_400
    cluster.refusal(cluster.vault)
    cluster.now = NOW
    assert cluster.vault.secret(WORKLOAD) == Secret("a-good-token")


def test_what_is_kept_about_a_refused_assertion_has_no_part_of_it(cluster: Cluster) -> None:
    cluster.answers = [(400, {"error": JWT})]
    cluster.refusal(cluster.vault)
    kept = [path for path in cluster.home.iterdir() if path != cluster.assertion]
    assert cluster.home / ".oauth.corp.state" in kept
    assert not any(JWT[:-4] in path.read_text() for path in kept)
