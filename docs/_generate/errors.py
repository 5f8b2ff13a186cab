"""Write the parts of errors.md, recovery.md and headers.md in docs/reference that the code decides.

That is what Holdfast does, says and answers for each class of fault, its own errors and refusals, the limits
of recovery, and the names of the headers that pass.

python docs/_generate/errors.py --write     bring the documents up to date
python docs/_generate/errors.py --check     exit 1 if one is not
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from holdfast.core.changes import Evidence
from holdfast.core.config import Limits
from holdfast.core.errors import HoldfastError
from holdfast.core.explain import explain, since
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.recovery_policy import (
    BARE_403,
    FINAL,
    NEVER_WORKED,
    NO_KEY_SENT,
    ONCE_MORE,
    RATE_PATIENCE,
    RULES,
    UNKNOWN_ANSWER,
    UNREADABLE,
    Rule,
)
from holdfast.core.retry_budget import Bucket
from holdfast.core.steps import Attempt
from holdfast.store.base import COOLDOWN_KEPT
from holdfast.values.fault_texts import NEXT, WHAT
from holdfast.wire.error_kinds import ERRORS, FAULTS, REFUSALS, ErrorKind
from holdfast.wire.exchange import Bounds
from holdfast.wire.header_policy import ANSWER, ANSWER_FAMILIES, REQUEST

DOCS = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
COOLDOWNS = {
    Scope.KEY: "does not use the key at this URL",
    Scope.KEY_MODEL: "does not use the key with this model",
    Scope.ACCOUNT: "does not use the keys of this account at this URL",
    Scope.MODEL: "prefers your fallback to this model",
    Scope.ENDPOINT: "prefers your fallback to this URL",
}
# The cases in which another row than that of the class governs (core.recovery_policy.rule_for).
SPECIAL: dict[FaultClass, tuple[tuple[str, Rule], ...]] = {
    FaultClass.AUTH_REJECTED: (
        ("the provider saw no key", NO_KEY_SENT),
        ("the key cannot be read", UNREADABLE),
        ("the key never worked here", NEVER_WORKED),
        ("the verdict is final", FINAL),
    ),
    FaultClass.NOT_ENTITLED: (("no reason is given", BARE_403),),
    FaultClass.AUTH_EXPIRED: (("the verdict is final", FINAL),),
    FaultClass.TRANSIENT: (
        ("the request may have been processed", ONCE_MORE),
        ("the source of the key is silent", UNREADABLE),
    ),
    FaultClass.UNKNOWN: (("the status is 500 or more, or says success", UNKNOWN_ANSWER),),
}
COMMANDS = {
    "again": "holdfast key reset PROVIDER LABEL",
    "check": "holdfast check PIN",
    "choose": "holdfast session pin SESSION PROVIDER/MODEL",
    "models": "holdfast models --provider PROVIDER",
    "show": "holdfast provider show PROVIDER",
    "why": "holdfast why SESSION",
    "source": " (set in FILE:LINE)",
    "worked": "4 min",
}


class Shown(dict[str, str]):
    """The words that a message is filled with: a name in capitals where no example reads better."""

    def __missing__(self, name: str) -> str:
        return name.upper()


def steps(rule: Rule) -> str:
    """Return a row of the recovery table in words, in the order in which the steps are taken."""
    taken = [
        ("reads the key's reference again", rule.refresh),
        ("tests a key that worked here with one shared request", rule.probe),
        (f"sends again up to {rule.retries} times (first after about {since(rule.base)})", rule.retries),
        ("uses another key of the same provider", rule.rotate),
        ("asks for the list of models, to name similar ones", rule.relist),
        ("uses your fallback", rule.fall_back),
        ("does not use this key again until its value or the URL changes", rule.barred),
        (f"{COOLDOWNS.get(rule.scope or Scope.REQUEST)} {length(rule)}", rule.cool),
    ]
    return (
        "; ".join(text for text, holds in taken if holds) or "passes the answer on and leaves the key alone"
    )


def length(rule: Rule) -> str:
    """Return how long a cooldown is, the first time and when it repeats."""
    if rule is RULES[FaultClass.QUOTA_WINDOW]:
        return f"until its reset, at most a day (unknown: {since(rule.cool[0])})"
    return f"for {', then '.join(map(since, rule.cool))}"


def block(kind: FaultClass) -> str:
    """Return the generated part of one class."""
    seen = FAULTS[kind]
    lines = [f"- Holdfast {steps(RULES[kind])}."]
    lines += [f"- When {case}, it {steps(rule)}." for case, rule in SPECIAL.get(kind, ())]
    lines += [message(kind, case, what) for case, what in WHAT[kind].items()]
    lines.append(
        f"- Clients get {seen.status} `{seen.openai_type}` / `{seen.code}` (OpenAI), "
        f"{seen.anthropic_status} `{seen.anthropic_type}` (Anthropic)."
    )
    return "\n".join(lines) + "\n"


def message(kind: FaultClass, case: str, what: str) -> str:
    """Return one message of a class, with its next step; `case` says when, "" is the usual one."""
    words = Shown(COMMANDS)
    next_step = ": ".join(NEXT.get(case, NEXT[kind]))
    when = f" ({case})" if case else ""
    return f"- Message{when}: “{what.format_map(words)}” Next: “{next_step.format_map(words)}”"


def sample() -> str:
    """Return a whole message, as a person sees it."""
    name = ProviderName("acme")
    key = Key(name, "ACME_KEY", "env:ACME_KEY")
    provider = Provider(name, (Endpoint("https://llm.acme.example/v1"),), (key,))
    connection = Connection(provider, Dialect.OPENAI_CHAT, key, "big-model")
    fault = Fault(FaultClass.QUOTA_EXHAUSTED, status=429, excerpt="Out of credit", request_id="req_7")
    attempts = (Attempt(1, connection, 0.0, 1.0, fault),)
    worked = Evidence("", connection.endpoint.url, first_ok=0.0, last_ok=0.0)
    text = explain(
        fault, connection, attempts, worked, 240.0, key_shown="…3f9A", session="issue-42", clock=str
    )
    return f"```text\n{text}\n```\n"


SCOPES = {
    Scope.KEY: "the key at this URL",
    Scope.KEY_MODEL: "the key with this model",
    Scope.ACCOUNT: "the account, else the key",
    Scope.MODEL: "the model here (soft)",
    Scope.ENDPOINT: "the URL (soft)",
}


def row(case: str, rule: Rule) -> str:
    """Return one row of the overview."""
    flags = (rule.probe, rule.refresh, rule.rotate, rule.fall_back)
    cells = [rule.retries or "", *("yes" if flag else "" for flag in flags), cooldown(rule)]
    return f"| {case} | {' | '.join(map(str, cells))} |\n"


def cooldown(rule: Rule) -> str:
    """Return the last cell of a row: what is not used, and for how long."""
    if rule.scope is None:
        return ""
    if rule.barred:
        return f"{SCOPES[rule.scope]}: until it changes"
    return f"{SCOPES[rule.scope]}: {length(rule).removeprefix('for ')}"


HEAD = (
    "| class | sent again | shared test | key read again | other key | fallback | cooldown |\n"
    "|---|---|---|---|---|---|---|\n"
)


def rules() -> str:
    """Return the table of core.recovery_policy, and the cases in which another row than its class's holds."""
    named = [(f"`{kind}`", rule) for kind, rule in RULES.items()]
    special = [(f"`{kind}`, {case}", rule) for kind, cases in SPECIAL.items() for case, rule in cases]
    return HEAD + "".join(row(case, rule) for case, rule in (*named, *special))


def limits() -> str:
    """Return how much one request may cost, and what a retry costs an endpoint."""
    costs, bounds = Limits(), Bounds()
    mebibyte, held = 1024 * 1024, bounds.peek // 1024
    facts = {
        "sends for one request, all classes together; tests of a key are not counted": costs.sends,
        "changes of the key for one request": costs.rotations,
        "waiting in all for one request": since(costs.wait_budget),
        "waits before the tests of a key that worked": ", ".join(map(since, costs.probe_delays)),
        "a key that worked counts as good for": f"{costs.known_good_days:g} days",
        "a throttled key is waited for, while a spare one is healthy, at most": since(RATE_PATIENCE),
        "retries that an endpoint has in reserve": reserve(),
        "a request body that can be sent again": f"{bounds.replay // mebibyte} MiB",
        "a whole answer that is looked at before it is passed on": f"{bounds.whole // mebibyte} MiB",
        "a stream is held back, until its output begins, for": f"{since(bounds.peek_seconds)} or {held} KiB",
        "the length of a cooldown is remembered, after its end, for": f"{COOLDOWN_KEPT / 86400:g} days",
    }
    return "| what | how much |\n|---|---|\n" + "".join(
        f"| {what} | {much} |\n" for what, much in facts.items()
    )


def reserve() -> str:
    """Return the size of an endpoint's retry budget, and how it fills."""
    return (
        f"{Bucket.FIRST:g} at first, +{Bucket.PER_SUCCESS:g} a success up to {Bucket.SIZE:g}, "
        f"+{Bucket.PER_SECOND:g} a second up to {Bucket.FIRST:g}"
    )


DEFINE_ERRORS = (
    "holdfast.engine.closed",
    "holdfast.engine.login",
    "holdfast.engine.other_account",
    "holdfast.importers.hermes_running",
    "holdfast.store.base",
    "holdfast.store.listing",
    "holdfast.translate.losses",
)
OWN = "| class | status | type (OpenAI, Anthropic) | when |\n|---|---|---|---|\n"
REFUSED = "| class | status | type (OpenAI, Anthropic) | sentence | next step |\n|---|---|---|---|---|\n"


def columns(kind: ErrorKind) -> str:
    """Return the cells of a row that a client acts on; Anthropic's status only where it differs."""
    return f"| `{kind.name}` | {kind.status} | `{kind.openai_type}`, `{kind.anthropic_type}` |"


def own_errors() -> str:
    """Return the errors that our own calls raise, with the first sentence of what their classes say of
    themselves."""
    for module in DEFINE_ERRORS:
        import_module(module)
    when = {
        kind.__name__: " ".join((kind.__doc__ or "").split()).split(". ")[0]
        for kind in subclasses(HoldfastError)
    }
    rows = [f"{columns(kind)} `{name}`: {when[name].rstrip('.')} |\n" for name, kind in ERRORS.items()]
    return OWN + "".join(rows)


def subclasses(kind: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    """Yield a class of errors and all classes below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def refusals() -> str:
    """Return what is refused or cut short without an exception."""
    rows: list[str] = []
    for refusal in REFUSALS.values():
        sentence, step = (
            text.format_map(Shown()) for text in (refusal.sentence, refusal.command or refusal.advice)
        )
        shown = f"`{step}`" if refusal.command else step
        rows.append(f"{columns(refusal.kind)} {sentence} | {shown} |\n")
    return REFUSED + "".join(rows)


def part_of_errors(name: str) -> str:
    """Return a generated part of errors.md: a table, or what is said of one class of faults."""
    tables = {"own_errors": own_errors, "refusals": refusals, "sample": sample}
    if name in tables:
        return tables[name]()
    return block(FaultClass(name))


def header_names(direction: str) -> str:
    """Return the names of headers that pass in one direction, by who sends or reads them."""
    listed = {"request_headers": REQUEST, "answer_headers": ANSWER}[direction]
    rows = [(what, ", ".join(f"`{name}`" for name in group)) for what, group in listed.items()]
    if listed is ANSWER:
        families = ", ".join(f"`{family}…`" for family in ANSWER_FAMILIES)
        rows.append(("limits and what is left of them", families))
    return "| | names |\n|---|---|\n" + "".join(f"| {what} | {cell} |\n" for what, cell in rows)


DOCUMENTS: dict[str, Callable[[str], str]] = {
    "reference/errors.md": part_of_errors,
    "reference/headers.md": header_names,
    "reference/recovery.md": lambda name: {"rules": rules, "limits": limits}[name](),
}


def generated(document: str, text: str) -> str:
    """Return the document with every generated part as the code has it today."""
    return BLOCK.sub(lambda match: f"{match[1]}{DOCUMENTS[document](match[2])}{match[3]}", text)


def main(arguments: list[str]) -> int:
    if arguments not in (["--write"], ["--check"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    stale = 0
    for document in DOCUMENTS:
        path = DOCS / document
        before = path.read_text(encoding="utf-8")
        after = generated(document, before)
        if arguments == ["--write"]:
            path.write_text(after, encoding="utf-8")
        elif after != before:
            stale = 1
            sys.stderr.write(
                f"docs/{document} is out of date; run: python docs/_generate/errors.py --write\n"
            )
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
