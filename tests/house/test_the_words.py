"""Old words stay gone: names that nobody would guess, terms with new names, sentences that were not plain.

`python tests/house/words.py [PATH ...]` lists where they stand and what to say instead.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from house import words


@pytest.fixture(scope="module")
def uses(files: list[Path]) -> dict[str, list[words.Use]]:
    texts = words.read(files)
    assert {words.area_of(text.path) for text in texts} == words.AREAS.keys()
    return {name: list(search(texts)) for name, search in words.GROUPS.items()}


@pytest.mark.parametrize("group", words.GROUPS)
@pytest.mark.parametrize("area", words.AREAS)
def test_no_old_word_comes_back_into_the_project(
    group: str, area: str, uses: dict[str, list[words.Use]]
) -> None:
    here = [use for use in uses[group] if words.area_of(use.path) == area]
    shown = "\n".join(map(str, here[:40]))
    assert not here, f"{len(here)}:\n{shown}\n(all of them: python tests/house/words.py)"


def test_a_file_that_may_say_old_words_exists() -> None:
    assert not [path for path in words.MAY_SAY if not (words.ROOT / path).is_file()]


SNIPPETS = [
    ("files", "tests/test_homeward.py", "", ["homeward"]),
    ("files", "src/holdfast/scripted/later.py", "", ["scripted", "later"]),
    ("files", "src/holdfast/core/latest.py", "", []),
    (
        "definitions",
        "src/a.py",
        "class Told: ...\nTOLD = 1\ndef strip(): ...\nx.strip()\nFATES: int = 1",
        ["Told", "strip", "FATES"],
    ),
    (
        "variables",
        "src/a.py",
        "def f(one, *, said): ...\n[found for found in x]\nx.told\n",
        ["said", "one", "found"],
    ),
    ("variables", "src/a.py", "class F:\n    place: str\nnone = the_one = 1", ["place"]),
    (
        "identifiers",
        "src/a.py",
        "_lanes_of(plane, LaneOf, x.stand_in, wrung)",
        ["_lanes_of", "LaneOf", "stand_in"],
    ),
    ("identifiers", "src/a.py", "x = 'lane'  # lane", []),
    (
        "terms",
        "src/a.py",
        '"""No lanes here."""\nx = f"{a}: stands in for {b}"  # a rung',
        ["lanes", "stands in", "rung"],
    ),
    ("terms", "docs/a.md", "What may stand\nin, the plane, a ladder-like thing", ["stand in"]),
    ("phrases", "docs/a.md", "provider 'p' now\nstands in FILE; remembered", ["now stands in"]),
    ("phrases", "src/a.py", 'say("REMEMBERED", f"key {x} leads nowhere")', ["REMEMBERED", "leads nowhere"]),
]


@pytest.mark.parametrize(("group", "path", "text", "old"), SNIPPETS)
def test_the_search_finds_an_old_word_and_passes_over_its_neighbours(
    group: str, path: str, text: str, old: list[str]
) -> None:
    assert sorted(use.old for use in words.GROUPS[group]([words.Text(path, text)])) == sorted(old)
