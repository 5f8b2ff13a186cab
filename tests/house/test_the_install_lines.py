"""No text of ours tells anybody to install `holdfast` from an index: there it is somebody else's package.

Until `holdfast-llm` is published, a checkout or a built wheel is installed by its path;
`holdfast.distribution` makes the command.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast import distribution

# A requirement: `holdfast` or `holdfast-llm` by name, with extras, a version or nothing; no path or command.
_NAME = r"(?<![\w./~@-])holdfast(?:[-_]llm)?"
_PROGRAM = r"\b(?:pip3?|pipx|uv|poetry|pdm|rye|conda|brew)\b"
_VERB = r"\b(?:install|add|inject|upgrade|download|run --with)\b"
_SAME_COMMAND = r"[^\n;|&]*?"
_END = r"(?=$|[\s`'\"\[<>=~!@,)])"
_INSTALLS = re.compile(
    rf"{_PROGRAM}{_SAME_COMMAND}{_VERB}{_SAME_COMMAND}{_NAME}{_END}|\buvx\s+(?:--from\s+)?['\"]?{_NAME}"
)
_WITH_EXTRAS = re.compile(_NAME + r"\[(?:all|cli|gateway|httpx|import|keyring|oauth|postgres)\b")
OWN_EXTRA = 'all = ["holdfast-llm['
"""The extra that holds the others refers to its own distribution (pyproject.toml); that asks no index."""


def index_installs(text: str) -> list[str]:
    """Return the parts of `text` that install Holdfast by its name."""
    text = text.replace(OWN_EXTRA, "")
    return [match.group() for pattern in (_INSTALLS, _WITH_EXTRAS) for match in pattern.finditer(text)]


def test_no_text_installs_holdfast_from_an_index(files: list[Path], root: Path) -> None:
    own = Path(__file__)
    wrong = {
        str(path.relative_to(root)): lines
        for path in files
        if path != own and (lines := index_installs(path.read_bytes().decode("utf-8", "replace")))
    }
    assert not wrong


@pytest.mark.parametrize(
    "text",
    [
        "pip install holdfast",
        "pip install 'holdfast[cli]'",
        "python -m pip install --upgrade holdfast",
        "pip install openai holdfast-llm",
        "run: uv add holdfast-llm>=1",
        "uv tool install holdfast",
        "uvx holdfast serve",
        "uvx --from 'holdfast-llm' holdfast",
        "pipx install `holdfast`",
        "PostgreSQL, with `holdfast[postgres]`",
    ],
)
def test_the_search_finds_every_way_to_install_from_an_index(text: str) -> None:
    assert index_installs(text)


@pytest.mark.parametrize(
    "text",
    [
        "pip install '/path/to/holdfast[cli,gateway]' openai",
        "uv add ../holdfast",
        "pip install /tmp/dist/holdfast_llm-0.1.0-py3-none-any.whl",
        "pip uninstall -y holdfast holdfast-llm && pip install -e '/path/to/holdfast[cli]'",
        "npm install -g cline, then holdfast run cline",
        "holdfast key add mimo team; pip install aider-chat; holdfast run aider",
        "docker build -t holdfast .",
        OWN_EXTRA,
    ],
)
def test_the_search_passes_over_paths_and_other_packages(text: str) -> None:
    assert not index_installs(text)


def test_the_environment_holds_our_distribution_and_no_namesake() -> None:
    assert distribution.version() != "unknown", "run `make setup`: holdfast-llm is not installed here"
    assert distribution.namesake() == "", (
        "run `make setup`: the distribution of the old name is still installed here"
    )
