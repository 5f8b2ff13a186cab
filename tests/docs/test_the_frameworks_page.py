"""The recipes of docs/guides/frameworks.md are those that the suite runs against the real packages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "frameworks.md").read_text("utf-8")
PROGRAMS = sorted((ROOT / "suites" / "frameworks" / "programs").glob("*.py"))
ANYTHING = ast.dump(ast.Constant(...))


def _recipes() -> Iterator[str]:
    """Give the calls that the page shows, in its tables and its blocks; `…` stands for what is the user's."""
    yield from re.findall(r"^\| .* \| `(.+)` \|$", PAGE, re.MULTILINE)
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        yield ast.unparse(ast.parse(block).body[-1])


RECIPES = list(_recipes())


def _call(text: str) -> ast.Call:
    (statement,) = ast.parse(text.replace(", …)", ")").replace("…", "...")).body
    assert isinstance(statement, ast.Expr | ast.Assign)
    assert isinstance(statement.value, ast.Call)
    return statement.value


def _is_written_by(shown: ast.Call, written: ast.Call) -> bool:
    """Return whether a program's call has the function and all the arguments of the one that is shown."""
    given = {keyword.arg: ast.dump(keyword.value) for keyword in written.keywords}
    same = all(ast.dump(keyword.value) in (ANYTHING, given.get(keyword.arg)) for keyword in shown.keywords)
    positional = [ast.dump(each) for each in shown.args] == [ast.dump(each) for each in written.args]
    return same and positional and ast.dump(shown.func) == ast.dump(written.func)


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.partition("(")[0] for recipe in RECIPES])
def test_each_recipe_of_the_page_is_a_call_of_a_program_that_the_suite_runs(recipe: str) -> None:
    shown = _call(recipe)
    calls = [
        node
        for path in PROGRAMS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert any(_is_written_by(shown, written) for written in calls)


def test_every_program_of_the_suite_has_its_recipe_on_the_page() -> None:
    suite = (ROOT / "suites" / "frameworks" / "test_frameworks.py").read_text("utf-8")
    assert len(RECIPES) == len(re.findall(r"^    \"[^\"]+\": Framework\(", suite, re.MULTILINE))
    assert {path.name for path in PROGRAMS} - {"common.py"} == set(re.findall(r"(\w+\.py)[\" ]", suite))
