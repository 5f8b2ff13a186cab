"""The words that we no longer use, as data, and the search for them.

`python tests/house/words.py [PATH ...]` lists them for the whole project or for some files and folders of it.
tests/house/test_the_words.py keeps them out. On the left is what is gone, on the right what we say instead.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a program
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from house import syntax

ROOT = Path(__file__).resolve().parents[2]
AREAS = {
    "src": ("src/",),
    "tests": ("tests/", "suites/", "bench/"),
    "docs": ("docs/", "design/", "examples/", "packaging/", "README.md", "CONTRIBUTING.md", "SECURITY.md"),
}
"""Where the words count. News and changes tell what was; data of tests is other people's."""
KINDS = frozenset({".py", ".md", ".toml"})

FILES = {
    "homeward": "engine/failback",
    "later": "engine/background",
    "unknowns": "engine/unclassified",
    "outward": "wire/error_bodies",
    "moving": "engine/session_moves",
    "carrying": "cli/session_transfer",
    "origin": "engine/provenance",
    "within": "calls/deadline",
    "handed": "sdk/responses",
    "asked": "wire/request_body",
    "talk": "wire/conversation",
    "tail": "wire/response_stream",
    "kit": "sdk/httpx_compat",
    "plane": "gateway/gateway",
    "sides": "gateway/admin/routes",
    "own": "gateway/handler",
    "ask": "gateway/client_request",
    "broken": "gateway/http1/errors",
    "head": "gateway/http1/request_head",
    "dial": "gateway/http1/connect",
    "counters": "gateway/telemetry/shared_counters",
    "evidence": "core/health",
    "pool": "core/key_selection",
    "detect": "core/vocabulary",
    "reply": "core/response_parser",
    "shape": "engine/anonymize",
    "flow": "core/request_flow",
    "roles": "core/model_roles",
    "timed": "credentials/cached_source",
    "grants": "credentials/oauth_source",
    "supplied": "credentials/callback_source",
    "sealed": "provisioning/sealed_replies",
    "opened": "cli/context",
    "gated": "gateway/embedded",
    "handing": "cli/run_choice",
    "proof": "cli/run_report",
    "on_disk": "cli/doctor_files",
    "signing": "cli/key_login",
    "provisioned": "cli/provision_views",
    "inventory": "harness/environment",
    "foreign": "importers/read_files",
    "scripted": "fake_provider",
}
"""Names of modules and folders, and of the tests for them (`test_homeward.py`)."""

DEFINITIONS = {
    "Homeward": "FailbackMonitor",
    "stays": "should_stay",
    "Later": "BackgroundWorker",
    "Unknowns": "UnclassifiedReplies",
    "Outward": "ClientError",
    "outward": "client_error",
    "By": "SetBy",
    "Part": "Field",
    "Within": "Deadline",
    "within": "deadline",
    "twins": "deadlines",
    "Handed": "SdkResponse",
    "Asked": "RequestInfo",
    "asked_by": "inspect",
    "naming": "append_model",
    "with_model": "replace_model",
    "Talk": "Conversation",
    "talk": "conversation",
    "Told": "ConversationResult",
    "converse": "run",
    "Tail": "ResponseStream",
    "left": "closed_by_client",
    "broke": "broken_off",
    "cut_off": "cut",
    "Kit": "HttpxAdapter",
    "Way": "TransportRoute",
    "Through": "TransportRoute",
    "Direct": "PoolRoute",
    "dress": "build_request",
    "Dressed": "PreparedHead",
    "strip": "filter_headers",
    "Incoming": "ClientHeaders",
    "_Fate": "_Rule",
    "Leaving": "OutboundRequest",
    "Plane": "Gateway",
    "Client": "ServerConnection",
    "Up": "UpstreamConnection",
    "AnswerHead": "ResponseHead",
    "Sides": "AdminRoutes",
    "Own": "LocalResponse",
    "GatewayAsk": "GatewayRequest",
    "Broken": "UpstreamError",
    "FATES": "HEADER_RULES",
    "_FATES": "_HEADER_RULES",
    "Seen": "CachedHead",
    "seen_again": "cacheable",
    "Room": "BodyBuffer",
    "Names": "HeaderNames",
    "Place": "UpstreamAddress",
    "Cell": "Gauge",
    "Slot": "WorkerSlot",
    "Board": "HealthRegistry",
    "Worked": "KeySucceeded",
    "Failed": "KeyFailed",
    "Cooled": "CooldownStarted",
    "StandInBegan": "FallbackStarted",
    "StandInEnded": "FallbackEnded",
    "World": "DecisionContext",
    "Pick": "KeySelection",
    "_Run": "RequestState",
    "Lane": "Route",
    "Ladder": "FallbackChain",
    "StandIn": "ActiveFallback",
    "Exchange": "RequestRun",
    "rehearse": "check_writable",
    "_told": "to_toml",
    "House": "ProvisioningPorts",
    "awaits": "expects",
    "Malformed": "a name that says what is malformed",
    "Task": "LaunchRequest",
    "Offer": "ConnectOffer",
    "beyond": "no_proxy_with_loopback",
    "hijacks": "overriding_lines",
    "Opened": "CliContext",
}
"""Names of classes, functions and constants of the product."""

VARIABLES = {
    "one": "item, or what it is",
    "told": "payload, or what it is",
    "said": "text",
    "found": "match, matches, or what was found",
    "place": "location, path, address",
}
"""Names of variables, parameters and fields."""

PARTS = {
    "lane": "route",
    "ladder": "fallback",
    "rung": "fallback",
    "stand_in": "active_fallback",
    "standing_in": "on_fallback",
    "homeward": "failback",
    "side_door": "passthrough",
}
"""Parts of identifiers: `lane` is one of `_lanes_of` and of `LaneOf`, but none of `plane`."""

TERMS = {
    "lane": "route",
    "ladder": "fallback",
    "rung": "fallback",
    "stand-in": "fallback",
    "stands? in": "answers instead, is a fallback",
    "stood in": "answered instead",
    "standing in": "on a fallback",
    "the way home": "fail-back",
    "side door": "passthrough",
}
"""Terms of the contract in prose, as patterns: messages, docstrings, comments and documents."""

PHRASES = {
    "now stands in": "Added provider 'p' to FILE",
    r"is made \(mode": "Created FILE (mode 0600) with commented examples",
    "with examples to uncomment": "with commented examples",
    "is named by": "is used by",
    "leads? nowhere": "cannot be read",
    "leads? to no value": "Cannot read key 'k' of provider 'p': env:X is not set",
    "opens again at": "The provider says the limit resets at T.",
    "by the word of the provider": "The provider says the limit resets at T.",
    "may be used again from": "Estimated retry time: T.",
    "by our own estimate": "Estimated retry time: T.",
    "suddenly refuses": "HOST rejected a key it accepted 4 min ago.",
    "what the account behind this key has left": "Not enough credit left for a request of this size.",
    "does not pay for a request": "Not enough credit left for a request of this size.",
    "went on with the next": "fell back to",
    "nobody typed the code": "Sign-in 'x' timed out: no code was entered.",
    "nobody gets in": "All tokens are revoked",
    "is not called by that name": "Host header not allowed",
    "none of its own": "Host header not allowed",
    "knows the gateway": "is connected to the gateway",
    "WORDS OF": "PROFILE",
    "REMEMBERED": "HISTORY",
    "say what mends it": "and suggest fixes",
    "the gateway, which any client can point": "Start the gateway.",
    "providers half set up": "Repair incomplete providers",
    "sessions that others lost": "sessions stored by other tools",
    "an answer that has no class yet": "unrecognised provider errors, anonymised",
    "up to one cheap real call": "read the key, list models, make one small call",
    "take a key that you have": "Use a key you already have.",
    "takes no other model": "accepts only this model; retries and fallback work as usual",
    "are told on their pages": "See provisioning, moving in.",
}
"""Sentences of messages and documents, as patterns."""

MAY_SAY: dict[str, str] = {
    "tests/house/words.py": "the list itself",
    "tests/house/test_the_words.py": "its own test",
    "src/holdfast/config/old_words.py": "refuses and rewrites them",
    "tests/fixtures/make_home_6f19264.py": "calls the software of then by its names",
    "tests/fixtures/home_6f19264/README.md": "says what that software left",
    "tests/fixtures/home_6f19264/home/holdfast.toml": "what that software left",
    "tests/fixtures/home_6f19264/made_from/holdfast.toml": "what that software left",
    "tests/fixtures/old_configs/dotted.toml": "what that software read",
    "tests/fixtures/old_configs/inline.toml": "what that software read",
    "tests/fixtures/old_configs/subtables.toml": "what that software read",
    "tests/fixtures/old_configs/tables.toml": "what that software read",
    "tests/fixtures/old_configs/unused.toml": "what that software read",
    "tests/cli/test_old_words.py": "tests that old words are refused and rewritten",
    "tests/cli/test_keys_without_a_position.py": "rewrites what that software left",
}
"""Files that may say any of it, with the reason: they refuse, map or rewrite what older versions wrote."""


_NAME = re.compile(r"[A-Za-z_]\w*")
_COMMENT = re.compile(r"(?:^|\s)#\s.*")
_OLD_PART = re.compile("|".join(part.replace("_", "_?") for part in PARTS), re.IGNORECASE)


@dataclass(frozen=True)
class Text:
    """One file of the project: its path and its text."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[Any]]:
        parse = syntax.parse if area_of(self.path) == "src" else ast.parse
        return syntax.by_kind(parse(self.text))

    def nodes(self, *kinds: type[ast.AST]) -> list[Any]:
        """Return the nodes of these very kinds; looked for once."""
        return [node for kind in kinds for node in self._nodes[kind]]

    @property
    def names(self) -> set[str]:
        """Return what may be identifiers: the words of the code, of its strings and of its comments."""
        return {name for name in _NAME.findall(self.text) if _OLD_PART.search(name)}

    @property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @cached_property
    def prose(self) -> list[tuple[int, str]]:
        """Return (line, text) of what people read: strings and comments of a program, all of a document."""
        if not self.is_python:
            return [(1, self.text)]
        strings = [
            (node.lineno, node.value) for node in self.nodes(ast.Constant) if isinstance(node.value, str)
        ]
        lines = enumerate(self.text.splitlines(), 1)
        return strings + [
            (number, match.group()) for number, line in lines if (match := _COMMENT.search(line))
        ]


@dataclass(frozen=True, slots=True)
class Use:
    """One place where an old word stands."""

    path: str
    line: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.old} -> {self.new}"


def read(paths: Iterable[Path]) -> list[Text]:
    """Return the programs and documents among `paths`, except the files that may say it."""
    names = sorted(path.relative_to(ROOT).as_posix() for path in paths if path.suffix in KINDS)
    return [
        Text(name, (ROOT / name).read_text(encoding="utf-8"))
        for name in names
        if area_of(name) and name not in MAY_SAY
    ]


def area_of(path: str) -> str:
    """Return the area that a file of the project belongs to, or nothing."""
    return next((area for area, tops in AREAS.items() if path.startswith(tops)), "")


def files(texts: Iterable[Text]) -> Iterator[Use]:
    """Find modules, folders and tests that are called by an old name."""
    for text in texts:
        if not text.is_python:
            continue
        parts = text.path.removesuffix(".py").split("/")
        stems = [part.removeprefix("test_the_").removeprefix("test_") for part in parts]
        yield from (Use(text.path, 1, stem, FILES[stem]) for stem in stems if stem in FILES)


def definitions(texts: Iterable[Text]) -> Iterator[Use]:
    """Find classes, functions and constants of the product that are called by an old name."""
    for text in texts:
        if not text.is_python or area_of(text.path) != "src":
            continue
        for node in text.nodes(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
            if node.name in DEFINITIONS:
                yield Use(text.path, node.lineno, node.name, DEFINITIONS[node.name])
        for node in text.nodes(ast.Name):
            is_constant = node.id.lstrip("_").isupper() and isinstance(node.ctx, ast.Store)
            if is_constant and node.id in DEFINITIONS:
                yield Use(text.path, node.lineno, node.id, DEFINITIONS[node.id])


def variables(texts: Iterable[Text]) -> Iterator[Use]:
    """Find variables, parameters and fields whose name says nothing, wherever they are bound."""
    for text in texts:
        if not text.is_python:
            continue
        for node in text.nodes(ast.Name):
            if node.id in VARIABLES and isinstance(node.ctx, ast.Store):
                yield Use(text.path, node.lineno, node.id, VARIABLES[node.id])
        for node in text.nodes(ast.arg):
            if node.arg in VARIABLES:
                yield Use(text.path, node.lineno, node.arg, VARIABLES[node.arg])


def identifiers(texts: Iterable[Text]) -> Iterator[Use]:
    """Find identifiers that have an old term of the contract as a part, wherever they are used."""
    for text in texts:
        if not text.is_python or not any(_old_parts(name) for name in text.names):
            continue
        for token in text.tokens:
            if token.type == tokenize.NAME:
                yield from (
                    Use(text.path, token.start[0], token.string, PARTS[part])
                    for part in _old_parts(token.string)
                )


def prose(terms: dict[str, str]) -> Callable[[Iterable[Text]], Iterator[Use]]:
    """Return the search for terms in what is written for people, across line breaks."""
    patterns = {re.compile(_pattern(old)): new for old, new in terms.items()}
    alternatives = "|".join(pattern.pattern for pattern in patterns)
    anything = re.compile(rf"\b(?<!-)(?:{alternatives})(?![\w-])")

    def search(texts: Iterable[Text]) -> Iterator[Use]:
        for text in texts:
            uses = {}
            for line, words in text.prose:
                for match in anything.finditer(words):
                    new = next(new for pattern, new in patterns.items() if pattern.fullmatch(match.group()))
                    use = Use(
                        text.path,
                        line + words.count("\n", 0, match.start()),
                        " ".join(match.group().split()),
                        new,
                    )
                    uses[use] = None
            yield from uses

    return search


def _pattern(term: str) -> str:
    """Return the pattern of a term: over a line break, in the plural, in any case but that of capitals."""
    words = term.replace(" ", r"\s+")
    return f"{words}s?" if term.isupper() else f"(?i:{words}s?)"


def _old_parts(name: str) -> list[str]:
    """Return the keys of PARTS in an identifier, in any style; a plural counts as its singular."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return [part for part in PARTS if re.search(rf"(?:^|_){part}s?(?:_|$)", snake)]


GROUPS: dict[str, Callable[[Iterable[Text]], Iterator[Use]]] = {
    "files": files,
    "definitions": definitions,
    "variables": variables,
    "identifiers": identifiers,
    "terms": prose(TERMS),
    "phrases": prose(PHRASES),
}


def main(arguments: list[str]) -> None:
    """Print the uses in the files and folders that `arguments` name, else in the whole project."""
    tops = [
        ROOT / name
        for name in arguments
        or ("src", "tests", "suites", "bench", "docs", "design", "examples", "packaging", ".")
    ]
    paths = {
        path
        for top in tops
        for path in ((top,) if top.is_file() else top.glob("*" if top == ROOT else "**/*"))
    }
    texts = read(path for path in paths if path.is_file() and "__pycache__" not in path.parts)
    for name, search in GROUPS.items():
        uses = list(search(texts))
        print(f"\n{name}: {len(uses)}")
        for use in uses:
            print(use)


if __name__ == "__main__":
    main(sys.argv[1:])
