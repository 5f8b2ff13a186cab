"""Law 11 for the journal: `store/journal_events.py` alone says what an event tells, and everybody else asks
the typed value."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from house.syntax import nodes_of

_AS_A_MAPPING = frozenset({"get", "items", "keys", "values", "pop", "setdefault"})
_READ_WHOLE = frozenset({"dict", "list", "sorted", "set"})


def is_detail(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "detail"


def loose_reads(tree: ast.AST) -> list[int]:
    """The lines in which the detail of an event is read as if it were a mapping."""
    lines: list[int] = []
    for node in nodes_of(tree):
        if isinstance(node, ast.Subscript):
            read = is_detail(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            read = is_detail(node.func.value) and node.func.attr in _AS_A_MAPPING
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            read = node.func.id in _READ_WHOLE and any(is_detail(argument) for argument in node.args)
        elif isinstance(node, ast.Compare):
            read = any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops) and any(
                is_detail(operator) for operator in node.comparators
            )
        elif isinstance(node, ast.Dict):
            read = any(
                name is None and is_detail(value) for name, value in zip(node.keys, node.values, strict=True)
            )
        else:
            continue
        if read:
            lines.append(node.lineno)
    return lines


def test_the_detail_of_an_event_is_nowhere_read_by_a_name_in_a_string(files: list[Path], root: Path) -> None:
    texts = {
        path.relative_to(root).as_posix(): path.read_text("utf-8") for path in files if path.suffix == ".py"
    }
    reads = {name: loose_reads(ast.parse(text)) for name, text in texts.items() if ".detail" in text}
    assert {name: lines for name, lines in reads.items() if lines} == {}


@pytest.mark.parametrize(
    ("snippet", "count"),
    [
        ("event.detail['key']", 1),
        ("event.detail.get('key')", 1),
        ("'key' in event.detail", 1),
        ("dict(event.detail)", 1),
        ("told = {'pin': pin, **event.detail}", 1),
        ("event.detail.key", 0),
        ("stored(event.detail)", 0),
        ("event.detail in known", 0),
        ("{'detail': event.detail}", 0),
    ],
)
def test_the_search_for_loose_reads_finds_every_way_to_read(snippet: str, count: int) -> None:
    assert len(loose_reads(ast.parse(snippet))) == count


def test_one_module_stores_choices_and_tells_of_them(trees: dict[str, ast.Module]) -> None:
    asked = [
        name
        for name, tree in trees.items()
        for node in nodes_of(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("save_session", "remove_session")
    ]
    assert {name for name in asked if not name.startswith("store/")} == {"engine/sessions.py"}
