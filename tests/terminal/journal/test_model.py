"""Any run of appends, acknowledgements, purges, restarts and power cuts, against a list that cannot fail."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from terminal.journal.journal import Journal
from terminal.journal.records import AnyRecord, Intent, NotCommitted, SettledBy, ShiftClosed, ShiftOpened
from terminal.journal.sealed import JournalKey
from terminal.journal.taps import End
from terminal.journal.verify import verify
from tests.properties import examples
from tests.terminal.journal.samples import committed, intent, refused

KEY = JournalKey(bytes(range(32)))


class JournalMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.journal = Journal.open(self.folder / "0.db", 7, key=KEY)
        self.model: list[AnyRecord] = []
        self.acknowledged = self.purged = self.lives = 0
        self.open: dict[int, Intent] = {}
        self.shift: ShiftOpened | None = None
        self.last: tuple[int, Intent, End] | None = None

    def append(self, record: AnyRecord) -> int:
        self.model.append(record)
        assert self.journal.append(record) == len(self.model)
        return len(self.model)

    @rule(card=st.integers(0, 2))
    def begin_a_tap(self, card: int) -> None:
        record = intent(card_ref=bytes([card]), turn=len(self.model))
        number = self.append(record)
        self.open[number] = record
        self.last = number, record, End.UNRESOLVED

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 100), done=st.booleans())
    def end_a_tap(self, pick: int, done: bool) -> None:
        number = sorted(self.open)[pick % len(self.open)]
        self.append(
            committed(number) if done else NotCommitted(at_ms=1, intent=number, how=SettledBy.ANSWERED)
        )
        if self.last is not None and self.last[0] == number:
            self.last = number, self.open[number], End.COMMITTED if done else End.NOT_COMMITTED
        del self.open[number]

    @rule()
    def refuse(self) -> None:
        self.append(refused())

    @rule(opens=st.booleans())
    def shift_change(self, opens: bool) -> None:
        self.shift = ShiftOpened(1, len(self.model), "17", "bus") if opens else None
        self.append(self.shift or ShiftClosed(1, 0, {}))

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        through = self.acknowledged + int((len(self.model) - self.acknowledged) * share)
        if through > self.acknowledged:
            self.journal.acknowledge(through, self.journal.hash_at(through), at_ms=through)
            self.acknowledged = through

    @rule()
    def purge(self) -> None:
        self.journal.purge(keep_ms=0, now_ms=self.acknowledged)
        self.purged = self.acknowledged

    @rule()
    def quiet(self) -> None:
        self.journal.checkpoint()

    @rule(power_cut=st.booleans())
    def restart(self, power_cut: bool) -> None:
        """A power cut leaves the files as they are; the copy stands for the machine that comes up again."""
        self.lives += 1
        after = self.folder / f"{self.lives}.db"
        if not power_cut:
            self.journal.close()
        for suffix in ("", "-wal", ".numbers", ".mark"):
            file = self.journal.path.with_name(self.journal.path.name + suffix)
            if file.exists():
                shutil.copy(file, after.with_name(after.name + suffix))
        self.journal.close()
        self.journal = Journal.open(after, 7, key=KEY)

    @invariant()
    def nothing_is_lost(self) -> None:
        rows = self.journal.rows(limit=10_000)
        assert [row.sequence for row in rows] == list(range(self.purged + 1, len(self.model) + 1))
        assert [row.record for row in rows] == self.model[self.purged :]
        assert self.journal.acknowledged_through == self.acknowledged
        assert self.journal.open_shift == self.shift
        assert self.journal.open_intents() == sorted(self.open.items())
        assert self.journal.last_intent == self.last
        for card in range(3):
            mine = [item for item in sorted(self.open.items()) if item[1].card_ref == bytes([card])]
            assert self.journal.unresolved(bytes([card])) == (mine[-1] if mine else None)
        found = verify(self.journal.path, KEY)
        assert found.ok, found.problem

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.folder)


TestJournal = JournalMachine.TestCase
TestJournal.settings = examples(30, stateful_step_count=25)
