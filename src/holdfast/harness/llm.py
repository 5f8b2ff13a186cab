"""llm (the command of Simon Willison): one model in a directory of its own, which is the default there.

A model with an address of its own takes the key from OpenAI's variable. The built-in models get our address
too, so that the key is sent nowhere else."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE


def _plan(request: LaunchRequest) -> Handover:
    target = request.target
    model: dict[str, object] = {
        "model_id": f"{target.slug}/{target.model}",
        "model_name": target.model,
        "api_base": target.url,
        "api_key_name": "openai",
    }
    if "image" in target.facts.get("input", ()):
        model["vision"] = True
    if target.facts.get("reasoning", False):
        model["reasoning"] = True
    if target.endpoint.headers:
        model["headers"] = dict(target.endpoint.headers)
    return Handover(
        harness="llm",
        argv=("llm", *request.arguments),
        files=(
            File("extra-openai-models.yaml", pretty([model])),  # JSON is YAML
            File("default_model.txt", str(model["model_id"])),
            File("keys.json", "{}\n"),
            File("aliases.json", "{}\n"),
        ),
        set={
            "LLM_USER_PATH": request.directory,
            "LLM_MODEL": str(model["model_id"]),
            "OPENAI_BASE_URL": target.url,
        },
        unset=EVERYWHERE,
        secret=request.variable("openai"),
        expected=expected(target),
        proof="`llm logs` names the model",
    )


HARNESS = Harness(
    name="llm",
    title="llm",
    executable="llm",
    install="pipx install llm",
    speaks=(Dialect.OPENAI_CHAT,),
    plan=_plan,
    oldest="0.20",
    tested="0.36",
    shows={Dialect.OPENAI_CHAT: frozenset({Auth.BEARER})},
    chooses=("-m", "--model", "--key", "-q", "--query"),
)
