"""The documents are checked against the code: what exists is written down, and what is written down
exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import holdfast.cli
from holdfast.config import schema
from holdfast.core.faults import FaultClass

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs" / "guides").glob("*.md"))),
]
KINDS = ("guides", "concepts", "reference")
PATH = re.compile(r"`((?:bench|design|docs|examples|packaging|src|suites|tests)/[\w./*-]+)`")
MODULE = re.compile(r"`(?!bench/|docs/|examples/|packaging/|suites/|tests/|src/)(\w+/[\w/]+\.(?:py|toml))`")
ANCHOR = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below `command` that is not hidden, as the user types it."""
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        if not child.hidden:
            yield " ".join((*path, name)), child
            yield from commands(child, (*path, name))


@pytest.fixture(scope="module")
def every_command() -> dict[str, click.Command]:
    """Return the command line as click sees it."""
    return dict(commands(holdfast.cli.app))


def fenced(text: str, language: str) -> list[str]:
    """The lines of the fenced blocks of one language; a prompt sign is not part of the command."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines() if line.strip()
    ]


def test_every_command_is_documented_and_explains_itself(
    every_command: dict[str, click.Command], root: Path
) -> None:
    text = (root / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert not [name for name in every_command if f"`holdfast {name}" not in text]
    assert not [name for name, command in every_command.items() if not (command.help or "").strip()]


def test_every_fault_class_has_a_row_with_its_meaning(root: Path) -> None:
    text = (root / "docs" / "reference" / "faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .{10,} \|$", text, re.MULTILINE)
    assert rows == list(map(str, FaultClass))


def config_tables() -> dict[str, Any]:
    """The tables of config.schema that say which keys are allowed where: {table: {key: converter}}."""
    return {name: getattr(schema, name) for name, kind in schema.__annotations__.items() if kind == "Fields"}


@pytest.mark.parametrize("table", sorted(config_tables()))
def test_every_key_of_the_configuration_is_documented(table: str, root: Path) -> None:
    text = (root / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`\[?(\w+)[`.\]]", text))
    assert not config_tables()[table].keys() - documented


def test_the_search_for_configuration_keys_finds_their_tables() -> None:
    keys = {key for table in config_tables().values() for key in table}
    assert {"provider", "fallback", "gateway", "url", "keys", "from", "then", "listen"} <= keys


def is_command(words: list[str], every_command: dict[str, click.Command]) -> bool:
    """Return whether a command line begins with a command, and where that is a group, with one of its own."""
    command = every_command.get(words[0])
    if not isinstance(command, click.Group) or len(words) == 1:
        return command is not None
    return " ".join(words[:2]) in every_command or words[1].startswith("-")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_shows_exists(
    document: str, every_command: dict[str, click.Command], root: Path
) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in fenced((root / document).read_text(encoding="utf-8"), "sh"):
        tool, *words = line.partition("#")[0].split()
        if tool == "make":
            assert next(word for word in words if "=" not in word) in targets, line
        elif tool.endswith("holdfast") and words:
            assert words[0].startswith("-") or is_command(words, every_command), line


def test_every_page_is_a_guide_a_concept_or_a_reference(root: Path) -> None:
    pages = {path.relative_to(root / "docs") for path in (root / "docs").rglob("*.md")} - {Path("README.md")}
    assert not [str(page) for page in pages if page.parts[0] not in KINDS or len(page.parts) != 2]


def test_the_index_lists_every_page(root: Path) -> None:
    docs = root / "docs"
    listed = set(LINK.findall((docs / "README.md").read_text(encoding="utf-8")))
    assert not [
        page for path in docs.glob("*/*.md") if (page := path.relative_to(docs).as_posix()) not in listed
    ]


def steps_of_the_request(text: str) -> list[tuple[str, str]]:
    """Return (file, function) of each row in the walk through one request of CONTRIBUTING."""
    rows = re.findall(r"^\| \d+ \| `([\w/]+\.py)` \| (.+?) \|", text, re.MULTILINE)
    return [(file, name) for file, names in rows for name in re.findall(r"`([\w.]+)`", names)]


def definitions(tree: ast.Module) -> set[str]:
    """Return the functions, classes and methods (`Class.method`) that a module defines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in tree.body if isinstance(node, kinds)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = [(outer, inner) for outer in classes for inner in outer.body if isinstance(inner, kinds)]
    return names | {f"{outer.name}.{inner.name}" for outer, inner in methods}


def test_the_request_that_contributing_follows_takes_functions_that_exist(root: Path) -> None:
    steps = steps_of_the_request((root / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(steps) > 20
    source = root / "src" / "holdfast"
    gone = [
        f"{file}: {name}"
        for file, name in steps
        if not (source / file).exists()
        or name not in definitions(ast.parse((source / file).read_text(encoding="utf-8")))
    ]
    assert not gone, "CONTRIBUTING.md, 'One request through the house', names what is not there"


def test_the_picture_of_the_house_names_every_package(root: Path) -> None:
    picture = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## One request")[0]
    packages = {path.parent.name for path in (root / "src" / "holdfast").glob("*/__init__.py")}
    assert not {name for name in packages if not re.search(rf"^  (?:.*\b)?{name}\b", picture, re.MULTILINE)}


def test_every_file_that_a_document_names_exists(files: list[Path], root: Path) -> None:
    named = [
        (path, name)
        for path in files
        if path.suffix == ".md" and path.relative_to(root).parts[0] != "CHANGELOG.md"
        for name in PATH.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(named) > 40
    assert not [f"{path.relative_to(root)}: {name}" for path, name in named if not any(root.glob(name))]


def test_every_module_that_a_document_names_exists(files: list[Path], root: Path) -> None:
    named = [
        (path, name)
        for path in files
        if path.suffix == ".md" and path.relative_to(root).parts[0] != "news"
        for name in MODULE.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(named) > 30
    source = root / "src" / "holdfast"
    assert not [f"{path.relative_to(root)}: {name}" for path, name in named if not (source / name).exists()]


def test_every_link_between_documents_leads_to_a_file(files: list[Path], root: Path) -> None:
    links = [
        (path, target)
        for path in files
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text(encoding="utf-8"))
    ]
    assert links
    assert not [
        f"{path.relative_to(root)} -> {target}"
        for path, target in links
        if not (path.parent / target).exists()
    ]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    headings = HEADING.findall(
        re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    )
    plain = (re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def test_every_anchor_in_a_link_is_a_heading(files: list[Path], root: Path) -> None:
    links = [
        (page, target, anchor)
        for page in files
        if page.suffix == ".md" and page.relative_to(root).parts[0] != "news"
        for target, anchor in ANCHOR.findall(page.read_text("utf-8"))
    ]
    assert len(links) > 30
    assert not [
        f"{page.relative_to(root)} -> {target}#{anchor}"
        for page, target, anchor in links
        if anchor not in anchors_of(page.parent / target if target else page)
    ]
