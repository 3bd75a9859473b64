"""Staff hear before the region document ends, and every day while no successor is there (O-01)."""

from __future__ import annotations

from collections.abc import Callable

from terminal.codes import DocumentFault, SetKind, Trouble
from terminal.fault_texts import fault_text
from terminal.operations.vitals import Vitals
from terminal.policy.document.schema import RegionDocument
from terminal.policy.ends import ADVICE, trouble_of


class EndWatch:
    """Looks at the end of the document in force, whichever that is, between the taps."""

    def __init__(self, document: Callable[[], RegionDocument], vitals: Vitals) -> None:
        self._document = document
        self._vitals = vitals
        self._said: Trouble | None = None
        vitals.document = document

    def look(self) -> None:
        """Say what is new: the trouble counts days, so it is new once a day. A suspect clock ends no document."""
        vitals = self._vitals
        if vitals.clock_watch.state.suspect:
            return
        trouble = trouble_of(self._document(), vitals.clock.now())
        if trouble is not None and trouble.code is DocumentFault.ENDS:
            follows = vitals.known_of(SetKind.REGION).follows
            trouble = trouble_of(self._document(), vitals.clock.now(), follows)
        if trouble is not None and trouble != self._said:
            text = fault_text(trouble.code, trouble.inputs)
            vitals.events.warning("document", f"{text}. {ADVICE}", code=trouble.code, **trouble.inputs)
        self._said = trouble
