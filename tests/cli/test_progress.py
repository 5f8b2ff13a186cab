"""Which commands tell what they wait for: whatever reads a store, another program's files, a service or a
provider, or waits for a process."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from cli.furnishing import Cli
from holdfast.cli import progress
from holdfast.fake_provider.control import AmazeePlane

if TYPE_CHECKING:
    import pytest

LINES = {
    "provider rename local near": ["renaming it in the sessions"],
    "session list": ["reading the sessions"],
    "session move --from mimo --to both": ["looking at the sessions of mimo"],
    "store status": ["counting the rows of the store"],
    "store prune": ["deleting what is old"],
    "store vacuum": ["writing the store anew"],
    "status": ["asking the gateways"],
    "doctor": ["looking at configuration, keys and store"],
    "doctor --set-aside": ["looking at the store", "looking at configuration, keys and store"],
    "import codex": ["reading the files of codex"],
    "heal hermes --home {hermes}": ["reading the home of hermes"],
    "models --provider near --refresh": ["listing the models of near"],
    "check near": ["listing the models of near in openai-chat"],
    "provision amazee --url {service} --accept": ["asking the service that gives the key"],
    "provision verify amazee": ["asking the service that gives the key"],
    "heal": ["repairing 'amazee'"],
    "provision retire amazee": ["asking the service that gives the key"],
}


def test_a_command_that_may_take_more_than_a_second_says_what_it_waits_for(
    cli: Cli, furnished: Path, service: AmazeePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def tell(what: str, ended: Event) -> None:
        seen.append(what)

    monkeypatch.setattr(progress, "_is_shown", lambda: True)
    monkeypatch.setattr(progress, "_tell", tell)
    (furnished / "hermes").mkdir()
    (furnished / "hermes" / "config.yaml").write_text("model: {}\n")
    cli("session", "pin", "s", "mimo/mimo-pro")
    wrong = []
    for line, expected in LINES.items():
        seen.clear()
        result = cli(*line.format(hermes=furnished / "hermes", service=service.root).split())
        if [what[: len(wait)] for what, wait in zip(seen, expected, strict=False)] != expected:
            wrong.append((line, seen[:], result.output))
    assert not wrong
