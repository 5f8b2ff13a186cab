"""Holdfast, the connection layer for LLM agents: a session stays on the provider, endpoint, key and model its
user chose.

    hf = holdfast.open()
    session = hf.session("issue-42", "mimo-plan/mimo-v2.5-pro")
    client = openai.OpenAI(**session.for_openai())

The names in `__all__` are the public interface; anything else may change. `holdfast.testing` is for the tests
of your own program.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .core.errors import (
    AmbiguousModel,
    CannotHandOver,
    ConfigError,
    ConnectionLost,
    HoldfastError,
    IdentityError,
    ModelDropped,
    NoSession,
    NotReady,
    NotRenewed,
    Problem,
    SecretMissing,
    SignInEnded,
    SourceSilent,
    StoreError,
    UnknownModel,
    WrongDialect,
)
from .core.identity import Pin
from .core.steps import Refused

if TYPE_CHECKING:
    from .config import Home
    from .core.config import Config
    from .core.session import ActiveFallback
    from .core.session import Session as Row
    from .credentials import Vault
    from .credentials.callback_source import Supplier
    from .engine.closed import Closed
    from .engine.provenance import Field, SetBy, Why
    from .engine.provisioning import Ready
    from .sdk.api import Holdfast, Opening, aopen, open
    from .sdk.client_options import (
        AnthropicOptions,
        AsyncAnthropicOptions,
        AsyncOpenAIOptions,
        ClientOptions,
        OpenAIOptions,
    )
    from .sdk.pool_limits import Limits
    from .sdk.session import Session
    from .store import StaleSession, Store
    from .store.journal_events import (
        AnswerTruncated,
        Attempted,
        Choice,
        ChoiceAnswers,
        Detail,
        Event,
        EventKind,
        FellBack,
        FormerNameUsed,
        KeyChanged,
        KeysRelabelled,
        ModelDiffered,
        ProviderRenamed,
        ProvisioningChanged,
        RefusedElsewhere,
        RequestGivenUp,
        RequestRefused,
        RequestTranslated,
        ReturnedToChoice,
        SessionCreated,
        SessionHealed,
        SessionRemoved,
        SessionResumed,
        SessionSwitched,
        UnknownEvent,
        UsageCounted,
    )

    __version__: str

__all__ = [
    "ActiveFallback",
    "AmbiguousModel",
    "AnswerTruncated",
    "AnthropicOptions",
    "AsyncAnthropicOptions",
    "AsyncOpenAIOptions",
    "Attempted",
    "CannotHandOver",
    "Choice",
    "ChoiceAnswers",
    "ClientOptions",
    "Closed",
    "Config",
    "ConfigError",
    "ConnectionLost",
    "Detail",
    "Event",
    "EventKind",
    "FellBack",
    "Field",
    "FormerNameUsed",
    "Holdfast",
    "HoldfastError",
    "Home",
    "IdentityError",
    "KeyChanged",
    "KeysRelabelled",
    "Limits",
    "ModelDiffered",
    "ModelDropped",
    "NoSession",
    "NotReady",
    "NotRenewed",
    "OpenAIOptions",
    "Opening",
    "Pin",
    "Problem",
    "ProviderRenamed",
    "ProvisioningChanged",
    "Ready",
    "Refused",
    "RefusedElsewhere",
    "RequestGivenUp",
    "RequestRefused",
    "RequestTranslated",
    "ReturnedToChoice",
    "Row",
    "SecretMissing",
    "Session",
    "SessionCreated",
    "SessionHealed",
    "SessionRemoved",
    "SessionResumed",
    "SessionSwitched",
    "SetBy",
    "SignInEnded",
    "SourceSilent",
    "StaleSession",
    "Store",
    "StoreError",
    "Supplier",
    "UnknownEvent",
    "UnknownModel",
    "UsageCounted",
    "Vault",
    "Why",
    "WrongDialect",
    "__version__",
    "aopen",
    "open",
]

_EVENTS = """
    AnswerTruncated Attempted Choice ChoiceAnswers Detail Event EventKind FellBack FormerNameUsed KeyChanged
    KeysRelabelled ModelDiffered ProviderRenamed ProvisioningChanged RefusedElsewhere RequestGivenUp
    RequestRefused ReturnedToChoice SessionCreated SessionHealed SessionRemoved SessionResumed SessionSwitched
    RequestTranslated UnknownEvent UsageCounted
"""
_OPTIONS = "AnthropicOptions AsyncAnthropicOptions AsyncOpenAIOptions ClientOptions OpenAIOptions"
_LATER = {
    ".config": "Home",
    ".core.config": "Config",
    ".core.session": "ActiveFallback",
    ".credentials": "Vault",
    ".credentials.callback_source": "Supplier",
    ".engine.closed": "Closed",
    ".engine.provenance": "Field SetBy Why",
    ".engine.provisioning": "Ready",
    ".sdk.api": "Holdfast Opening Row Session aopen open",
    ".sdk.client_options": _OPTIONS,
    ".sdk.pool_limits": "Limits",
    ".store": "StaleSession Store",
    ".store.journal_events": _EVENTS,
}
"""What is loaded when it is first used, by module: `holdfast key list` does without the runtime."""
_MODULES = {name: module for module, names in _LATER.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Load what is public when it is first used."""
    if name == "__version__":
        from .distribution import version

        return version()
    if name not in _MODULES:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
