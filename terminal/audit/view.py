"""A signed statement for people, as Markdown, in any language there is a catalogue for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from terminal.audit.statement import (
    AuditLine,
    AuditStatement,
    AuditTally,
    AuditTotal,
    OpenReason,
    SignedStatement,
    Subject,
    Worth,
)
from terminal.clock import from_unix_ms
from terminal.collector.days import CountState
from terminal.money import money
from terminal.texts import N_, Translator, translator

SHOWN_ROWS: Final = 100
SHOWN_TERMINALS: Final = 200

_SOLD: Final[Mapping[str, str]] = MappingProxyType(
    {
        Subject.RIDE: N_("rides"),
        Subject.MEAL: N_("meals"),
        Subject.CASH: N_("cash sales"),
        Subject.BUFFET: N_("buffet sales"),
        Subject.UNWRITTEN: N_("taps without a write"),
    }
)
_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        CountState.COUNTED: N_("counted"),
        CountState.OPEN: N_("unknown end"),
        CountState.NOT_COMMITTED: N_("did not come true"),
        CountState.ANNULLED: N_("taken back"),
        CountState.DUPLICATE: N_("second meal of one pupil"),
    }
)
_RIGHTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "nothing": N_("nothing"),
        "purse": N_("purse"),
        "contract_a": N_("product"),
        "contract_b": N_("product"),
        "concession_a": N_("concession"),
        "concession_b": N_("concession"),
        "concession_c": N_("concession"),
        "transfer": N_("transfer"),
        "budget": N_("budget"),
        "grace": N_("ride on credit"),
        "bank": N_("bank card"),
    }
)
_STANDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Worth.PROVEN: N_("proven by the card"),
        Worth.RECOMPUTED: N_("recomputed"),
        Worth.DIFFERING: N_("differing"),
        Worth.UNPROVEN: N_("unproven"),
    }
)
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_card": N_("no card took part"),
        "by_staff": N_("decided by staff, not by a document"),
        "not_ended": N_("not known to have come true"),
        "no_registry": N_("the collector has no card registry"),
        "no_issuers": N_("no issuers' keys were given to check a phone's proof"),
        "unknown_issuer": N_("the phone's issuer is not known"),
        "unknown_card": N_("the registry does not know the card"),
        "cannot_prove": N_("the card cannot prove (EV1)"),
        "not_stated": N_("only a later tap of the card shows it"),
        "replaced": N_("a later transaction of the card replaced the proof"),
        "no_proof": N_("the card can prove, and no proof was given"),
        "failed": N_("the proof is not the card's"),
        "nothing_read": N_("nothing was read to decide from"),
        "card": N_("what was read from the card is not understood"),
        "facts": N_("what the terminal knew is not understood"),
        "time": N_("no calendar has its time"),
        "region": N_("the document is not at hand"),
        "unnamed": N_("no row says which document was in force"),
        "feed": N_("the tables of the document's feed are not at hand"),
        "unusable": N_("the document cannot be used"),
        "roster": N_("needs the school's sealed roster"),
        "grants": N_("needs the list of grants"),
        "deny_list": N_("needs the deny list"),
        "uid": N_("no row says which card it was"),
    }
)
_OPEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        OpenReason.NOTHING_HELD: N_("never sent anything"),
        OpenReason.NOT_HEARD_SINCE: N_("not heard of since the day was over"),
        OpenReason.UNSENT: N_("said that it has rows which have not arrived"),
        OpenReason.NOT_BOOKED: N_("its rows are held and not read yet"),
        OpenReason.LOST: N_("revoked with rows unsent"),
    }
)


def markdown(signed: SignedStatement, language: str) -> str:
    """The whole statement; of long lists the beginning, with the number of all."""
    return "\n".join(_StatementPage(signed, language).lines()) + "\n"


class _StatementPage:
    def __init__(self, signed: SignedStatement, language: str) -> None:
        self._signed = signed
        self._language = language
        self._texts: Translator = translator(language)

    def _(self, text: str) -> str:
        return self._texts.gettext(text)

    def lines(self) -> Iterator[str]:
        statement = self._signed.statement
        yield "# " + self._("Audit of the service day {day}").format(day=statement.day)
        yield ""
        made = from_unix_ms(self._signed.made_at_ms).strftime("%Y-%m-%d %H:%M:%S")
        yield self._("Made at {time} UTC, signed with key {key}.").format(time=made, key=self._signed.key)
        yield self._("The day ends at {hour}:00, time zone {zone}.").format(
            hour=statement.day_ends_at, zone=statement.zone
        )
        yield ""
        yield from self._completeness(statement)
        for total in statement.totals:
            yield from self._total(total)
        if statement.supplement is not None:
            yield from self._supplement(statement)
        yield from self._breakdown(statement)
        yield from self._differing(statement)
        yield from self._documents(statement)
        yield from self._terminals(statement)

    def _completeness(self, statement: AuditStatement) -> Iterator[str]:
        opened = [one for one in statement.terminals if one.open]
        if not opened:
            yield self._("The day is complete: no enrolled terminal may still bring rows of it.")
        else:
            text = self._texts.ngettext(
                "The day is open: {n} terminal may still bring rows of it.",
                "The day is open: {n} terminals may still bring rows of it.",
                len(opened),
            )
            yield text.format(n=len(opened))
            yield ""
            for one in opened[:SHOWN_TERMINALS]:
                why = self._(_OPEN.get(one.open, one.open))
                yield "- " + self._("terminal {number}").format(number=one.terminal) + f": {why}"
        yield ""

    def _total(self, total: AuditTotal) -> Iterator[str]:
        yield f"## {total.currency}"
        yield ""
        yield _table_row("", self._("facts"), self._("money"))
        yield "|---|---:|---:|"
        yield self._row(self._("counted"), total.facts, total.sum_minor, total.currency, strong=True)
        for title, tallies in (
            (self._("card proof"), total.proof),
            (self._("decision"), total.decision),
        ):
            for code in sorted(tallies):
                words = f"{title}: {self._standing(code)}"
                yield self._row(words, tallies[code].facts, tallies[code].sum_minor, total.currency)
        for words, sum_minor in (
            (self._("stated beyond what cards say, in no sum"), total.overstated_minor),
            (self._("cards say more than stated, counted above"), total.understated_minor),
        ):
            if sum_minor:
                yield _table_row(words, "", self._money(sum_minor, total.currency))
        for state in sorted(total.beside):
            tally = total.beside[state]
            yield self._row(self._(_STATES.get(state, state)), tally.facts, tally.sum_minor, total.currency)
        yield ""

    def _row(self, words: str, facts: int, sum_minor: int, currency: str, *, strong: bool = False) -> str:
        mark = "**" if strong else ""
        return _table_row(f"{mark}{words}{mark}", str(facts), self._money(sum_minor, currency))

    def _money(self, sum_minor: int, currency: str) -> str:
        return (
            money(sum_minor, currency, self._language)
            if currency
            else ("-" if not sum_minor else str(sum_minor))
        )

    def _standing(self, code: str) -> str:
        first, _, reason = code.partition(":")
        words = self._(_STANDINGS.get(first, first))
        return f"{words}, {self._(_REASONS.get(reason, reason))}" if reason else words

    def _supplement(self, statement: AuditStatement) -> Iterator[str]:
        supplement = statement.supplement
        assert supplement is not None, "asked before"
        yield "## " + self._("Supplement")
        yield ""
        yield self._("To the statement with SHA-256 {hash}.").format(hash=supplement.after_sha256)
        yield ""
        if not supplement.rows:
            yield self._("No rows of the day came since.")
        for terminal, first, last in supplement.rows[:SHOWN_ROWS]:
            yield "- " + self._("terminal {number}, rows {first} to {last}").format(
                number=terminal, first=first, last=last
            )
        for currency, change in supplement.changes.items():
            yield "- " + self._("counted: {facts:+d}, {money}").format(
                facts=change.facts, money=self._money(change.sum_minor, currency)
            )
        yield ""

    def _breakdown(self, statement: AuditStatement) -> Iterator[str]:
        yield "## " + self._("By what was sold and what paid")
        yield ""
        heads = (self._("what"), self._("right"), self._("state"), self._("facts"), self._("money"))
        yield _table_row(*heads)
        yield "|---|---|---|---:|---:|"
        for (sold, right, state, currency), tally in sorted(_grouped(statement.lines).items()):
            paid = self._(_RIGHTS.get(right, right))
            words = (self._(_SOLD.get(sold, sold)), paid, self._(_STATES.get(state, state)))
            yield _table_row(*words, str(tally.facts), self._money(tally.sum_minor, currency))
        yield ""

    def _differing(self, statement: AuditStatement) -> Iterator[str]:
        yield "## " + self._("Rows that differ") + f": {statement.differing}"
        yield ""
        for row in statement.differing_rows[:SHOWN_ROWS]:
            where = self._("terminal {number}, row {row}").format(number=row.terminal, row=row.sequence)
            found = [*(f"{one[0]} {dict(one[1])}" for one in row.proof)]
            found += [f"{what}: {recorded} ≠ {recomputed}" for what, recorded, recomputed in row.decision]
            yield f"- {where}, {self._money(row.sum_minor, row.currency)}: {_plain('; '.join(found))}"
        if statement.unreadable:
            text = self._("{n} rows are of newer software and were not understood.")
            yield "- " + text.format(n=statement.unreadable)
        yield ""

    def _documents(self, statement: AuditStatement) -> Iterator[str]:
        yield "## " + self._("Documents")
        yield ""
        for document in statement.documents:
            here = "" if document.here else " — " + self._("not at hand")
            yield f"- {document.edition} `{document.sha256}`{here}"
        yield ""

    def _terminals(self, statement: AuditStatement) -> Iterator[str]:
        yield "## " + self._("What it rests on")
        yield ""
        shown = [one for one in statement.terminals if one.runs]
        for one in shown[:SHOWN_TERMINALS]:
            for run in one.runs:
                yield "- " + self._(
                    "terminal {number}, rows {first} to {last} in {batches} signed batches, chain head {hash}"
                ).format(
                    number=one.terminal,
                    first=run.first,
                    last=run.last,
                    batches=run.batches,
                    hash=run.last_hash,
                )
        if len(shown) > SHOWN_TERMINALS:
            yield "- " + self._("and {n} more terminals").format(n=len(shown) - SHOWN_TERMINALS)


def _grouped(lines: tuple[AuditLine, ...]) -> dict[tuple[str, str, str, str], AuditTally]:
    groups: dict[tuple[str, str, str, str], AuditTally] = {}
    for line in lines:
        place = (str(line.sold), line.right, line.state, line.currency)
        groups.setdefault(place, AuditTally()).add(line.facts, line.sum_minor)
    return groups


def _table_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """One line, and nothing in it that Markdown takes for more than text."""
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "\\<")
