"""The home of the simulated machine: providers with each kind of key that is renewed, and sessions."""

from __future__ import annotations

from typing import Any

CONFIG = """
[provider.corp]
url = "https://corp.example/v1"
keys = ["oauth:corp"]
[signin.corp]
client_id = "holdfast"
token_url = "https://login.example/token"
device_url = "https://login.example/device"
[provider.load]
url = "https://load.example/v1"
keys = ["wif:load"]
[signin.load]
token_url = "https://sts.example/token"
assertion = "file:{home}/assertion"
[provider.tool]
url = "https://tool.example/v1"
keys = ["cmd:tool print"]
[provider.filed]
url = "https://file.example/v1"
keys = ["file:{home}/key"]
[provider.pool]
url = "https://pool.example/v1"
keys = ["env:POOL_A", "env:POOL_B"]
[provider.spare]
url = "https://spare.example/v1"
keys = ["env:SPARE"]
[fallback]
"corp/backed" = {{ then = ["spare/m"] }}
"""
ENVIRON = {
    "POOL_A": "canary-pool-1",
    "POOL_B": "canary-pool-2",
    "SPARE": "canary-spare-1",
    "ADMIN": "canary-admin-1",
}
PINS = {
    "sign-in": "corp/m",
    "backed": "corp/backed",
    "workload": "load/m",
    "helper": "tool/m",
    "file": "filed/m",
    "pool": "pool/m",
}
"""The sessions with a provider that their user wrote, and their pins."""
HOSTS: dict[str, tuple[str, ...]] = {
    "sign-in": ("corp.example", "login.example"),
    "backed": ("corp.example", "login.example"),
    "workload": ("load.example", "sts.example", "platform"),
    "helper": ("tool.example", "program"),
    "file": ("file.example", "disk"),
    "pool": ("pool.example",),
    "proxy": ("lite.example", "admin"),
}
"""Where the trouble of a session may come from."""
ROLES = {"answer": ["*sonnet*"]}
LITE: dict[str, Any] = {
    "kind": "litellm",
    "settings": {"url": "https://lite.example", "admin": "env:ADMIN"},
}
