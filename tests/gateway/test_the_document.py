"""docs/reference/gateway.md against the code: every metric, route, log event and setting that exists is
written down, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.test_metrics import GOOD, Done
from holdfast.core.config import GatewaySettings
from holdfast.gateway.admin import routes as routes_module
from holdfast.gateway.limits import Bounds
from holdfast.gateway.process.supervisor import _DELAYS
from holdfast.gateway.telemetry.metrics import Metrics
from holdfast.wire.route_table import PATHS

SOURCE = Path(routes_module.__file__).parents[1]
EVENT = re.compile(
    r'(?:\bsay\(\s*|event, level(?:, fault)? = \(?\s*|else \(|^\s+\(|event = |return )"([a-z-]+)"(?!\.)',
    re.MULTILINE,
)
UNDOCUMENTED = {"build_info", "metrics_dropped_total"}


@pytest.fixture(scope="module")
def text() -> str:
    return (SOURCE.parents[2] / "docs" / "reference" / "gateway.md").read_text("utf-8")


def test_every_metric_is_documented_and_every_documented_one_exists(text: str) -> None:
    metrics = Metrics()
    metrics.finished(Done(GOOD))
    exist = set(re.findall(r"^# TYPE holdfast_(\w+) ", metrics.render("1").decode(), re.MULTILINE))
    documented = set(re.findall(r"holdfast_(\w+)", text))
    assert documented <= exist
    assert exist - documented == UNDOCUMENTED


def test_every_route_is_documented(text: str) -> None:
    aliases = {"/health/liveliness", "/health/readiness", "/"}
    routes = {
        *(path.strip("/") for path in routes_module._ROUTES.keys() - aliases),
        *(start.strip("/") for start, _ in routes_module._BELOW),
    }
    assert not [route for route in routes if route not in text]
    assert not [name for name in PATHS if f"`{name}`" not in text]


def test_every_event_of_the_log_is_documented(text: str) -> None:
    paths = [SOURCE / "telemetry" / "log.py", *(SOURCE / "process").glob("*.py")]
    events = {event for path in paths for event in EVENT.findall(path.read_text("utf-8"))}
    assert events >= {"started", "ended", "reloaded", "reload-refused", "worker-died", "fault", "recovered"}
    assert not [event for event in events - {"log-lines-lost"} if f"`{event}`" not in text]


def test_every_setting_of_the_gateway_is_documented_where_it_matters(text: str) -> None:
    assert not [
        setting.name
        for setting in fields(GatewaySettings)
        if not re.search(rf"`(?:\[gateway\] )?{setting.name}(?: = true)?`", text)
    ]


def test_the_numbers_are_those_of_the_code(text: str) -> None:
    bounds = Bounds()
    assert (
        f"up to {bounds.body_bytes // 1024**2} MiB, heads up to {bounds.head_bytes // 1024} KiB and "
        f"{bounds.header_count} lines"
    ) in text
    assert f"answers itself, bodies up to {bounds.local_body_bytes // 1024} KiB." in text
    for line in (
        f"head of a health check | {bounds.unauthenticated_head_bytes // 1024} KiB |",
        f"connections that sent something | {bounds.unauthenticated_connections} |",
        f"connections that sent nothing yet | {bounds.silent_connections} |",
        f"time of a connection | {bounds.unauthenticated:.0f} s,",
        f"for one connection | {bounds.head_bytes // 1024} KiB of a head that is not complete, and",
        f"and {bounds.unauthenticated_high_water // 1024} KiB of answers that are not taken |",
    ):
        assert line in text
    assert f"`[gateway] drain` ({GatewaySettings().drain:.0f} s)" in text
    assert f"then after {_DELAYS[1]} to {_DELAYS[-1]:.0f} s" in text
    assert f"(`{GatewaySettings().listen}`)" in text
