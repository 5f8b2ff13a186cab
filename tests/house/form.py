"""Measures of form over the product's source: how wide, how dense, how tangled it is.

`python tests/house/form.py [FOLDER]` lists what is not as it should be, for the whole product or for a folder
of it (`gateway`, or `src/holdfast/gateway`). tests/house/test_the_form.py holds the limits.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a program
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from house import syntax

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "holdfast"

COLUMNS = 110
DENSE = 6
MOST_POSITIONAL = 4
LONGEST_FUNCTION = 60
SOFT_FILE, HARD_FILE = 300, 400
MAY_BE_LOOSE = frozenset({"__init__.py", "__main__.py", "testing.py", "_files.py"})
WEAK_OPENINGS = frozenset({"what", "whether", "where", "one", "how", "who"})

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DISPLAYS = (ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Call)
IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Source:
    """One file of the package: its path inside it and its text."""

    name: str
    text: str

    @property
    def path(self) -> str:
        """Return the path inside the project."""
        return f"src/holdfast/{self.name}"

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return syntax.parse(self.text)

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[Any]]:
        return syntax.by_kind(self.tree)

    def nodes(self, *kinds: type[ast.AST]) -> list[Any]:
        """Return the nodes of these very kinds; looked for once."""
        return [node for kind in kinds for node in self._nodes[kind]]


@dataclass(frozen=True, slots=True)
class Offence:
    """One place that is not as it should be. The larger `weight`, the worse."""

    file: str
    line: int
    what: str
    weight: float = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def read(package: Path = PACKAGE) -> list[Source]:
    """Return every Python file of a package, by its path."""
    paths = sorted(package.rglob("*.py"))
    return [Source(path.relative_to(package).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


# --- lines, files, names ---


def wide_lines(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find lines of more than 110 columns."""
    for source in sources:
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS:
                yield Offence(source.path, number, f"{len(line)} columns", len(line))


def long_files(limit: int) -> Callable[[Iterable[Source]], Iterator[Offence]]:
    """Return the measure that finds files of more than `limit` lines."""

    def measure(sources: Iterable[Source]) -> Iterator[Offence]:
        for source in sources:
            count = len(source.lines)
            if count > limit:
                yield Offence(source.path, count, f"{count} lines", count)

    return measure


def long_functions(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find functions of more than 60 lines, from `def` to their last line."""
    for source in sources:
        for node in source.nodes(*FUNCTIONS):
            count = _height(node)
            if count > LONGEST_FUNCTION:
                yield Offence(source.path, node.lineno, f"{node.name} has {count} lines", count)


def loose_modules(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find modules that lie in the package itself and not in a folder of it."""
    for source in sources:
        if "/" not in source.name and source.name not in MAY_BE_LOOSE:
            yield Offence(source.path, 1, "belongs in a folder")


def weak_docstrings(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find docstrings of functions and classes that begin with `what`, `whether` ..., and not with a verb."""
    for source in sources:
        for node in source.nodes(*FUNCTIONS, ast.ClassDef):
            text = ast.get_docstring(node) or "-"
            first = text.split(maxsplit=1)[0].strip(",.:;`").lower()
            if first in WEAK_OPENINGS:
                yield Offence(source.path, node.lineno, f'{node.name}: "{text.splitlines()[0]}"')


# --- expressions ---


def conditionals(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find conditional expressions (`a if b else c`)."""
    for source in sources:
        for node in source.nodes(ast.IfExp):
            yield Offence(source.path, node.lineno, _line(source, node))


def nested_conditionals(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find conditional expressions inside others, at any depth."""
    for source in sources:
        for node in source.nodes(ast.IfExp):
            if any(isinstance(part, ast.IfExp) for part in _inside(node)):
                yield Offence(source.path, node.lineno, _line(source, node))


def dense_statements(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find simple statements, and tests of compound ones, that decide too much at once.

    A conditional expression, a comprehension and a walrus count two each, `and` and `or` one each; six is too
    much. Elements of a display and arguments of a call that spans lines count one by one, as they are read.
    """
    for source in sources:
        for part in _statements(source):
            for node, score in _scores(part):
                if score >= DENSE:
                    yield Offence(source.path, node.lineno, f"density {score}: {_line(source, node)}", score)


def optional_bools(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find types of three values written as `bool | None`."""
    for source in sources:
        for node in source.nodes(ast.BinOp, ast.Subscript):
            if _is_optional_bool(node):
                yield Offence(source.path, node.lineno, _line(source, node))


def positional_calls(sources: Iterable[Source]) -> Iterator[Offence]:
    """Find calls of functions and classes of our own that pass more than four arguments by position.

    A call counts as ours by its name: one that the package defines and the module has not imported from
    elsewhere. Unpacked arguments (`*rest`) count as one.
    """
    sources = list(sources)
    ours = _definitions(sources) | {"cls"}
    for source in sources:
        foreign = _foreign_names(source)
        for node in source.nodes(ast.Call):
            name = _called(node.func, foreign)
            if name in ours and len(node.args) > MOST_POSITIONAL:
                yield Offence(
                    source.path, node.lineno, f"{name} takes {len(node.args)} by position", len(node.args)
                )


def _statements(source: Source) -> Iterator[ast.expr | ast.stmt]:
    """Give what is read in one go: each simple statement, the condition or source of each compound one."""
    yield from source.nodes(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)
    yield from source.nodes(ast.Raise, ast.Assert, ast.Delete)
    yield from (node.test for node in source.nodes(ast.If, ast.While))
    yield from (node.iter for node in source.nodes(ast.For, ast.AsyncFor))
    yield from (node.subject for node in source.nodes(ast.Match))
    yield from (node.guard for node in source.nodes(ast.match_case) if node.guard)
    yield from (item.context_expr for node in source.nodes(ast.With, ast.AsyncWith) for item in node.items)


def _scores(root: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Give (part, density) of a statement: its own, and that of each element of a display over lines."""
    own = 0
    stack = [root]
    while stack:
        node = stack.pop()
        own += _weight(node)
        elements = _elements(node)
        for element in elements:
            yield from _scores(element)
        stack += [child for child in syntax.children(node) if child not in elements]
    yield root, own


def _elements(node: ast.AST) -> list[ast.AST]:
    """Return the elements of a display, or the arguments of a call, that spans lines."""
    if not isinstance(node, DISPLAYS) or _height(node) == 1:
        return []
    func = getattr(node, "func", None)
    return [
        child
        for child in syntax.children(node)
        if isinstance(child, (ast.expr, ast.keyword)) and child is not func
    ]


def _weight(node: ast.AST) -> int:
    if isinstance(node, (ast.IfExp, ast.NamedExpr, *COMPREHENSIONS)):
        return 2
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    return 0


def _is_optional_bool(node: ast.AST) -> bool:
    match node:
        case ast.BinOp(op=ast.BitOr(), left=ast.Name(id="bool"), right=ast.Constant(value=None)):
            return True
        case ast.BinOp(op=ast.BitOr(), left=ast.Constant(value=None), right=ast.Name(id="bool")):
            return True
        case ast.Subscript(
            value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=ast.Name(id="bool")
        ):
            return True
    return False


def _definitions(sources: Iterable[Source]) -> set[str]:
    return {node.name for source in sources for node in source.nodes(*FUNCTIONS, ast.ClassDef)}


def _foreign_names(source: Source) -> set[str]:
    """Return the names that a module imports from outside the package."""
    names: set[str] = set()
    for node in source.nodes(*IMPORTS):
        if isinstance(node, ast.Import) or not _is_own(node):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return names


def _is_own(node: ast.ImportFrom) -> bool:
    return node.level > 0 or (node.module or "").partition(".")[0] == "holdfast"


def _called(func: ast.expr, foreign: set[str]) -> str:
    """Return the name by which something is called, or nothing when it is somebody else's."""
    root = func
    while isinstance(root, ast.Attribute | ast.Call):
        root = root.value if isinstance(root, ast.Attribute) else root.func
    if isinstance(root, ast.Name) and root.id in foreign:
        return ""
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield from ast.walk(child)


def _height(node: ast.AST) -> int:
    return int(node.end_lineno) - int(node.lineno) + 1  # type: ignore[attr-defined]


def _line(source: Source, node: ast.AST) -> str:
    text = source.lines[node.lineno - 1].strip()  # type: ignore[attr-defined]
    return text if len(text) <= COLUMNS else f"{text[: COLUMNS - 2]} …"


# --- imports ---

Graph = Mapping[str, Mapping[str, int]]
"""Which module imports which, and on what line: {module: {imported module: line}}."""


def imports(sources: Iterable[Source], *, lazy: bool, types: bool) -> Graph:
    """Return the imports between the modules of the package.

    lazy   those inside functions too
    types  those under `if TYPE_CHECKING` too
    """
    sources = list(sources)
    names = {_module(source.name) for source in sources}
    graph: dict[str, dict[str, int]] = defaultdict(dict)
    for source in sources:
        module = _module(source.name)
        package = module if source.name.endswith("__init__.py") else module.rpartition(".")[0]
        for node in _import_statements(source.tree, lazy=lazy, types=types):
            for target in _targets(node, package, names):
                if target != module:
                    graph[module].setdefault(target, node.lineno)
    return graph


def circles(sources: Iterable[Source], *, lazy: bool, types: bool) -> Iterator[Offence]:
    """Find the sets of modules that import one another, directly or by way of others."""
    sources = list(sources)
    files = {_module(source.name): source.name for source in sources}
    graph = imports(sources, lazy=lazy, types=types)
    for members in _components(graph):
        first = min(members)
        arrows = [
            f"{files[a]}:{line} -> {files[b]}"
            for a in sorted(members)
            for b, line in sorted(graph[a].items())
            if b in members
        ]
        yield Offence(
            f"src/holdfast/{files[first]}", 1, f"{len(members)} modules: " + ", ".join(arrows), len(members)
        )


def _module(name: str) -> str:
    """Return the dotted name of a file of the package; the package itself is the empty name."""
    return name.removesuffix(".py").removesuffix("__init__").strip("/").replace("/", ".")


def _import_statements(tree: ast.AST, *, lazy: bool, types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in syntax.children(tree):
        if isinstance(node, ast.expr):
            continue
        if isinstance(node, IMPORTS):
            yield node
        elif isinstance(node, FUNCTIONS) and not lazy:
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not types:
            for other in node.orelse:
                yield from _import_statements(ast.Module([other], []), lazy=lazy, types=types)
        else:
            yield from _import_statements(node, lazy=lazy, types=types)


def _targets(node: ast.Import | ast.ImportFrom, package: str, names: set[str]) -> Iterator[str]:
    """Give the modules of ours that a statement imports; `from .store import base` the module store.base."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            module = alias.name.removeprefix("holdfast").strip(".")
            if alias.name.partition(".")[0] == "holdfast" and module in names:
                yield module
        return
    if not _is_own(node):
        return
    if node.level:
        parts = package.split(".")
        above = parts[: len(parts) - node.level + 1]
        base = ".".join([*above, node.module or ""]).strip(".")
    else:
        base = (node.module or "").removeprefix("holdfast").strip(".")
    for alias in node.names:
        whole = f"{base}.{alias.name}".strip(".")
        if whole in names:
            yield whole
        elif base in names:
            yield base


def _components(graph: Graph) -> list[set[str]]:
    """Return the strongly connected components of two modules or more (Tarjan, 1972)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[set[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for target in graph.get(module, {}):
            if target not in number:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], number[target])
        if low[module] == number[module]:
            at = stack.index(module)
            members = set(stack[at:])
            del stack[at:]
            if len(members) > 1:
                components.append(members)

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return components


# --- the table ---


def _circles(*, lazy: bool, types: bool) -> Callable[[Iterable[Source]], Iterator[Offence]]:
    return lambda sources: circles(sources, lazy=lazy, types=types)


MEASURES: dict[str, Callable[[list[Source]], Iterable[Offence]]] = {
    "lines over 110 columns": wide_lines,
    "conditional expressions per 1,000 lines": conditionals,
    "nested conditional expressions": nested_conditionals,
    "dense statements": dense_statements,
    "positional calls": positional_calls,
    "bool | None": optional_bools,
    "functions over 60 lines": long_functions,
    "files over 300 lines": long_files(SOFT_FILE),
    "files over 400 lines": long_files(HARD_FILE),
    "import circles at start": _circles(lazy=False, types=False),
    "import circles with lazy imports": _circles(lazy=True, types=False),
    "import circles with types": _circles(lazy=True, types=True),
    "modules outside a folder": loose_modules,
    "weak docstrings": weak_docstrings,
}
"""What is measured: the figure is the number of offences, or their number per 1,000 lines."""


def figure(name: str, offences: list[Offence], sources: list[Source]) -> float:
    """Return the number that a limit is compared with."""
    if not name.endswith("per 1,000 lines"):
        return len(offences)
    return round(1000 * len(offences) / sum(len(source.lines) for source in sources), 1)


def worst(offences: list[Offence], most: int = 20) -> str:
    """Return offences as lines of `file:line: what`, the worst first, at most `most` of them."""
    ordered = sorted(offences, key=lambda offence: (-offence.weight, offence.file, offence.line))
    lines = [str(offence) for offence in ordered[:most]]
    if len(ordered) > most:
        lines.append(f"... and {len(ordered) - most} more")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print what is found in the folder that `arguments` name, else in the whole package."""
    folder = "".join(arguments[:1]).removeprefix("src/holdfast").strip("/")
    sources = read()
    inside = [source for source in sources if f"{source.name}/".startswith(f"{folder}/".lstrip("/"))]
    if not inside:
        sys.exit(f"the package has no folder or module '{folder}' (only the product's source is measured)")
    paths = {source.path for source in inside}
    for name, measure in MEASURES.items():
        offences = [offence for offence in measure(sources) if offence.file in paths]
        print(f"\n{name}: {figure(name, offences, inside):g}")
        for offence in sorted(offences, key=lambda offence: (offence.file, offence.line)):
            print(offence)


if __name__ == "__main__":
    main(sys.argv[1:])
