"""A provider that a program sets up for its user is Absent, has a key only, or is Ready; there is no fourth state that looks
whole and is not (story 3). `next_step` never leads back to a second trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .errors import IdentityError
from .identity import Endpoint, Key, Provider, ProviderName


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing was obtained yet."""

    name: ProviderName


@dataclass(frozen=True, slots=True)
class KeyOnly:
    """A key and its endpoint are stored, the models are not known: nothing can be sent yet."""

    endpoint: Endpoint
    key: Key
    why: str = "the models are not known yet"


@dataclass(frozen=True, slots=True)
class Ready:
    """A provider that can be used. Refuses to exist without a model: there is no default model."""

    provider: Provider

    def __post_init__(self) -> None:
        if not self.provider.models:
            name = self.provider.name
            raise IdentityError(f"provider '{name}' is not ready: no model is known", next_step=f"holdfast models --provider {name}")


State = Absent | KeyOnly | Ready


class Step(StrEnum):
    """What is to be done next for a record."""

    ASK_CONSENT = "ask-consent"
    MINT = "mint"
    LIST_MODELS = "list-models"
    NOTHING = "nothing"


def next_step(state: State, *, consent: bool) -> Step:
    """A record with a key heals with that key; only one without, and with the user's consent, mints."""
    if isinstance(state, Absent):
        return Step.MINT if consent else Step.ASK_CONSENT
    return Step.LIST_MODELS if isinstance(state, KeyOnly) else Step.NOTHING


def listed(state: KeyOnly, models: Sequence[str] | None, why: str = "") -> KeyOnly | Ready:
    """What a model list makes of a record: Ready with models, else the same key, still waiting, with the reason."""
    if not models:
        return KeyOnly(state.endpoint, state.key, why or "the provider lists no model")
    return Ready(Provider(state.key.provider, (state.endpoint,), (state.key,), tuple(models)))
