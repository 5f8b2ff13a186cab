"""One turn of an agent through the OpenAI SDK. Run it again, in another process or after a restart: it goes
on where it was.

python examples/openai_sync.py issue-42 mimo-plan/mimo-v2.5-pro      the first time
python examples/openai_sync.py issue-42                              ever after
"""

from __future__ import annotations

import sys

import openai

import holdfast


def main(session_id: str, pin: str | None = None) -> None:
    with holdfast.open() as hf:
        session = hf.session(session_id, pin)
        with openai.OpenAI(**session.for_openai()) as client:
            reply = client.chat.completions.create(
                model=session.model, messages=[{"role": "user", "content": "Are you still there?"}]
            )
        print(reply.choices[0].message.content)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except (holdfast.HoldfastError, openai.APIError) as error:
        sys.exit(str(error))
