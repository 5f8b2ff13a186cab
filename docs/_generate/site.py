"""Build the documentation as a site: the same Markdown, with navigation, search and the changes from news/.

python docs/_generate/site.py FOLDER     needs mkdocs-material, which `make docs-site` installs

A link or an anchor without a target is an error. The pages load nothing from other hosts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MKDOCS = ROOT / ".cache" / "docs-site" / "bin" / "mkdocs"
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "design/*.md")
_LINK = re.compile(r"\]\((?!\w+://|#|mailto:)([^)#\s]+)")
_SECTION = re.compile(r"^## (.+)$|^- \[([^]]+)\]\(([^)]+\.md)\)", re.MULTILINE)
_START = "<!-- towncrier release notes start -->\n"
_CONFIG = """\
site_name: Holdfast
docs_dir: {docs}
site_dir: {site}
theme:
  name: material
  font: false
  features: [navigation.sections, navigation.top, content.code.copy, search.highlight]
  palette:
    - media: "(prefers-color-scheme: light)"
      scheme: default
    - media: "(prefers-color-scheme: dark)"
      scheme: slate
plugins: [search]
use_directory_urls: false
extra:
  generator: false
markdown_extensions:
  - admonition
  - tables
  - sane_lists
  - pymdownx.superfences
  - pymdownx.highlight
  - toc:
      permalink: true
validation:
  omitted_files: info
  absolute_links: warn
  unrecognized_links: warn
  anchors: warn
nav: {nav}
"""


def build(site: Path, *, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Build the site of the checkout `root` into a folder. Return how mkdocs ended, and what it said."""
    with tempfile.TemporaryDirectory() as staging:
        docs = Path(staging) / "pages"
        _stage(root, docs)
        config = Path(staging) / "mkdocs.yml"
        nav = json.dumps(navigation(docs))  # JSON is YAML
        config.write_text(_CONFIG.format(docs=docs, site=site.resolve(), nav=nav), "utf-8")
        command = [str(MKDOCS), "build", "--strict", "--config-file", str(config)]
        silent = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        return subprocess.run(command, env=silent, capture_output=True, text=True, check=False)


def _stage(root: Path, docs: Path) -> None:
    """Copy the pages to `docs`, each where it is in the checkout, and the files to which they link."""
    waiting = [path for pattern in PAGES for path in root.glob(pattern)]
    while waiting:
        path = waiting.pop()
        copy = docs / path.relative_to(root)
        if copy.exists():
            continue
        if path.suffix != ".md":
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
            continue
        text = path.read_text("utf-8").replace("](design/)", "](design/index.md)")
        _write(copy, text)
        targets = ((path.parent / name).resolve() for name in _LINK.findall(text))
        waiting += [target for target in targets if target.is_file() and target.is_relative_to(root)]
    _write(docs / "CHANGELOG.md", f"# Changes\n\n{_changes(root)}")
    titles = [f"- [{_title(page)}]({page.name})" for page in _designs(docs)]
    _write(docs / "design" / "index.md", "# Design\n\n" + "\n".join(titles) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _changes(root: Path) -> str:
    """Return what news/ tells of the changes that are not released, and the changes of each release."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "Next", "--dir", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    draft = done.stdout.partition("## Next")[2].partition("\n")[2].replace("](../", "](")
    released = (root / "CHANGELOG.md").read_text("utf-8").partition(_START)[2]
    return f"## Not released yet\n{draft}\n{released}"


def navigation(docs: Path) -> list[dict[str, object]]:
    """Return the table of contents: the sections of docs/README.md in their order, and what is around
    them."""
    nav: list[dict[str, object]] = [{"Holdfast": "README.md"}, {"Documentation": "docs/README.md"}]
    section: list[dict[str, str]] = []
    for title, name, page in _SECTION.findall((docs / "docs" / "README.md").read_text("utf-8")):
        if title:
            section = []
            nav.append({title: section})
        else:
            section.append({name: f"docs/{page}"})
    designs = [{_title(page): f"design/{page.name}"} for page in _designs(docs)]
    nav.append({"Design": [{"Overview": "design/index.md"}, *designs]})
    project = {"Contributing": "CONTRIBUTING.md", "Security": "SECURITY.md", "Changes": "CHANGELOG.md"}
    return [*nav, {"Project": [{name: page} for name, page in project.items()]}]


def _designs(docs: Path) -> list[Path]:
    return sorted((docs / "design").glob("[0-9]*.md"))


def _title(page: Path) -> str:
    return page.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def main(arguments: list[str]) -> int:
    """Run as a program. Return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    done = build(Path(arguments[0]))
    sys.stderr.write(done.stdout + done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
