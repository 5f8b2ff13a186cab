"""The end of a record: its key is given back to the service, and what the service said is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..core.errors import NotReady
from ..core.provisioning_state import Record, State
from .base import Fate, MalformedAnswer, Provisioner, Tools, not_given_back
from .ports import ProvisioningPorts

_SAID = {
    Fate.GIVEN_BACK: "its key was given back",
    Fate.NOT_KNOWN: "the service does not know its key (any more), and it was deleted here",
    Fate.ONLY_HERE: "its key was deleted only here: the service still accepts it",
    Fate.UNKNOWN: "it is unknown whether a key was made, and the service has no request that gives one back",
    Fate.NO_KEY: "it had no key",
}
_ENDS = frozenset(map(str, Fate))


class Retirement:
    """Ends records. Whoever calls it holds the lease of the record, or had it."""

    def __init__(
        self,
        ports: ProvisioningPorts,
        tools: Callable[[Record], Tools],
        kinds: Mapping[str, Provisioner],
    ) -> None:
        self._ports, self._tools, self._kinds = ports, tools, kinds

    def end(self, record: Record, *, only_here: bool) -> Record:
        """Give the key of a stored record back, store that, and remove the key here. Raises NotReady when the
        service did not say what became of the key; nothing was changed then."""
        records = self._ports.records
        while True:
            after = _retired(record, self._give_back(record, only_here=only_here), records.now())
            if after is record or records.save_provision(after, record.version):
                break
            # A key came meanwhile.
            record = records.provision(record.name) or after
        if after is not record:
            self._ports.saved(record, after)
        self._ports.withdraw(after)
        self._ports.answers.remove(after.intent)
        return after

    def of_late_key(self, retired: Record, late: Record) -> NotReady:
        """Give a key back that came after its record was retired; `late` has it. Return the error for who
        asked for it. Raises NotReady when the service did not say what became of it: the record has it
        then."""
        records = self._ports.records
        late = late.to(State.RETIRED, records.now(), "late_key")
        if not records.save_provision(late, retired.version):
            late = records.provision(late.name) or late
        after = self.end(late, only_here=False)
        what = f"'{after.name}' was retired while its key was requested; {after.detail}"
        return NotReady(what, reason="retired", next_step=f"holdfast provision status {after.name}")

    def _give_back(self, record: Record, *, only_here: bool) -> Fate:
        """Delete a record's key at the service, and what its intent may have made. Return what the service
        said, now or when the record was retired."""
        if record.state is State.RETIRED and record.reason in _ENDS:
            return Fate(record.reason)
        if not record.key and not record.intent:
            return Fate.NO_KEY
        if only_here:
            return Fate.ONLY_HERE
        try:
            return self._kinds[record.kind].revoke(record, self._tools(record))
        except MalformedAnswer as error:
            raise not_given_back(record, str(error)) from None


def _retired(record: Record, fate: Fate, now: float) -> Record:
    """Return the retired record, with what became of its key."""
    if record.state is State.RETIRED and record.reason == fate:
        return record
    return record.to(State.RETIRED, now, str(fate), _SAID[fate])
