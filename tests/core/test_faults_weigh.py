"""What is remembered about a key changes the verdict, and never claims more than the evidence gives
(errors.md 4.2)."""

from __future__ import annotations

import pytest

from holdfast.core.classify import weigh
from holdfast.core.faults import Fault, FaultClass, Phase, Scope

REFUSED = Fault(FaultClass.AUTH_REJECTED, Scope.KEY, status=401, signs=("status:401",))
CN, SGP = "token-plan-cn.xiaomimimo.com", "token-plan-sgp.xiaomimimo.com"


@pytest.mark.parametrize("kind", [FaultClass.AUTH_REJECTED, FaultClass.AUTH_EXPIRED])
def test_a_key_that_works_elsewhere_and_never_worked_here_is_at_the_wrong_endpoint(kind):
    fault = weigh(Fault(kind, Scope.KEY), worked_here=False, worked_elsewhere=SGP, key_prefix_host=CN)
    assert (fault.kind, fault.hint, fault.scope) == (FaultClass.ENDPOINT_MISMATCH, SGP, Scope.ENDPOINT)
    assert "evidence:worked elsewhere" in fault.signs


def test_a_key_that_worked_here_stays_refused_wherever_else_it_worked():
    assert weigh(REFUSED, worked_here=True, worked_elsewhere=SGP) == REFUSED


def test_a_key_that_never_worked_anywhere_stays_refused():
    assert weigh(REFUSED, worked_here=False) == REFUSED


def test_the_prefix_of_a_key_proves_nothing_but_gives_a_hint():
    fault = weigh(REFUSED, worked_here=False, key_prefix_host=CN)
    assert (fault.kind, fault.hint) == (FaultClass.AUTH_REJECTED, CN)


def test_a_wrong_endpoint_names_the_host_where_the_key_works():
    for cause, shown in ((None, "key_works_elsewhere"), ("certificate", "certificate")):
        before = Fault(FaultClass.ENDPOINT_MISMATCH, status=404, cause=cause)
        fault = weigh(before, worked_here=False, worked_elsewhere=SGP)
        assert (fault.kind, fault.hint, fault.cause) == (FaultClass.ENDPOINT_MISMATCH, SGP, shown)


def test_an_empty_account_that_may_be_the_wrong_endpoint_gets_the_hint_and_keeps_its_class():
    fault = weigh(
        Fault(FaultClass.QUOTA_EXHAUSTED, cause="wrong_door"), worked_here=False, worked_elsewhere=SGP
    )
    assert (fault.kind, fault.hint) == (FaultClass.QUOTA_EXHAUSTED, SGP)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultClass.AUTH_REJECTED, terminal=True),
        Fault(FaultClass.AUTH_REJECTED, sent=False),
        Fault(FaultClass.AUTH_EXPIRED, phase=Phase.REFRESH),
        Fault(FaultClass.RATE_LIMITED),
        Fault(FaultClass.QUOTA_EXHAUSTED),
        Fault(FaultClass.NOT_ENTITLED, status=403),
    ],
)
def test_a_fault_that_is_not_about_the_endpoint_stays_as_it_is(fault):
    assert weigh(fault, worked_here=False, worked_elsewhere=SGP) == fault
