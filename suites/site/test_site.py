"""The documentation as a site, and what other people's programs say of the schemas that we publish: Taplo,
which is in editors, and validators of JSON Schema and OpenAPI."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".cache" / "docs-site" / "bin"
SCHEMA = ROOT / "src" / "holdfast" / "config" / "holdfast.schema.json"
build = runpy.run_path(str(ROOT / "docs" / "_generate" / "site.py"))["build"]
_ELSEWHERE = r"=\"(?:https?:)?//"
LOADED = re.compile(rf"<(?:script|img|iframe)\b[^>]*\bsrc{_ELSEWHERE}|<link\b[^>]*\bhref{_ELSEWHERE}")
STYLED = re.compile(r"url\(['\"]?https?:")
_EXAMPLE = re.compile(r"^```toml\n(\[provider.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site() -> Path:
    """Return the folder of the site."""
    folder = ROOT / "build" / "site"
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def run(tool: str, *arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(TOOLS / tool), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_every_page_is_there_and_can_be_found(site: Path) -> None:
    pages = [page.relative_to(ROOT) for page in (ROOT / "docs").glob("*/*.md")]
    assert len(pages) > 20
    assert [page for page in pages if not (site / page.with_suffix(".html")).exists()] == []
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    searchable = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert [page for page in pages if page.with_suffix(".html").as_posix() not in searchable] == []
    assert "docs/reference/configuration.html#fallback" in {entry["location"] for entry in index["docs"]}


def test_the_changes_of_the_news_are_a_page(site: Path) -> None:
    text = (site / "CHANGELOG.html").read_text("utf-8")
    assert "Not released yet" in text
    assert "Editors complete and check" in text


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert [page.name for page in pages if LOADED.search(page.read_text("utf-8"))] == []
    styles = [path.name for path in site.rglob("*.css") if STYLED.search(path.read_text("utf-8"))]
    assert styles == []


@pytest.mark.parametrize("link", ["nowhere.md", "guides/one.md#no-such-heading", "../src/nothing.py"])
def test_a_link_without_a_target_fails_the_build(link: str, tmp_path: Path) -> None:
    (tmp_path / "docs" / "guides").mkdir(parents=True)
    (tmp_path / "design").mkdir()
    (tmp_path / "news").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/guides/one.md"):
        (tmp_path / page).write_text("# A page\n\n## A heading\n")
    index = tmp_path / "docs" / "README.md"
    index.write_text("# Documentation\n\n## Guides\n\n- [One](guides/one.md)\n")
    assert build(tmp_path / "site", root=tmp_path).returncode == 0
    index.write_text(f"{index.read_text()}- see [this]({link})\n")
    done = build(tmp_path / "site", root=tmp_path)
    assert done.returncode == 1
    assert link.rpartition("#")[2] in done.stderr


def test_the_published_schemas_are_right_in_the_eyes_of_others() -> None:
    done = run("openapi-spec-validator", ROOT / "docs" / "reference" / "openapi.json")
    assert done.returncode == 0, done.stdout
    done = run("check-jsonschema", "--check-metaschema", SCHEMA)
    assert done.returncode == 0, done.stdout


def test_an_editor_finds_the_schema_by_the_line_in_the_file(tmp_path: Path) -> None:
    shutil.copy(SCHEMA, tmp_path)
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8")
    file, first = tmp_path / "holdfast.toml", f"#:schema ./{SCHEMA.name}\n"
    examples = _EXAMPLE.findall(page)
    assert len(examples) > 4
    for example in examples:
        file.write_text(first + example)
        done = run("taplo", "lint", file.name, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    file.write_text(f"{first}[settings]\nwait_budgets = 3\n")
    done = run("taplo", "lint", file.name, folder=tmp_path)
    assert done.returncode == 1
    assert "'wait_budgets' was unexpected" in done.stderr
