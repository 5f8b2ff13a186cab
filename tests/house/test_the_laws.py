"""The laws of CONTRIBUTING.md, where reading the source is enough to see them broken."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from house.syntax import nodes_of

# Law 8. A new place needs a reason in design/, not only a line here.
MAY_REVEAL = {
    "wire/key_at_send.py": 1,
    "credentials/secrets_file.py": 1,
    "credentials/pepper.py": 1,
    "harness/apply.py": 1,
    "secrecy/masking.py": 1,
}

# Law 3. Values travel whole: (file, function) where one of these names is a parameter all the same, with the
# reason.
LOOSE_NAMES = frozenset({"base_url", "baseurl", "api_key", "apikey", "api_base", "provider_name"})
MAY_BE_LOOSE: dict[tuple[str, str], str] = {
    ("sdk/client_options.py", "ClientOptions"): "the SDKs' own names; no request goes where they say",
}

PURE = ("core/", "values/")
MAY_BE_IMPORTED_BY_CORE = frozenset(
    """
    __future__ abc bisect collections collections.abc dataclasses datetime difflib email.utils enum fnmatch
    functools hashlib hmac html ipaddress itertools json math operator re string types typing
    typing_extensions unicodedata urllib.parse
    """.split()
)
# Law 11. `_files` writes every file that outlives the call; what else may write one, and why.
WRITES_A_FILE = frozenset(
    """
    O_CREAT fsync write_text write_bytes mkstemp NamedTemporaryFile hardlink_to flock lockf
    """.split()
)
MAY_WRITE: dict[str, set[str]] = {
    "importers/hermes_db.py": {"wb"},  # the copy of a database into a draft that `_files` gave
}
# Law 11. `engine/background` has the one pattern of a thread that works beside the requests; what else starts
# one, and why.
MAY_START_A_THREAD: dict[str, str] = {
    "gateway/embedded.py": "the gateway under `run` has an event loop of its own",
    "fake_provider/server.py": "so has the fake provider",
    "cli/progress.py": "tells a terminal what the command waits for, and ends with it",
    "engine/login.py": "a listener that ends with the sign-in",
    "sdk/deadlines.py": "a blocking call's step that a deadline ends, which may never return",
    "credentials/foreign_call.py": "a keyring or the user's own function, which may never return",
    "credentials/vault.py": "one renewal, which may take as long as its program",
    "credentials/in_flight.py": "a renewal, which the process finishes before it ends",
    "store/postgres_line.py": "cuts the connection of a call that the server does not answer, in time",
    "store/postgres_opening.py": "opens a connection, which waits for the look-up of a name without an end",
}
READS_A_TIME = frozenset({"fromisoformat", "strptime", "parsedate_to_datetime", "parsedate", "parsedate_tz"})
READS_A_CLOCK = frozenset({"now", "utcnow", "today", "localtime", "gmtime"})


def revealing(tree: ast.Module) -> int:
    """How often a tree asks for a secret's value: by attribute, called or not, by name in a string, or past
    the mangling."""
    names = [
        node.attr if isinstance(node, ast.Attribute) else node.value
        for node in nodes_of(tree)
        if isinstance(node, ast.Attribute | ast.Constant)
    ]
    return sum(name in ("reveal", "_Secret__value") for name in names if isinstance(name, str))


def parameters(tree: ast.Module) -> list[tuple[str, str]]:
    """(function, parameter) of every function and lambda; the fields of a class are its constructor's
    parameters."""
    pairs: list[tuple[str, str]] = []
    for node in nodes_of(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            everyone = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            pairs += [(getattr(node, "name", "lambda"), argument.arg) for argument in everyone]
        elif isinstance(node, ast.ClassDef):
            pairs += [
                (node.name, statement.target.id)
                for statement in node.body
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            ]
    return pairs


def imports(tree: ast.Module) -> set[str]:
    """What a tree imports from outside its own package."""
    absolute = {alias.name for node in nodes_of(tree) if isinstance(node, ast.Import) for alias in node.names}
    return absolute | {
        node.module or "" for node in nodes_of(tree) if isinstance(node, ast.ImportFrom) and not node.level
    }


def test_a_secret_is_revealed_only_where_the_law_allows_it(trees: dict[str, ast.Module]) -> None:
    revealed = Counter({name: revealing(tree) for name, tree in trees.items() if revealing(tree)})
    assert revealed == {name: count for name, count in MAY_REVEAL.items() if name in trees}


def test_no_function_takes_a_connection_in_pieces(trees: dict[str, ast.Module]) -> None:
    loose = {
        (name, function)
        for name, tree in trees.items()
        for function, parameter in parameters(tree)
        if parameter.lower() in LOOSE_NAMES
    }
    assert loose == set(MAY_BE_LOOSE)


def test_the_core_and_the_values_import_only_what_cannot_do_anything(trees: dict[str, ast.Module]) -> None:
    wrong = {
        (name, module)
        for name, tree in trees.items()
        if name.startswith(PURE)
        for module in imports(tree) - MAY_BE_IMPORTED_BY_CORE
    }
    assert not wrong


def test_the_core_and_the_values_never_read_a_clock(trees: dict[str, ast.Module]) -> None:
    calls = [
        (name, node.func)
        for name, tree in trees.items()
        if name.startswith(PURE)
        for node in nodes_of(tree)
        if isinstance(node, ast.Call)
    ]
    wrong = {
        (name, func.attr, func.lineno)
        for name, func in calls
        if isinstance(func, ast.Attribute) and func.attr in READS_A_CLOCK
    }
    assert not wrong


def writing(tree: ast.Module) -> set[str]:
    """Return how a tree writes or locks files: system calls, temporary names, and modes of `open` that
    write."""
    names = {node.attr for node in nodes_of(tree) if isinstance(node, ast.Attribute)}
    ways = names & WRITES_A_FILE
    for node in nodes_of(tree):
        if not isinstance(node, ast.Call) or "open" not in (
            getattr(node.func, "attr", ""),
            getattr(node.func, "id", ""),
        ):
            continue
        modes = [
            argument.value
            for argument in node.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        ways |= {mode for mode in modes if re.fullmatch(r"[rb]*[wax+][wax+bt]*", mode)}
    return ways


def test_files_are_written_and_locked_by_one_module_only(trees: dict[str, ast.Module]) -> None:
    written = {
        name: names for name, tree in trees.items() if name != "_files.py" and (names := writing(tree))
    }
    assert written == MAY_WRITE


FORK_HOOKS = {"engine/background.py", "store/sqlite.py"}


def test_a_thread_beside_the_requests_has_one_pattern(trees: dict[str, ast.Module]) -> None:
    """Whatever starts a thread of its own is listed with its reason; the hooks of a fork belong to the
    pattern, but for the store's, which keeps threads out of SQLite and lies below it."""
    names = {
        (name, node.attr if isinstance(node, ast.Attribute) else node.id)
        for name, tree in trees.items()
        for node in nodes_of(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert {name for name, word in names if word == "register_at_fork"} == FORK_HOOKS
    started = {
        name
        for name, tree in trees.items()
        for node in nodes_of(tree)
        if isinstance(node, ast.Call)
        and "Thread" in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))
    }
    assert started == {"engine/background.py", *MAY_START_A_THREAD}


def test_times_of_other_programs_are_read_by_one_module_only(trees: dict[str, ast.Module]) -> None:
    used = {
        (name, node.attr if isinstance(node, ast.Attribute) else node.id)
        for name, tree in trees.items()
        for node in nodes_of(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert {name for name, word in used if word in READS_A_TIME} == {"values/times.py"}


@pytest.mark.parametrize(
    ("snippet", "count"),
    [
        ("send(secret.reveal())", 1),
        ("show = secret.reveal", 1),
        ("getattr(secret, 'reveal')()", 1),
        ("secret._Secret__value", 1),
        ("secret.tail", 0),
    ],
)
def test_the_search_for_revealed_secrets_finds_every_way_to_ask(snippet: str, count: int) -> None:
    assert revealing(ast.parse(snippet)) == count


@pytest.mark.parametrize(
    "snippet",
    [
        "def f(api_key): ...",
        "async def f(*, api_key=None): ...",
        "f = lambda api_key: 0",
        "class F:\n    api_key: str",
        "def f(api_key, /): ...",
    ],
)
def test_the_search_for_loose_names_finds_every_kind_of_parameter(snippet: str) -> None:
    assert [parameter for _, parameter in parameters(ast.parse(snippet))] == ["api_key"]
