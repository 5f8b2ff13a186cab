"""Breaks each invariant once, by hand, and sees whether the tests notice: `make mutants`, or `python
tests/mutants.py NAME …`.

A mutant is a small edit of a copy of the sources; the working tree is never touched. Ends with 1 when a
mutant survives, or when the text that it replaces is not found exactly once: then the mutant must follow the
code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_LONGEST = 120.0


class Mutant(NamedTuple):
    """`old` becomes `new` in src/holdfast/`file`, which breaks what `invariant` says; `tests` are the pytest
    arguments that must notice."""

    name: str
    file: str
    old: str
    new: str
    invariant: str
    tests: str


class Result(NamedTuple):
    """What came of one mutant: `verdict` is caught, SURVIVED, or why it could not be tried; `by` is the first
    test that noticed."""

    mutant: Mutant
    verdict: str
    by: str
    seconds: float


MUTANTS = (
    Mutant(
        "default-url",
        "core/identity.py",
        "            endpoints = key.endpoints\n",
        "            endpoints = self.endpoints\n",
        "a key with an endpoint of its own is used there and nowhere else (story 1)",
        "tests/core/test_identity.py",
    ),
    Mutant(
        "mixed-addresses",
        "config/endpoints.py",
        "        return of_table\n",
        '        return {one: ("", end) for one, end in of_preset.items()} | of_table\n',
        "an address that the user writes leaves nothing of the preset's addresses (4.2)",
        "tests/core/test_the_one_property.py -k long_life",
    ),
    Mutant(
        "shared-label",
        "values/key_labels.py",
        "hashlib.sha256(reference.encode())",
        "hashlib.sha256(scheme.encode())",
        "a key's label is made from the whole of its own reference (story 0)",
        "tests/config/test_parse.py",
    ),
    Mutant(
        "unproven-position",
        "engine/home_store.py",
        "unchanged_since < before.changed_at <= now",
        "unchanged_since > before.changed_at <= now",
        "a stored position is a key's only where the list is certainly the one it was chosen from",
        "tests/engine/test_home_store.py",
    ),
    Mutant(
        "chosen-key-gone",
        "core/routing.py",
        "if only_key is not None and only_key not in labels:",
        "if only_key is not None and len(labels) > 1 and only_key not in labels:",
        "a chosen key that is gone is refused, also where one key is left",
        "tests/core/test_routing.py",
    ),
    Mutant(
        "foreign-key",
        "core/identity.py",
        "if self.key is not None and self.key not in self.provider.keys:",
        "if self.key is None and self.key in self.provider.keys:",
        "a connection takes keys of its own provider only",
        "tests/core/test_identity.py",
    ),
    Mutant(
        "foreign-spare",
        "core/routes.py",
        "if len(spares) != len(self.spares):",
        "if len(spares) > len(self.spares):",
        "a route refuses spare keys of another provider",
        "tests/core/test_identity.py",
    ),
    Mutant(
        "nameless",
        "core/identity.py",
        "if name in KINDS:",
        'if name in KINDS - {"custom"}:',
        "`custom` is no provider's name (story 0)",
        "tests/core/test_identity.py",
    ),
    Mutant(
        "old-companions",
        "core/session.py",
        "            active_fallback=None,\n            kept_key=None,\n",
        "",
        "a switch leaves nothing of the old choice attached (story 1)",
        "tests/core/test_small_values.py",
    ),
    Mutant(
        "talkative-secret",
        "values/secret.py",
        'return f"Secret({self!s})"',
        'return f"Secret({self.__value})"',
        "a secret is shown as a mask",
        "tests/values/test_secret.py",
    ),
    Mutant(
        "switch-undone",
        "core/routing.py",
        "if not requested or requested == chosen.model or session.former_choice(requested) is not None:",
        "if not requested or requested == chosen.model:",
        "the name of a former choice means the session, and undoes no switch",
        "tests/core/test_routing.py",
    ),
    Mutant(
        "bomb",
        "wire/request_coding.py",
        "            body = decode(body, most + 1)",
        "            body = decode(body, 1 << 40)[: most + 1]",
        "a small body never becomes more than the limit, not even for a moment",
        "tests/wire/test_request_coding.py",
    ),
    Mutant(
        "first-match",
        "importers/legacy_rows.py",
        "if len(agreed) == 1:",
        "if agreed:",
        "a lossy row is healed when exactly one entry matches, else we ask (story 0)",
        "tests/core/test_routing.py",
    ),
    Mutant(
        "key-goes-by-its-name",
        "importers/pairing.py",
        "    use = pairs.elsewhere(key, where)\n",
        "    use = None\n",
        "a key that was only found stays at the URL where another program's files use it",
        "tests/importers/test_pairing.py",
    ),
    Mutant(
        "deaf-to-base-urls",
        "importers/pairing.py",
        "    if not others:\n",
        "    if others:\n",
        "a variable that gives a base URL moves the keys of its family",
        "tests/importers/test_pairing.py",
    ),
    Mutant(
        "words-are-final",
        "core/faults.py",
        "return self.terminal and self.confidence >= Confidence.TYPE",
        "return self.terminal",
        "words only claim that a key has ended for good",
        "tests/core/test_small_values.py",
    ),
    Mutant(
        "one-model-rests-all",
        "core/classify.py",
        "if named or of_one_model(facts):",
        "if False and (named or of_one_model(facts)):",
        "a quota that names a model is a verdict on that model",
        "tests/core/test_faults_words.py",
    ),
    Mutant(
        "stubborn",
        "core/recovery_policy.py",
        "if fault.kind is C.AUTH_REJECTED and not worked_here:",
        "if fault.kind is C.AUTH_REJECTED and fault.terminal:",
        "a key that never worked is asked once",
        "tests/core/test_request_flow.py",
    ),
    Mutant(
        "everybody-probes",
        "core/request_flow.py",
        "check = yield from _shared_check(run, failure, probing=probing)",
        "check = _Check.OURS",
        "a key that worked and is refused gets one shared probe (story 4)",
        "tests/core/test_request_flow.py",
    ),
    Mutant(
        "counted-twice",
        "core/recovery_policy.py",
        "if before is not None and sent_at < before.since and",
        "if before is not None and sent_at > now and",
        "a hundred simultaneous failures are one verdict",
        "tests/core/test_request_flow.py tests/core/test_small_values.py",
    ),
    Mutant(
        "wrong-door-rotates",
        "core/recovery_policy.py",
        "**dict.fromkeys(_USER_MUST_ACT, Rule()),",
        "**dict.fromkeys(_USER_MUST_ACT, Rule(rotate=True)),",
        "a wrong endpoint blames no key and rotates none (story 1)",
        "tests/core/test_request_flow.py",
    ),
    Mutant(
        "silence-refuses",
        "core/request_flow.py",
        "if not helped or not (yield from _speaks_again(run)):",
        "if not helped or True:",
        "a silent source is waited for within the request's budget",
        "tests/core/test_silent_sources.py",
    ),
    Mutant(
        "refused-goes-on",
        "credentials/vault.py",
        "if self.refused is not None and secret == self.refused:",
        "if self.refused is not None and False:",
        "a value that a provider refused is no last value of a silent source",
        "tests/credentials/test_sources_that_are_silent.py",
    ),
    Mutant(
        "away-without-end",
        "core/request_flow.py",
        "run.now + call.return_after",
        'float("inf")',
        "every fallback has a lease that ends",
        "tests/core/test_request_flow.py",
    ),
    Mutant(
        "self-made-fallback",
        "core/routing.py",
        (
            "        return (), ()\n    routes: list[Route] = []\n    left_out: list[str] = []\n"
            "    for fallback in chain.then:"
        ),
        (
            "        pass\n    routes: list[Route] = []\n    left_out: list[str] = []\n"
            "    for fallback in chain.then if chain else "
            "[Pin(name, pin.model) for name in config.providers if name != pin.provider]:"
        ),
        "only a fallback that the user wrote may answer",
        "tests/core/test_routing.py",
    ),
    Mutant(
        "for-ever-away",
        "core/session.py",
        "        return now >= self.until + return_after\n",
        "        return False\n",
        "a fallback ends by itself",
        "tests/engine/test_failback.py",
    ),
    Mutant(
        "untested-return",
        "engine/dispatch.py",
        "        if fallback.until > now:\n",
        "        if fallback:\n",
        "nobody returns from a fallback before its choice was tested",
        "tests/engine/test_failback.py",
    ),
    Mutant(
        "a-cut-that-looks-whole",
        "gateway/http1/response_writer.py",
        "            self._unframed, self._keep = True, False\n",
        "            self._keep = False\n",
        "a client that knows no chunks sees a reset where its answer was cut",
        "tests/gateway/test_cut_answers.py",
    ),
    Mutant(
        "a-broken-end",
        "wire/response_stream.py",
        "        if watch.ended:\n",
        "        if watch.ended and error is None:\n",
        "an answer whose last event came is whole, however its connection ends",
        "tests/gateway/test_cut_answers.py",
    ),
    Mutant(
        "half-an-event",
        "wire/response_stream.py",
        "        if not may_follow:\n",
        "        if self._raises:\n",
        "an error event follows whole events only",
        "tests/gateway/test_cut_answers.py",
    ),
    Mutant(
        "the-wrong-label",
        "wire/exchange.py",
        '    label = label_of(head, b"text/event-stream") if is_stream else b""\n',
        '    label = b""\n',
        "a stream of events reaches the client as one, whatever its provider calls it",
        "tests/gateway/test_cut_answers.py",
    ),
    Mutant(
        "skipped-and-never-asked",
        "core/request_flow.py",
        "    yield from resting\n",
        "    yield from resting[: len(resting) == len(routes)]\n",
        "a route that was skipped for a soft reason is asked when the others failed",
        "tests/core/test_no_route_is_left_unasked.py",
    ),
    Mutant(
        "words-bar-a-key",
        "core/recovery_policy.py",
        "+ _WINDOW_FUZZ)\n    return _LONGEST_ON_WORDS",
        "+ _WINDOW_FUZZ)\n    return inf",
        "words alone are believed for five minutes at most",
        "tests/core/test_when_a_verdict_is_final.py",
    ),
    Mutant(
        "a-bare-403-is-believed",
        "core/recovery_policy.py",
        "BARE_403 = replace(RULES[C.NOT_ENTITLED], probe=True,",
        "BARE_403 = replace(RULES[C.NOT_ENTITLED],",
        "a 403 without a reason is tested before it is held against a key that worked",
        "tests/core/test_when_a_verdict_is_final.py",
    ),
    Mutant(
        "clock-set-back",
        "core/session.py",
        "if not now < active.until <= now + chain.return_after + CLOCK_SLACK:",
        "if not now < active.until:",
        "a fallback that began before the clock was set back has ended",
        "tests/core/test_small_values.py",
    ),
    Mutant(
        "turn-torn-apart",
        "engine/dispatch.py",
        "return waits and continues_turn(*asked)",
        "return False",
        "a turn that began on a fallback ends there",
        "tests/engine/test_failback.py",
    ),
    Mutant(
        "turn-without-end",
        "core/session.py",
        "return now < last",
        "return True",
        "a fallback ends by itself, also in the middle of a turn",
        "tests/core/test_small_values.py",
    ),
    Mutant(
        "ready-for-nothing",
        "core/provisioning_state.py",
        "if self.state in USABLE and not self.models:",
        "if self.state is State.VERIFIED and not self.models:",
        "without a model nothing is ready, and there is no default model (story 3)",
        "tests/core/test_provisioning_state.py",
    ),
    Mutant(
        "wait-without-end",
        "core/provisioning_state.py",
        "<= now < record.next_at <= latest:",
        "<= now < record.next_at:",
        "a time beyond any wait binds nothing: a clock was ahead",
        "tests/core/test_provisioning_state.py",
    ),
    Mutant(
        "given-back-by-derivation",
        "provisioning/litellm.py",
        "digests = [digest_in_hand(record, tools)]",
        'digests = [""]',
        "the key in hand is given back, not the one that was made",
        "tests/provisioning/test_giving_back.py",
    ),
    Mutant(
        "success-by-status",
        "wire/sending.py",
        "        if flaw is not None:\n",
        "        if flaw is not None and not head.status:\n",
        "an answer of HTTP 200 can be a fault",
        "tests/sdk/test_transport.py -k httpx2",
    ),
    Mutant(
        "played-again",
        "wire/sending.py",
        "            if watch.started:\n                break\n",
        "            if watch.started and watch.ended:\n                break\n",
        "a stream whose output began is handed on and never replayed",
        "tests/sdk/test_transport.py -k httpx2",
    ),
    Mutant(
        "sent-twice",
        "core/request_state.py",
        "        if not self.call.replayable and self.sent:\n            return False\n",
        "",
        "a body that cannot be replayed is sent once",
        "tests/core/test_request_flow.py",
    ),
    Mutant(
        "further-this-way",
        "wire/header_names.py",
        "expect-ct feature-policy link location nel",
        "expect-ct feature-policy link nel",
        "nobody is handed a place to follow with a prompt",
        "tests/wire/test_header_names.py",
    ),
    Mutant(
        "callers-own-key",
        "wire/header_names.py",
        "return words[-1] in _CREDENTIAL_ENDINGS",
        "return False",
        "the caller's credentials never leave, whatever their header is called",
        "tests/wire/test_header_names.py",
    ),
    Mutant(
        "renewal-of-another",
        "credentials/grant.py",
        "        if other is None or other.id != self.id:\n",
        "        if other is None:\n",
        "a renewed sign-in takes the place of an older state of itself, and of nothing else",
        "tests/credentials/test_renewals.py",
    ),
    Mutant(
        "older-file-adopted",
        "credentials/renewal_state.py",
        "        return self.id == grant.id and grant.generation < self.refresh_from\n",
        "        return False\n",
        "a refresh token that was exchanged is not spent again, whatever file is put back",
        "tests/credentials/test_renewals.py",
    ),
    Mutant(
        "renewal-cut-off",
        "credentials/in_flight.py",
        "        for work in list(self._mine):\n",
        "        for work in list(self._mine)[1:]:\n",
        "a renewal that was asked for is finished before its process ends",
        "tests/credentials/test_in_flight.py",
    ),
    Mutant(
        "unlisted-header",
        "wire/header_policy.py",
        "        return Verdict.DROPPED\n    return Verdict.OPTIONAL",
        "        return Verdict.DROPPED\n    return Verdict.PASSES",
        "a header that is not listed leaves only for a provider that names it",
        "tests/wire/test_header_policy.py",
    ),
    Mutant(
        "token-goes-along",
        "wire/header_policy.py",
        "if credential in value:",
        "if credential == value:",
        "a header that holds what the caller presented does not leave",
        "tests/wire/test_header_policy.py",
    ),
    Mutant(
        "token-anywhere",
        "gateway/permissions.py",
        "if token.revoked_at is not None or token.instance not in (None, instance):",
        "if token.revoked_at is not None:",
        "the token of a run opens no other gateway (law 13)",
        "tests/gateway/test_token_limits.py",
    ),
    Mutant(
        "session-any-pin",
        "gateway/permissions.py",
        "    return (chosen,)",
        "    return None",
        "a token of one session is good for what the user of the session chose (law 13)",
        "tests/gateway/test_token_limits.py",
    ),
    Mutant(
        "stream-outlives",
        "gateway/relay.py",
        "if self._token.id not in self._gateway.good_tokens:",
        "if not self._token.id:",
        "no stream outlives the token that opened it",
        "tests/gateway/test_token_limits.py -k outlives",
    ),
    Mutant(
        "proof-anywhere",
        "gateway/listener.py",
        "{host.removeprefix('::ffff:')}\\n{port}\\n{challenge}",
        "{challenge}",
        "a proof holds at one address, so that nobody can pass the question on",
        "tests/gateway/test_registry.py",
    ),
    Mutant(
        "dead-gateway",
        "gateway/registry.py",
        "lives, entry = not take_lock(handle, shared=True), None",
        "lives, entry = bool(handle), None",
        "a gateway that was killed is not listed, whoever has its process id now",
        "tests/gateway/test_registry.py",
    ),
    Mutant(
        "retry-storm",
        "wire/error_bodies.py",
        "headers = dict(_NO_RETRY)",
        "headers = dict(_JSON)",
        "after our own recovery nobody else retries (law 10)",
        "tests/wire/test_error_bodies.py",
    ),
    Mutant(
        "bound-rotates",
        "core/request_state.py",
        "            self.tried |= of_other_accounts(self.route, connection)\n",
        "            self.tried |= set()\n",
        "a request that is bound to an account leaves with no key of another",
        "tests/core/test_the_one_property.py tests/core/test_bound_to_an_account.py",
    ),
    Mutant(
        "bound-falls-back",
        "core/request_state.py",
        "    of_provider = [each for each in routes if each.connection.provider == home.provider]\n",
        "    of_provider = list(routes)\n",
        "a request that is bound to an account goes to no other provider",
        "tests/core/test_bound_to_an_account.py",
    ),
    Mutant(
        "side-request-moves",
        "core/request_state.py",
        "        return holder is None or connection.label not in of_other_accounts(route, kept or holder)\n",
        "        return True\n",
        "a request that refers to nothing does not move the session's key",
        "tests/core/test_bound_to_an_account.py",
    ),
    Mutant(
        "key-before-the-write",
        "wire/request_head.py",
        'scheme.encode("ascii") + KEY_MARK\n',
        'scheme.encode("ascii") + b"no mark"\n',
        "a mark stands for the key until its request is written, and the key takes its place",
        "tests/wire/test_heads_and_bodies.py",
    ),
    Mutant(
        "frames-kept",
        "secrecy/frames.py",
        "        each.__traceback__ = None\n",
        "        pass\n",
        "no frame in which a key was written or read outlives the failure",
        "tests/secrecy/test_no_frame_shows_a_key.py::"
        "test_no_frame_of_a_failed_write_of_the_gateway_holds_the_key",
    ),
    Mutant(
        "nothing-held-back",
        "secrecy/masking.py",
        "        if not begun:\n",
        "        if begun or not begun:\n",
        "a key that is cut between two pieces of a stream is masked",
        "tests/secrecy/test_a_key_in_any_spelling.py",
    ),
    Mutant(
        "unmasked-run",
        "wire/sending.py",
        "self.bounds.mask_answers or self.request.masks_key",
        "self.bounds.mask_answers",
        "a key that comes back in a good answer does not reach a program under run",
        "tests/gateway/test_answers_that_repeat_the_key.py",
    ),
    Mutant(
        "stale-swap",
        "harness/swap.py",
        "    if settled(draft) == before:\n",
        "    if draft.exists():\n",
        "an edit that another program makes while its file is replaced is put back",
        "tests/harness/test_swap.py",
    ),
    Mutant(
        "setting-that-wins",
        "harness/own_settings.py",
        "        if rule.holds(value, context):\n",
        "        if rule.merged and rule.holds(value, context):\n",
        "connect refuses what would win over it in the user's own settings",
        "tests/harness/test_own_settings.py",
    ),
    Mutant(
        "lost-limits",
        "config/model_tables.py",
        "    if not isinstance(model, Mapping):\n        return before\n",
        "    if not isinstance(model, Mapping):\n        return model\n",
        "models that are set anew keep what the file says about them",
        "tests/config/test_model_tables.py",
    ),
)


def try_out(mutant: Mutant) -> Result:
    """Run the mutant's tests on a changed copy of the sources."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy)
        path = copy / "holdfast" / mutant.file
        text = path.read_text("utf-8")
        if (count := text.count(mutant.old)) != 1:
            return Result(mutant, f"its text occurs {count} times", "", 0.0)
        path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        verdict, by = run(mutant.tests, copy)
    return Result(mutant, verdict, by, time.monotonic() - began)


def run(tests: str, sources: Path) -> tuple[str, str]:
    """Whether these tests notice anything wrong with these sources, and which one did."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        *tests.split(),
    ]
    environ = os.environ | {
        "PYTHONPATH": str(sources),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_PROFILE": "thorough",
    }
    try:
        ended = subprocess.run(
            command, check=False, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        return "caught", "a test that did not end"
    by = next(
        (
            line.partition("::")[2].partition(" ")[0]
            for line in ended.stdout.splitlines()
            if line.startswith(("FAILED", "ERROR"))
        ),
        "",
    )
    if ended.returncode == 0:
        return "SURVIVED", ""
    # 1: a test failed. Anything else (no tests, a broken import) proves nothing about the invariant.
    return ("caught", by) if ended.returncode == 1 else (f"pytest ended with {ended.returncode}", by)


def main(names: Sequence[str]) -> int:
    """Try all mutants, or those named; 0 when every one was caught. First the tests must pass on the sources
    as they are."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    controls = sorted({mutant.tests for mutant in chosen})
    bad = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as several:
        for tests, (verdict, by) in zip(
            controls, several.map(lambda tests: run(tests, ROOT / "src"), controls), strict=True
        ):
            if verdict != "SURVIVED":
                print(f"{tests} fails before anything is broken: {by or verdict}", flush=True)  # noqa: T201
                bad += 1
        if bad:
            return 1
        for mutant, verdict, by, seconds in several.map(try_out, chosen):
            bad += verdict != "caught"
            line = f"{verdict:9} {mutant.name:19} {seconds:4.1f} s  {mutant.invariant}\n{'':30}{by}"
            print(line, flush=True)  # noqa: T201
    print(f"\n{len(chosen) - bad} of {len(chosen)} mutants caught")  # noqa: T201
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
