"""The tests that OpenAI and Anthropic have for their own SDKs, against a mock server of the document that the
SDKs were made of: through a gateway, all pass that pass without one, but for what is listed."""

from __future__ import annotations

import os
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import environments
import pytest
import running
from running import CHAT, MESSAGES, RESPONSES

from holdfast.core.identity import Dialect

pytestmark = pytest.mark.timeout(1200)
PROGRAMS = Path(__file__).with_name("programs")


_MODEL = re.compile(
    r"""(?<=model=")[^"]+|(?<=model_id=")[^"]+|(?<="model": ")[^"]+|(?<=")claude-[\w.-]+(?=")"""
)


class Suite(NamedTuple):
    """The tests of an SDK: the dialects of its vendor, what its base URL adds to a gateway's, the tests of
    routes that a gateway has, and how many of them pass at the least."""

    dialects: tuple[Dialect, ...]
    base: str
    tests: tuple[str, ...]
    least: int


SUITES = {
    "openai": Suite(
        (CHAT, RESPONSES),
        "/v1",
        (
            *("chat", "responses", "audio", "conversations", "containers", "uploads", "vector_stores"),
            *("test_batches.py", "test_completions.py", "test_containers.py", "test_conversations.py"),
            *("test_embeddings.py", "test_files.py", "test_images.py", "test_models.py"),
            *("test_moderations.py", "test_responses.py", "test_uploads.py", "test_vector_stores.py"),
        ),
        1200,
    ),
    "anthropic": Suite(
        (MESSAGES,),
        "",
        (
            *("messages", "test_messages.py", "test_models.py", "beta/messages", "beta/test_messages.py"),
            *("beta/test_files.py", "beta/test_models.py"),
        ),
        400,
    ),
}


def source(vendor: str) -> Path:
    """Return the folder of an SDK's source."""
    (folder,) = environments.ensure(vendor).glob(f"{vendor}-*/")
    return folder


def models(vendor: str) -> list[str]:
    """Return the models that the tests ask for, and those that the SDK warns of."""
    tests, resources = source(vendor) / "tests" / "api_resources", source(vendor) / "src"
    paths = [*tests.rglob("*.py"), *resources.rglob("messages/messages.py")]
    return sorted({name for path in paths for name in _MODEL.findall(path.read_text("utf-8"))})


def results(vendor: str, url: str, token: str, report: Path) -> dict[str, bool]:
    """Run the tests. Return by test whether it passed; one that was passed over is left out."""
    python = environments.ensure("sdks") / "bin" / "python"
    command = [str(python), "-m", "pytest", "-q", "-n", "2", "-p", "gateway_token", f"--junitxml={report}"]
    command += ["-k", "not aiohttp", "-o", "addopts=", "-o", "filterwarnings=default"]
    command += [f"tests/api_resources/{path}" for path in SUITES[vendor].tests]
    env = os.environ | {"PYTHONPATH": str(PROGRAMS), "TEST_API_BASE_URL": url, "TEST_API_KEY": token}
    done = subprocess.run(
        command, cwd=source(vendor), env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert report.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    cases = [case for case in ET.parse(report).iter("testcase") if case.find("skipped") is None]
    return {f"{case.get('classname')}.{case.get('name')}": len(case) == 0 for case in cases}


@pytest.fixture(scope="module")
def mocks() -> Iterator[dict[str, str]]:
    with running.mock("openai") as openai, running.mock("anthropic") as anthropic:
        yield {"openai": openai, "anthropic": anthropic}


@pytest.mark.parametrize("vendor", SUITES)
def test_an_sdk_s_own_tests_pass_through_a_gateway(
    vendor: str, mocks: dict[str, str], tmp_path: Path
) -> None:
    suite = SUITES[vendor]
    directly = results(vendor, mocks[vendor], running.KEY, tmp_path / "directly.xml")
    endpoints = dict.fromkeys(suite.dialects, mocks[vendor])
    with running.gateway(tmp_path / "home", {vendor: endpoints}, models(vendor)) as gateway:
        running.begin_session(gateway, suite.dialects[0], models(vendor)[0])
        through = results(vendor, gateway.url + suite.base, gateway.token, tmp_path / "through.xml")
    assert through.keys() == directly.keys()
    passed = {test for test, good in directly.items() if good}
    assert len(passed) >= suite.least
    failed = {test for test in passed if not through[test]}
    listed = {entry: {test for test in passed if _names(entry, test)} for entry in _listed(vendor)}
    assert failed == set().union(*listed.values()), sorted(failed)
    assert all(listed.values()), "an entry of refusals.toml names no test"


def _listed(vendor: str) -> list[str]:
    return list(environments.REFUSALS["sdks"][vendor])


def _names(entry: str, test: str) -> bool:
    module, _, word = entry.partition(": ")
    return f".{module}." in test and word in test.rpartition(".")[2]
