"""The tasks that the plans are made for."""

from __future__ import annotations

from holdfast.core.config import ModelFacts
from holdfast.core.identity import Auth, Dialect, Endpoint, Pin
from holdfast.harness.base import LaunchRequest, Target, version_of
from holdfast.providers import presets

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
PIN = Pin.parse("my.plan/vendor/model-1")
DIRECTORY = "/home/user/.local/state/holdfast/run/pi/s"
VARIABLES = {name: row["env"] for name, row in presets.rows().items() if row.get("env")}
GATEWAY = {
    CHAT: "http://127.0.0.1:4242/v1",
    RESPONSES: "http://127.0.0.1:4242/v1",
    MESSAGES: "http://127.0.0.1:4242",
}
PROVIDER = {
    CHAT: "https://plan.example/api/v1",
    RESPONSES: "https://plan.example/api/v1",
    MESSAGES: "https://plan.example/anthropic",
}


def task(
    dialect: Dialect,
    *arguments: str,
    version: str = "",
    auth: Auth = Auth.BEARER,
    direct: bool = False,
    headers: tuple[tuple[str, str], ...] = (),
    pin: Pin = PIN,
    facts: ModelFacts | None = None,
) -> LaunchRequest:
    """A hand-over to the gateway, or straight to a provider."""
    endpoint = Endpoint((PROVIDER if direct else GATEWAY)[dialect], dialect, auth, headers)
    target = Target(pin, endpoint, direct, facts or {})
    return LaunchRequest(target, DIRECTORY, version_of(version), arguments, VARIABLES)
