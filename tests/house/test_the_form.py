"""The form of the product's source stays within limits: `python tests/house/form.py [FOLDER]` lists what does
not."""

from __future__ import annotations

import pytest

from house import form
from tables import rows

LIMITS = {"conditional expressions per 1,000 lines": 5, "files over 300 lines": 8}
"""What may be there at most, by measure of house.form; nothing where no limit is named. Never raise one."""


@pytest.fixture(scope="module")
def product() -> list[form.Source]:
    return form.read()


@pytest.mark.parametrize("name", form.MEASURES)
def test_the_source_stays_within_its_limit_of_form(name: str, product: list[form.Source]) -> None:
    limit = LIMITS.get(name, 0)
    offences = list(form.MEASURES[name](product))
    figure = form.figure(name, offences, product)
    assert figure <= limit, (
        f"{figure:g}, but at most {limit:g}\n{form.worst(offences)}\n"
        "(all of them: python tests/house/form.py)"
    )


FOREIGN_CALLS = """
import struct
from a import f as pack
class C:
    def pack(self): ...
struct.pack(1, 2, 3, 4, 5)
pack(1, 2, 3, 4, 5)
min(1, 2, 3, 4, 5)
"""

# Every measure finds what it is there for and passes over what looks like it: (measure, offences, source).
SNIPPETS = [
    ("lines over 110 columns", 1, f"a = '{'x' * 110}'"),
    ("lines over 110 columns", 0, f"a = '{'x' * 104}'"),
    ("conditional expressions per 1,000 lines", 2, "a = b if c else d\nf(lambda: b if c else d)"),
    ("nested conditional expressions", 1, "a = b if c else d if e else f"),
    ("nested conditional expressions", 1, "a = [b if c else d for e in f] if g else h"),
    ("nested conditional expressions", 0, "a = (b if c else d, e if f else g)"),
    ("dense statements", 1, "a = [b for c in d] or [e for f in g if h and i]"),
    ("dense statements", 1, "if a and b and c and (d or e) and (f or g) and h: pass"),
    ("dense statements", 1, "a = (\n  b,\n  e if f else [g for h in i if j] or k and l and m,\n)"),
    ("dense statements", 0, "a = f(\n  b if c else d,\n  e=e if f else g,\n  h=[i for i in j if k],\n)"),
    ("dense statements", 0, "a = {\n  'b': b if c else d,\n  **(e if f else g),\n  'h': [i for i in j],\n}"),
    ("positional calls", 1, "def f(*a): ...\nf(1, 2, 3, 4, 5)\nf(1, 2, 3, 4)\nf(1, 2, 3, 4, a=5)"),
    ("positional calls", 1, "class F: ...\nx.F(1, 2, 3, 4, *rest)"),
    ("positional calls", 0, FOREIGN_CALLS),
    ("bool | None", 3, "def f(a: bool | None, b: Optional[bool]) -> None | bool: ..."),
    ("bool | None", 0, "Json = str | int | bool | None\na: bool = True\nb: str | None = None"),
    ("functions over 60 lines", 1, "async def f():\n" + "    a = 1\n" * 60),
    ("functions over 60 lines", 0, "async def f():\n" + "    a = 1\n" * 59),
    ("files over 300 lines", 1, "a = 1\n" * 301),
    ("files over 400 lines", 0, "a = 1\n" * 400),
    ("modules outside a folder", 1, ""),
    ("weak docstrings", 1, 'def f():\n    """Whether it is."""'),
    ("weak docstrings", 0, 'def f():\n    """Return whether it is."""'),
]  # fmt: skip


@rows(("name", "count", "text"), SNIPPETS)
def test_a_measure_finds_what_it_is_there_for(name: str, count: int, text: str) -> None:
    assert len(list(form.MEASURES[name]([form.Source("module.py", text)]))) == count


CIRCLE = {
    "at start": "from . import b",
    "with lazy imports": "def f():\n    from . import b",
    "with types": "if TYPE_CHECKING:\n    from .b import B",
}


@pytest.mark.parametrize("kind", CIRCLE)
def test_an_import_circle_is_found_whatever_closes_it(kind: str) -> None:
    texts = {
        "x/__init__.py": "",
        "x/a.py": CIRCLE[kind],
        "x/b.py": "from ..y import c",
        "y/c.py": "import holdfast.x.a",
    }
    sources = [form.Source(name, text) for name, text in texts.items()]
    closed = {each for each in CIRCLE if list(form.MEASURES[f"import circles {each}"](sources))}
    assert closed == set(list(CIRCLE)[list(CIRCLE).index(kind) :])


def test_a_package_s_import_of_its_own_module_is_no_circle() -> None:
    texts = {
        "x/__init__.py": "from .a import A",
        "x/a.py": "from .b import B",
        "x/b.py": "",
        "y.py": "from .x import A, b",
    }
    sources = [form.Source(name, text) for name, text in texts.items()]
    assert not list(form.circles(sources, lazy=True, types=True))
    assert form.imports(sources, lazy=True, types=True)["y"].keys() == {"x", "x.b"}
