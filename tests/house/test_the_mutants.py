"""The mutants follow the code: each breaks what it says it breaks. `make mutants` runs the tests against
them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_text_that_a_mutant_replaces_occurs_exactly_once(mutant: Mutant, root: Path) -> None:
    assert (root / "src" / "holdfast" / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.old != mutant.new
