"""Story 3: a provider that a program sets up is not ready before a model is known, and never costs a second
trial."""

from __future__ import annotations

from ..core.errors import NotReady
from ..core.provisioning_state import Record
from ..engine.provisioning import Ready
from ..fake_provider import ScriptedProvider, empty
from ..fake_provider.control import AmazeePlane, refusing
from .stage import Stage, counted, key_of, keys, many

_NAME = "trial"
_ROLES = {"answer": ("*sonnet*",), "expand": ("*haiku*",)}
_CLOSED = {"detail": "Virtual key is not allowed to call this route."}


def play(stage: Stage) -> None:
    """Set up a trial whose model list fails, end the process, and let the next one repair it."""
    show = stage.show
    intro = (
        "A program gets itself a trial key. Key and URL are stored, then no model can be found. "
        "Elsewhere, such a record looked complete for ever, and a default model was sent that the "
        "provider refused."
    )
    show.scene(3, "A half-finished set-up heals, and costs one trial", intro)
    provider, gateway = _service(stage)
    show.step("program", f"asks for '{_NAME}', ready to answer and to expand a query")
    show.step("holdfast", _asked(stage, provider, consent=None))
    show.promise(
        "Without the user's consent nothing is asked for",
        not provider.requests,
        f"{many(len(provider.requests), 'request')} to the service",
    )

    stage.grant(provider, ["trial"])
    for path in ("/v1/models", "/model/info"):
        gateway.spoil(path, refusing(403, _CLOSED))
    show.step("user", "agrees to one trial; the key comes, and the list of its models is refused (HTTP 403)")
    show.step("holdfast", _asked(stage, provider, consent="the user of this demo"))
    reply = stage.ask(stage.hf.session("trial-1", f"{_NAME}/claude-sonnet-4-5"))
    shown = f"{len(provider.calls)} requests for an answer, {many(gateway.minted, 'trial')}"
    show.promise("Without a model nothing is sent", reply.status == 503 and not provider.calls, shown)

    stage.restart()
    show.step(
        "later", "after a restart there is a key without models, so the models are listed with that key"
    )
    record = stage.hf.provisioning.resolve(_record(stage))
    answer, expand = record.bound.get("answer", ""), record.bound.get("expand", "")
    show.step("holdfast", f"{answer} answers, {expand} expands: a date in a name is no version")
    gateway.refuse("/v1/chat/completions", *[empty()] * 2)
    session = stage.hf.session("trial-1")
    reply = stage.ask(session)
    show.step("provider", "the first answer is HTTP 200 with the body {}")
    show.step("holdfast", f"HTTP {reply.status} to the program: {reply.text.partition(chr(10))[0]}")
    hollow = len(provider.calls)
    show.promise(
        "An empty answer is refused, whatever its status",
        not reply.ok and reply.text != "" and 1 <= hollow <= 3,
        f"{hollow} empty answers, none of them handed on as good",
    )
    good = stage.ask(session)
    if not good.ok:
        good = stage.ask(session)
    lists = [request for request in provider.requests if request.path == "/v1/models"]
    healed = good.ok and answer == "claude-sonnet-4-5" and keys(lists) == keys(provider.calls) == ["trial"]
    evidence = f"{many(gateway.minted, 'trial')} minted, {counted(lists, 'the model list')}, then an answer"
    show.promise(
        "It heals with the stored key, never by a second trial",
        healed and gateway.minted == gateway.attempts == 1,
        evidence,
    )
    _withdrawn(stage, gateway)


def _service(stage: Stage) -> tuple[ScriptedProvider, AmazeePlane]:
    """Return a service that makes trial keys, and its control plane."""
    gateway = AmazeePlane(
        models={
            "claude-sonnet-4-20250514": "chat",
            "claude-sonnet-4-5": "chat",
            "claude-haiku-4-5": "chat",
            "titan-embed-2": "embedding",
        }
    )
    gateway.value = lambda *_: key_of("trial")
    gateway.lists_openly = False
    provider = ScriptedProvider(gateway, models=None)
    stage.providers.append(provider)
    gateway.root = provider.root
    return provider, gateway


def _withdrawn(stage: Stage, gateway: AmazeePlane) -> None:
    """Withdraw the model at the provider; the role gets the next one that fits, and the program hears of
    it."""
    show = stage.show
    heard: list[str] = []
    stage.hf.ensure_ready(_NAME, _ROLES, on_models=lambda pins: heard.append(str(pins["answer"])))
    heard.clear()
    del gateway.models["claude-sonnet-4-5"]
    refused = stage.ask(stage.hf.session("trial-1"))
    stage.hf.provisioning.jobs.settle()
    again = stage.hf.ensure_ready(_NAME, _ROLES)
    session = stage.hf.session("trial-1")
    session.switch(again.pin("answer"))
    show.step("provider", "withdraws claude-sonnet-4-5")
    show.step(
        "holdfast", f"tells the program that its role 'answer' is {again.pin('answer').model} from now on"
    )
    good = stage.ask(session)
    show.promise(
        "A withdrawn model is found once, and its role is given to the next that fits",
        not refused.ok and good.ok and heard == [f"{_NAME}/claude-sonnet-4-20250514"] and gateway.minted == 1,
        f"{many(len(heard), 'word')} to the program, {many(gateway.minted, 'trial')} as before",
    )


def _asked(stage: Stage, at: ScriptedProvider, consent: str | None) -> str:
    """Ask for the provider as a program does; return the answer in words."""
    try:
        ready: Ready = stage.hf.ensure_ready(
            _NAME, _ROLES, kind="amazee", settings={"url": at.root}, consent=consent
        )
    except NotReady as refusal:
        return f"{refusal.what} ({refusal.reason})"
    return f"ready: {', '.join(map(str, ready.pins.values()))}"


def _record(stage: Stage) -> Record:
    record = stage.hf.engine.store.provision(_NAME)
    if record is None:
        raise RuntimeError("the record is gone")
    return record
