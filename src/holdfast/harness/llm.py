"""llm (the command of Simon Willison): one model in a directory of its own, which is the default there.

A model with an address of its own takes the key from OpenAI's variable; the built-in models get our address
too, so that the key has nowhere else to go."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE


def _plan(task: LaunchRequest) -> Handover:
    way = task.way
    model: dict[str, object] = {
        "model_id": f"{way.slug}/{way.model}",
        "model_name": way.model,
        "api_base": way.url,
        "api_key_name": "openai",
    }
    if way.endpoint.headers:
        model["headers"] = dict(way.endpoint.headers)
    return Handover(
        "llm",
        ("llm", *task.arguments),
        (
            File("extra-openai-models.yaml", pretty([model])),  # JSON is YAML
            File("default_model.txt", str(model["model_id"])),
            File("keys.json", "{}\n"),
            File("aliases.json", "{}\n"),
        ),
        {"LLM_USER_PATH": task.directory, "LLM_MODEL": str(model["model_id"]), "OPENAI_BASE_URL": way.url},
        EVERYWHERE,
        task.variable("openai"),
        expected(way),
        proof="`llm logs` names the model",
    )


HARNESS = Harness(
    "llm",
    "llm",
    "llm",
    "pipx install llm",
    (Dialect.OPENAI_CHAT,),
    _plan,
    oldest="0.20",
    tested="0.30",
    shows={Dialect.OPENAI_CHAT: frozenset({Auth.BEARER})},
    chooses=("-m", "--model", "--key", "-q", "--query"),
)
