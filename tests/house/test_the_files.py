"""How the project's own files must look: short, free of one machine's traces, each fact with one owner."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import holdfast
from house.syntax import nodes_of

HARD_LIMIT = 400
CORE_LIMIT = 4_500

# Package registries, machine paths, and who started a session. Written so that this file does not match
# itself.
TRACES = re.compile(
    r"pypi[.]org|pythonhoste[d]|registry[.]npmjs|deb[.]debian|(?<![\w.~-])/wor[k]/|/roo[t]/|/bash_job[s]|(?<![\w.~-])/far[m]/",
    re.IGNORECASE,
)

DEFINES_A_TEST = re.compile(r"\bdef (test_\w+)")


def test_no_source_file_is_longer_than_the_hard_limit(sources: dict[str, str]) -> None:
    assert not {
        name: count for name, text in sources.items() if (count := len(text.splitlines())) > HARD_LIMIT
    }


def test_the_core_as_a_whole_stays_small(sources: dict[str, str]) -> None:
    assert (
        sum(len(text.splitlines()) for name, text in sources.items() if name.startswith("core/"))
        <= CORE_LIMIT
    )


def test_every_module_says_what_it_promises(trees: dict[str, ast.Module]) -> None:
    assert not [name for name, tree in trees.items() if len(ast.get_docstring(tree) or "") < 20]


def test_variable_names_of_keys_are_only_in_the_presets(sources: dict[str, str]) -> None:
    """One owner of the provider to variable map (story 2e); messages say env:NAME. The header x-api-key is no
    variable."""
    assert not {
        name: variables
        for name, text in sources.items()
        if (variables := re.findall(r"\b(?!X_API_KEY\b)\w+_API_KEY\b", text))
    }


def test_no_file_carries_the_traces_of_a_machine_or_registry(files: list[Path], root: Path) -> None:
    matches: dict[str, str] = {}
    for path in files:
        text = path.read_bytes().decode("utf-8", "replace")
        for match in TRACES.finditer(text):
            matches[f"{path.relative_to(root)}:{text.count(chr(10), 0, match.start()) + 1}"] = match.group()
    assert not matches


def test_every_test_is_named_by_a_sentence(files: list[Path], root: Path) -> None:
    tests = [path for path in files if path.is_relative_to(root / "tests") and path.suffix == ".py"]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in tests}
    assert any(DEFINES_A_TEST.search(text) for text in texts.values())
    suspects = {
        name: text for name, text in texts.items() if any(map(is_short, DEFINES_A_TEST.findall(text)))
    }
    functions = [
        (file, node.name)
        for file, text in suspects.items()
        for node in nodes_of(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    assert not [(file, name) for file, name in functions if is_short(name)]


def is_short(name: str) -> bool:
    """Return whether the name of a test has fewer than four words."""
    return len(name.removeprefix("test_").split("_")) < 4


def test_every_public_name_exists_once_and_in_order() -> None:
    names = list(getattr(holdfast, "__all__", ()))
    assert names == sorted(set(names))
    assert not [name for name in names if getattr(holdfast, name, None) is None]
