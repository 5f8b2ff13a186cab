"""What an SDK's client is made with: for each client class the keyword arguments that it takes, and no other
class.

Type checkers refuse the arguments of one class for another: each class differs in its `http_client`, or in a
parameter that only it has. That parameter is declared here and never given. What no checker saw is refused
with the first request (`client_paths`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from .client_paths import Family

if TYPE_CHECKING:
    import anthropic
    import openai

NOWHERE = "not-through-holdfast://holdfast.invalid"
"""The base URL that SDKs are given. No client can dial it, so a request past our transport leaves for no
host and no proxy, and its error names the reason: "unsupported protocol 'not-through-holdfast://'"."""
_UNUSED_KEY = "held-by-holdfast"
_HTTPX = ("httpx", "httpx2")


class ClientOptions(TypedDict):
    """The keyword arguments that all clients take. `base_url` and `api_key` do not work
    by themselves; the SDK's own retries (`max_retries`) are off, since Holdfast retries."""

    base_url: str
    api_key: str
    max_retries: int


class OpenAIOptions(ClientOptions):
    """The keyword arguments for `openai.OpenAI`."""

    http_client: openai.DefaultHttpxClient
    organization: NotRequired[None]


class AsyncOpenAIOptions(ClientOptions):
    """The keyword arguments for `openai.AsyncOpenAI`."""

    http_client: openai.DefaultAsyncHttpxClient
    organization: NotRequired[None]


class AnthropicOptions(ClientOptions):
    """The keyword arguments for `anthropic.Anthropic`."""

    http_client: anthropic.DefaultHttpxClient
    auth_token: NotRequired[None]


class AsyncAnthropicOptions(ClientOptions):
    """The keyword arguments for `anthropic.AsyncAnthropic`."""

    http_client: anthropic.DefaultAsyncHttpxClient
    auth_token: NotRequired[None]


def options_for(client: Any, family: Family, transport: Callable[[ModuleType, Family, bool], Any]) -> Any:
    """Return the arguments with the SDK's own client class, which has its own time-outs, over our transport.

    The class shows which httpx the SDK is built on; `transport` makes a transport for that module, the family
    and whether it is async.
    """
    names = [base.__module__.partition(".")[0] for base in client.__mro__]
    module = next(sys.modules[name] for name in names if name in _HTTPX)
    made = transport(module, family, issubclass(client, module.AsyncClient))
    return {
        "base_url": NOWHERE + family.base_path,
        "api_key": _UNUSED_KEY,
        "http_client": client(transport=made, follow_redirects=False),
        "max_retries": 0,
    }
