"""A gateway that is stopped while it renews a sign-in keeps what the service gives."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from pathlib import Path

import httpx2
import pytest

from gateway.served import serving
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.values.secret import Secret
from signins.authority import Authority


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_token_is_lost_by_a_gateway_that_is_told_to_end_twice(
    home: Path, workers: str, number: signal.Signals
) -> None:
    with Authority(thinks=0.5) as authority:
        config = authority.config() + '[gateway]\ndrain = "50ms"\n'
        (home / "holdfast.toml").write_text(config)
        authority.issue()
        now = time.time()
        tokens = (Secret(authority.access), Secret(authority.refresh))
        SecretsFile(home / "secrets.toml").put_grant("corp", Grant("g1", 0, *tokens, now - 3600, now - 10))
        begun = threading.Event()
        authority.begun = begun.set
        with serving(home, "--workers", workers) as served:

            def ask() -> None:
                with contextlib.suppress(httpx2.TransportError):
                    served.chat("corp/m")

            asking = threading.Thread(target=ask)
            asking.start()
            assert begun.wait(20)
            served.process.send_signal(number)
            time.sleep(0.15)
            served.process.send_signal(number)
            assert served.process.wait(20) == (0 if number == signal.SIGTERM else 130)
            asking.join()
        grant = SecretsFile(home / "secrets.toml").grant("corp")
        assert grant is not None
        assert (authority.refreshes, grant.generation) == (1, 1)
