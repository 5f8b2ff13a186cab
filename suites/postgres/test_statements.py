"""What a gateway sends to the server: one statement for a new session, which others share, and none for a
request of a known one. A bound on statements holds on every machine; one on time would not."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bench.nodes.database import Database
from test_two_gateways import ask, serving

from holdfast.fake_provider import ScriptedProvider, ok

NEW, AT_ONCE, KNOWN = 20, 40, 60
BESIDE = {"poll for changes", "tokens", "other", "transaction"}
"""Statements that depend on time, not on requests."""


def test_a_new_session_is_one_statement_and_a_known_one_none(
    server: dict[str, str], url: str, tmp_path: Path
) -> None:
    database = Database(Path(server["host"]), server)
    with ExitStack() as stack:
        provider = stack.enter_context(ScriptedProvider(ok("hi")))
        (tmp_path / "holdfast.toml").write_text(
            f'[provider.p]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n'
            f'[gateway]\nstore = "{url}"\n'
        )
        gateway = stack.enter_context(serving(tmp_path))
        pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))

        def send(name: str) -> None:
            assert ask(gateway, gateway["token"], name) == (200, "p/m")

        def requests(count: int, name: str, *, at_once: bool = False) -> Counter[str]:
            began = time.monotonic()
            with database.statements() as sent:
                [*(pool.map if at_once else map)(send, (name.format(number) for number in range(count)))]
            batches = 2 + (time.monotonic() - began) / 0.25  # the journal gathers
            assert sent["journal"] + sent["usage"] <= 2 * batches
            return Counter({k: n for k, n in sent.items() if k not in BESIDE | {"journal", "usage"}})

        send("first")
        assert requests(NEW, "new-{}") == {"new session": NEW}
        shared = requests(AT_ONCE, "at-once-{}", at_once=True)
        assert shared.keys() == {"new session"}
        assert shared["new session"] <= AT_ONCE / 2, shared
        assert requests(KNOWN, "new-3") == {}
