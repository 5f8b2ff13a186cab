"""Every preset: `provider add NAME --preset X`, then `check`, against a twin of it on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cli.furnishing import CANARY, Cli, write
from holdfast.fake_provider import ScriptedProvider
from holdfast.providers import presets
from preset_table import replace_presets

if TYPE_CHECKING:
    import pytest

ROWS = dict(presets.rows())


def twin(row: dict[str, Any], root: str) -> dict[str, Any]:
    """Return a preset's row with its paths on this machine."""
    endpoints = {dialect: root + urlsplit(url).path for dialect, url in row["endpoints"].items()}
    return {**row, "endpoints": endpoints}


def test_every_preset_can_be_added_and_answers_a_check(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[str] = []
    with ScriptedProvider(models=["m"]) as server:
        replace_presets(monkeypatch, {name: twin(dict(row), server.root) for name, row in ROWS.items()})
        for name, row in ROWS.items():
            auth, paths = row.get("auth", "bearer"), [urlsplit(url).path for url in row["endpoints"].values()]
            variable = next(iter(row.get("env", ())), "ANY_KEY")
            monkeypatch.setenv(variable, CANARY)
            write(home / "holdfast.toml", "")
            server.requests.clear()
            keys = [] if auth == "none" else ["--key", f"env:{variable}"]
            added = cli("provider", "add", "mine", "--preset", name, "--model", "m", *keys)
            checked = cli("check", "mine/m", "--no-probe")
            monkeypatch.delenv(variable)
            listed, called = server.requests[: len(paths)], server.requests[len(paths) :]
            steps = [line.split()[:2] for line in checked.stdout.splitlines()]
            right = [
                (added.exit_code, checked.exit_code) == (0, 0),
                all(level == "ok" for level, _ in steps),
                len(called) == len(listed) == len(paths),
                all(seen.path.startswith(path) for seen, path in zip(called, paths, strict=False)),
                all(seen.key == (None if auth == "none" else CANARY) for seen in server.requests),
                all(auth != "x-api-key" or "x-api-key" in seen.headers for seen in server.requests),
                all(auth != "bearer" or "authorization" in seen.headers for seen in server.requests),
            ]
            if not all(right):
                wrong.append(f"{name}: {right}\n{added.output}{checked.output}")
    assert not wrong, "\n".join(wrong)
