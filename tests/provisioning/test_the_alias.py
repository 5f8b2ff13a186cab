"""A provisioned gateway names its models as it likes; what it calls one means nothing to a provider that is
asked directly."""

from __future__ import annotations

from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import ScriptedProvider, ok
from stories.story import ask

from .conftest import Rig


def test_a_switch_from_gateway_to_direct_provider_and_back_takes_no_alias_along(rig: Rig) -> None:
    with ScriptedProvider(ok(), models=["claude-sonnet-4-5-20250929"]) as direct:
        more = (
            f'[provider.direct]\nurl = "{direct.url}"\nauth = "none"\n'
            'models = ["claude-sonnet-4-5-20250929"]\n'
        )
        (rig.home / "holdfast.toml").write_text("[settings]\nprobe_delays = [0.01]\n" + more)
        with rig.open() as held:
            ready = rig.asks(held)
            assert isinstance(ready, Ready)
            session = held.session("work", ready.pin("answer"))
            assert ask(session)
            session.switch("direct/claude-sonnet-4-5-20250929")
            assert ask(session)
            session.switch(ready.pin("answer"))
            assert ask(session)
        assert [seen.model for seen in direct.calls] == ["claude-sonnet-4-5-20250929"]
        assert [seen.model for seen in rig.provider.calls] == ["claude-sonnet-4-5", "claude-sonnet-4-5"]
