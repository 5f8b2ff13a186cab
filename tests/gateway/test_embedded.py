"""The gateway of one program counts what it refused for asking another model, and nothing else."""

from __future__ import annotations

import pytest

from holdfast.core.secret import Secret
from holdfast.gateway.embedded import Gate
from holdfast.gateway.handler import LocalResponse
from holdfast.wire.error_kinds import ERRORS, REFUSALS

KINDS = [*ERRORS.values(), *(refusal.kind for refusal in REFUSALS.values())]
ROWS = sorted({(kind.name, kind.status) for kind in KINDS})


@pytest.mark.parametrize(("code", "status"), ROWS)
def test_only_a_request_for_another_model_is_counted_as_one(code: str, status: int) -> None:
    gate = Gate("http://127.0.0.1:1", Secret("hf_token"))
    gate.finished(LocalResponse("chat/completions", status, code))
    assert gate.refused == (code in ("pin_mismatch", "model_not_found"))
