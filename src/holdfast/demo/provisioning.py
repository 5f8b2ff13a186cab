"""Story 3: a provider that a program sets up by itself is not ready before a model is known, and never costs a second trial."""

from __future__ import annotations

import httpx2

from ..configfile import add_key, add_provider, load, set_models
from ..core.errors import HoldfastError
from ..core.identity import Dialect, Lane, ProviderName
from ..core.provision import Absent, KeyOnly, Ready, State, Step, listed, next_step
from ..core.secret import Secret
from ..scripted import Behaviour, ScriptedProvider, Seen, empty, ok, only_keys, status
from .stage import Stage, counted, key_of, keys, many

_NAME = ProviderName("trial")


class _Trial:
    """The provider's side: each POST to /trial mints a key and counts; what it answers to that key can be changed."""

    def __init__(self) -> None:
        self.minted = 0
        self.then: Behaviour = ok()

    def __call__(self, seen: Seen) -> Behaviour:
        if seen.path == "/v1/trial":
            self.minted += 1
            return status(200, {"token": key_of("trial"), "number": self.minted})
        return only_keys({key_of("trial")}, then=self.then)(seen)


def play(stage: Stage) -> None:
    """Set up a trial whose model list fails, end the process, and let the next one mend it."""
    show = stage.show
    intro = (
        "A program gets itself a trial key. Key and URL are stored, then no model can be found. Elsewhere, such a record looked whole for ever, "
        "and a default model was sent that the provider refused."
    )
    show.scene(3, "A half-finished set-up heals, and costs one trial", intro)
    trial = _Trial()
    provider = stage.provider(trial)
    without, given = (next_step(_state(stage), consent=consent) for consent in (False, True))
    show.tell("holdfast", f"nothing is known of 'trial' yet; the next step is to {without}, and with the user's consent to {given}")
    _take_step(stage, provider)
    show.tell("provider", f"a key is minted, and kept in {stage.home.secrets.name} before anything else is tried")
    _take_step(stage, provider)
    state = _state(stage)
    show.tell("provider", "lists no model")
    refusal = _refusal(stage)
    show.tell("holdfast", refusal)
    waiting = isinstance(state, KeyOnly) and next_step(state, consent=True) is Step.LIST_MODELS
    show.promise(
        "Without a model nothing is sent",
        waiting and not provider.calls and "no model" in refusal,
        f"{len(provider.calls)} requests for an answer, {many(trial.minted, 'trial')}",
    )

    stage.restart()
    provider.models = ("north-1",)
    show.tell("later", "after a restart there is a key without models, so the next step is to list them with that key")
    _take_step(stage, provider)
    trial.then = empty()
    session = stage.hf.session("trial-1", "trial/north-1")
    said = stage.ask(session)
    show.tell("provider", "the first answer is HTTP 200 with the body {}")
    show.tell("holdfast", f"HTTP {said.status} to the program: {said.text.partition(chr(10))[0]}")
    hollow = len(provider.calls)
    show.promise(
        "An empty answer is refused, whatever its status",
        not said.ok and said.text != "" and 1 <= hollow <= 3,
        f"{hollow} empty answers, none of them handed on as good",
    )
    trial.then = ok()
    good = stage.ask(session)
    lists = [one for one in provider.requests if one.path.endswith("/models")]
    healed = isinstance(_state(stage), Ready) and good.ok and keys(lists) == keys(provider.calls) == ["trial"]
    show.promise(
        "It heals with the stored key, never by a second trial",
        healed and trial.minted == 1,
        f"{many(trial.minted, 'trial')} minted, {counted(lists, 'the model list')}, then an answer",
    )


def _state(stage: Stage) -> State:
    """What is on disk, as a state: derived again each time, never stored as truth."""
    provider = load(stage.home).providers.get(_NAME)
    if provider is None:
        return Absent(_NAME)
    return Ready(provider) if provider.models else KeyOnly(provider.endpoints[0], provider.keys[0])


def _take_step(stage: Stage, at: ScriptedProvider) -> None:
    """Do what the core says is next, with the user's consent given."""
    state = _state(stage)
    match next_step(state, consent=True):
        case Step.MINT:
            with httpx2.Client(trust_env=False) as client:
                minted = client.post(f"{at.url}/trial").json()
            add_provider(stage.home, _NAME, {"url": at.url, "models": []})
            stage.grant(at, ["trial"])
            add_key(stage.home, _NAME, {"from": "store:trial"}, Secret(minted["token"]))
        case Step.LIST_MODELS if isinstance(state, KeyOnly):
            known = listed(state, _models(stage))
            if isinstance(known, Ready):
                set_models(stage.home, _NAME, known.provider.models)
        case _:
            pass


def _models(stage: Stage) -> tuple[str, ...]:
    from ..http.probe import list_models

    provider = load(stage.home).providers[_NAME]
    connection = Lane.build(provider, Dialect.OPENAI_CHAT, "any").connection
    found = list_models(connection, stage.hf.engine.vault.secret(provider.keys[0]))
    return found if isinstance(found, tuple) else ()


def _refusal(stage: Stage) -> str:
    """What a program hears that wants to use the provider now."""
    try:
        stage.hf.session("trial-1", "trial/")
    except HoldfastError as refusal:
        return str(refusal)
    return "nothing was refused"
