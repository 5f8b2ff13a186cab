"""What the files of packaging/ say of the command line and of the gateway is so. Helm, Caddy and the schemas
judge them in `make test-packaging`."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.cli.serve import command
from holdfast.core.config import GatewaySettings
from holdfast.gateway.admin.routes import AdminRoutes

ROOT = Path(__file__).parents[2]


def test_options_health_checks_and_port_are_those_that_there_are() -> None:
    files = [path for path in (ROOT / "packaging").rglob("*") if path.is_file()]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in files}
    options = {name for option in command.params for name in option.opts}
    asked: set[str] = set()
    for name, text in texts.items():
        for line in text.splitlines():
            if re.search(r"serve\b|^\s+- --", line) and "docker" not in line:
                given = set(re.findall(r"(--[a-z][a-z-]+)", line)) - {"--set-file"}
                assert given <= options, f"{name}: {line.strip()}"
        asked |= set(re.findall(r"/health/\w+", text))
        ports = set(re.findall(r"(?<![\d.])(?:127\.0\.0\.1|0\.0\.0\.0|gateway-\d):(\d+)\b", text))
        assert ports <= {GatewaySettings().listen.rpartition(":")[2]}, name
    assert {"/health/live", "/health/ready"} <= asked <= AdminRoutes.OPEN
