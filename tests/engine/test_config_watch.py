"""A changed configuration is read beside the requests of a serving process, and waited for where what was
just written counts."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.config import Home, load
from holdfast.core.config import Config
from holdfast.engine import config_watch
from holdfast.engine.config_watch import ConfigWatch
from holdfast.engine.opening import OpenHome, build_engine
from holdfast.engine.store_guard import Unsettled, from_memory

USUAL = 0.005
TABLE = '[provider.{}]\nurl = "http://127.0.0.1:9/v1"\nauth = "none"\nmodels = ["m"]\n'


@pytest.fixture(autouse=True)
def switching(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """How soon threads take turns, apart from what the programs of other tests do to this process."""
    now = [USUAL]
    made = SimpleNamespace(
        getswitchinterval=lambda: now[0], setswitchinterval=lambda to: now.__setitem__(0, to)
    )
    monkeypatch.setattr(config_watch, "sys", made)
    monkeypatch.setattr(config_watch, "_turns", config_watch._Turns())
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    write(tmp_path, "a")
    return Home.at(tmp_path)


class Reading:
    """Reads a configuration when it `may_end`, and notes on which threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_end, self.threads, self.turns = threading.Event(), list[str](), list[float]()
        monkeypatch.setattr("holdfast.engine.config_watch.load_config", self._load)

    def _load(self, home: Home, *, in_use: bool = False) -> Config:
        self.threads.append(threading.current_thread().name)
        self.turns.append(config_watch.sys.getswitchinterval())
        assert self.may_end.wait(10)
        return load(home, in_use=in_use)


def write(home: Path, *names: str) -> None:
    (home / "holdfast.toml").write_text("".join(TABLE.format(name) for name in names))


def names(config: Config) -> list[str]:
    return [*config.providers]


def test_a_serving_process_goes_on_while_a_changed_file_is_read(
    home: Home, monkeypatch: pytest.MonkeyPatch, switching: SimpleNamespace
) -> None:
    monkeypatch.setattr("holdfast.engine.config_watch._LOOK_EVERY", 0.0)
    watch = ConfigWatch(home, load(home))
    reading = Reading(monkeypatch)
    write(home.config.parent, "a", "b")
    for _ in range(100):
        assert names(watch.current()) == ["a"]
    assert watch.is_current
    reading.may_end.set()
    watch.close()
    watch.expire()  # after the thread
    assert watch._reader.close(5.0), "a look that was asked for meanwhile ends, too"
    assert max(reading.turns) < USUAL == switching.getswitchinterval(), "who reads lets the others go on"
    assert names(watch.current()) == ["a", "b"]
    assert set(reading.threads) <= {"holdfast-config", threading.main_thread().name}
    assert len(reading.threads) == 1, "it was read once for all that asked"


def test_the_last_of_several_readers_gives_threads_their_usual_turns_again(
    switching: SimpleNamespace,
) -> None:
    first, second = config_watch._turns.short(), config_watch._turns.short()
    first.__enter__()
    second.__enter__()
    for reader in (first, second):
        assert switching.getswitchinterval() < USUAL
        reader.__exit__(None, None, None)
    assert switching.getswitchinterval() == USUAL


def test_a_forked_child_has_none_of_its_parents_readers(switching: SimpleNamespace) -> None:
    with config_watch._turns.short():
        config_watch._turns.renew()
        assert switching.getswitchinterval() == USUAL
        with config_watch._turns.short():
            assert switching.getswitchinterval() < USUAL
        assert switching.getswitchinterval() == USUAL
        config_watch._turns._readers += 1  # this block's own, which ends here and not in a child


def test_what_was_just_written_is_waited_for_by_a_thread_that_asks_for_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = ConfigWatch(home, load(home))
    reading = Reading(monkeypatch)
    write(home.config.parent, "b")
    threading.Timer(0.02, reading.may_end.set).start()
    watch.expire()
    assert names(watch.current()) == ["b"]
    home.config.write_text("[provider.")
    watch.expire()
    assert names(watch.current()) == ["b"]
    assert "holdfast.toml" in str(watch.error)


def test_an_event_loop_reads_no_configuration_for_a_choice_that_does_not_resolve(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenHome(build_engine(home, serving=load(home))) as opened:
        reading = Reading(monkeypatch)
        write(home.config.parent, "b")
        with from_memory(), pytest.raises(Unsettled):
            opened.engine.look_again()
        assert reading.threads == []
