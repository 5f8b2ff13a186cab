"""A changed holdfast.toml counts from the next request on; a broken one is refused and logged; no request is
lost by either."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.served import eventually, provider, serving, write_config
from holdfast.fake_provider import Behaviour, ScriptedProvider, ok


def _errors(served: Any) -> set[str | None]:
    return {served.ask("/holdfast/status").json()["config"]["error"]}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_new_provider_and_a_new_key_count_from_the_next_request_on(workers: str, home: Path) -> None:
    with ScriptedProvider(ok("one")) as first, ScriptedProvider(ok("two")) as two:
        write_config(home, provider("p", first.url))
        with serving(home, "--workers", workers, environ={"NEW_KEY": "sk-new-0000000000000001"}) as served:
            assert served.chat("p/m").status_code == 200
            assert served.chat("q/m").status_code == 404
            write_config(home, provider("p", first.url) + provider("q", two.url, keys=["env:NEW_KEY"]))
            eventually(lambda: served.chat("q/m").status_code == 200, 3)
            assert two.calls[0].key == "sk-new-0000000000000001"
            eventually(lambda: len(served.logged("reloaded")) == int(workers))
            assert "q/m" in served.ask("/v1/models").text


@pytest.mark.parametrize(
    "broken", ["[provider.", "[provider.p]\nurl = 3\n", "", None], ids=["syntax", "value", "empty", "gone"]
)
def test_a_broken_file_is_refused_aloud_while_requests_go_on(broken: str | None, home: Path) -> None:
    with ScriptedProvider(ok()) as behind:
        good = provider("p", behind.url)
        write_config(home, good)
        with serving(home) as served:
            served.chat()
            if broken is None:
                (home / "holdfast.toml").unlink()
            else:
                write_config(home, broken)
            (event,) = eventually(lambda: served.logged("reload-refused"))
            assert event["level"] == "error"
            assert "holdfast.toml" in event["what"]
            assert served.chat().status_code == 200
            ready = served.ask("/health/ready")
            assert (ready.status_code, ready.json()["ready"]) == (200, True)
            assert "holdfast.toml" in ready.json()["config"]
            metrics = served.metrics()
            assert (metrics['reloads_total{result="refused"}'], metrics["workers_with_broken_config"]) == (
                1,
                1,
            )
            write_config(home, f"# mended\n{good}")
            eventually(lambda: served.logged("reloaded"))
            assert _errors(served) == {None}
            assert served.metrics()["workers_with_broken_config"] == 0


def test_a_hangup_reads_the_file_at_once(home: Path) -> None:
    with ScriptedProvider(ok()) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", "2") as served:
            write_config(home, provider("p", behind.url) + provider("q", behind.url))
            served.process.send_signal(signal.SIGHUP)
            eventually(lambda: len(served.logged("reloaded")) == 2, 3)
            assert served.process.poll() is None


def test_no_request_is_lost_while_good_and_broken_files_come_and_go(home: Path) -> None:
    with ScriptedProvider(lambda seen: Behaviour(text="a b c", event_delay=0.02)) as behind:
        good = provider("p", behind.url)
        write_config(home, good)
        with serving(home, "--workers", "2") as served:
            codes: list[int] = []
            stop = threading.Event()

            def load(streams: bool) -> None:
                while not stop.is_set():
                    if streams:
                        with served.stream() as answer:
                            codes.append(200 if "[DONE]" in answer.read().decode() else 0)
                    else:
                        codes.append(served.chat().status_code)

            threads = [threading.Thread(target=load, args=(streams,)) for streams in (False, False, True)]
            for thread in threads:
                thread.start()
            for turn in range(4):
                write_config(
                    home, "[provider." if turn % 2 else f"# {turn}\n{good}" + provider(f"q{turn}", behind.url)
                )
                eventually(
                    lambda turn=turn: (
                        len(served.logged("reload-refused" if turn % 2 else "reloaded"))
                        >= 2 * (turn // 2 + 1)
                    )
                )  # type: ignore[misc]
            stop.set()
            for thread in threads:
                thread.join()
    assert len(codes) > 20
    assert set(codes) == {200}


def test_a_running_answer_is_not_touched_by_a_change(home: Path) -> None:
    with ScriptedProvider(Behaviour(text=" ".join("abcdefghij"), event_delay=0.1)) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home) as served, served.stream() as stream:
            pieces = stream.iter_text()
            text = next(pieces)
            write_config(home, provider("other", behind.url))
            eventually(lambda: served.logged("reloaded"))
            assert "[DONE]" in text + "".join(pieces)
            assert served.chat("p/m").status_code in (404, 409)
