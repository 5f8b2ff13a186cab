"""Every place where we start a program; and our own Python never runs what lies in the working directory."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.syntax import nodes_of

# A new start needs its line here: the file, the calls in it, and what is started.
STARTS: dict[str, tuple[set[str], str]] = {
    "cli/background.py": ({"Popen"}, "our gateway, by the command of cli/serve"),
    "cli/serve.py": ({"execv"}, "our gateway: module_command"),
    "config/edit_by_hand.py": ({"run"}, "the editor of the user, in the terminal of the user"),
    "demo/resume.py": ({"Popen"}, "the program that the demo kills: module_command"),
    "gateway/process/supervisor.py": ({"fork"}, "a worker, which is this process once more"),
    "credentials/sources.py": ({"Popen"}, "what the user wrote as `cmd:`"),
    "harness/process.py": ({"Popen", "run"}, "a coding agent, by its path"),
}
STARTED_BY_OTHERS = {"cli/connect.py"}
"""What writes such a command for another program to start."""
OUR_PYTHON = {"distribution/interpreter.py", "distribution/__init__.py"}
"""What may name our own interpreter: the owner of such commands, and the texts of commands for people."""
_OF_SUBPROCESS = frozenset(
    {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}
)
_OF_OS = re.compile(r"exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?|fork|forkpty|system|popen|startfile")
_OTHERS = re.compile(r"create_subprocess_\w+|subprocess_(exec|shell)|ProcessPoolExecutor|run_module|run_path")
_OURS_WITHOUT = re.compile(r"""sys\.executable,\s*["']-m["'],\s*["']holdfast""")


def starts(tree: ast.Module) -> Iterator[str]:
    """Give the name of each call that starts a program or a process."""
    imported = {
        alias.asname or alias.name: node.module
        for node in nodes_of(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in nodes_of(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ("multiprocessing" for name in _modules(node) if name.startswith("multiprocessing"))
        if not isinstance(node, ast.Call):
            continue
        name, of = _name(node.func, imported)
        of_these = {"subprocess": name in _OF_SUBPROCESS, "os": bool(_OF_OS.fullmatch(name))}
        if of_these.get(of) or _OTHERS.fullmatch(name):
            yield name


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]


def _name(function: ast.expr, imported: dict[str, str | None]) -> tuple[str, str]:
    """Return the name of what is called, and the module that it is of."""
    if isinstance(function, ast.Name):
        return function.id, imported.get(function.id) or ""
    if isinstance(function, ast.Attribute):
        return function.attr, getattr(function.value, "id", "")
    return "", ""


def test_every_start_of_a_program_in_the_source_is_listed_here(trees: dict[str, ast.Module]) -> None:
    started = {name: {*starts(tree)} for name, tree in trees.items()}
    assert {name: calls for name, calls in started.items() if calls} == {
        name: calls for name, (calls, _) in STARTS.items()
    }


def test_the_command_of_our_own_python_is_written_in_one_module(trees: dict[str, ast.Module]) -> None:
    naming = {
        name
        for name, tree in trees.items()
        for node in nodes_of(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("executable", "_base_executable")
        if getattr(node.value, "id", "") == "sys"
    }
    assert naming == OUR_PYTHON
    owned = {name for name, (_, what) in STARTS.items() if what.endswith("module_command")}
    asking = {
        name
        for name, tree in trees.items()
        for node in nodes_of(tree)
        if isinstance(node, ast.Call) and _name(node.func, {})[0] == "module_command"
    }
    assert asking == owned | STARTED_BY_OTHERS


@pytest.mark.parametrize("folder", ["suites", "bench", "docs", "examples"])
def test_no_program_of_ours_starts_our_modules_with_the_working_directory_on_its_path(
    folder: str, root: Path, files: list[Path]
) -> None:
    mine = [path for path in files if path.suffix == ".py" and path.is_relative_to(root / folder)]
    assert [path for path in mine if _OURS_WITHOUT.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("snippet", "name"),
    [
        ("import subprocess\nsubprocess.Popen([])", "Popen"),
        ("from subprocess import run\nrun([])", "run"),
        ("import os\nos.execv('', [])", "execv"),
        ("import os\nos.posix_spawn('', [], {})", "posix_spawn"),
        ("import asyncio\nasyncio.create_subprocess_exec('')", "create_subprocess_exec"),
        ("import multiprocessing", "multiprocessing"),
        ("from multiprocessing.pool import Pool", "multiprocessing"),
        ("import runpy\nrunpy.run_module('')", "run_module"),
    ],
)
def test_the_search_for_starts_finds_every_way_to_start(snippet: str, name: str) -> None:
    assert [*starts(ast.parse(snippet))] == [name]
