"""`terminal peers`: the other terminals of this place, and what of their word is not taken (docs/link.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terminal.cli.options import Config, Json, ShownLang, State, station_config
from terminal.texts import N_

if TYPE_CHECKING:
    from collections.abc import Callable

    from terminal.operations.status import PeerLinkStatus, PeerStatus


def peers(config: Config = None, state: State = None, json: Json = False, language: ShownLang = "en") -> None:
    """Show the other terminals of this place: where they are, when each was heard, what waits for it."""
    import msgspec

    from terminal.app.output import print_json
    from terminal.errors import ControlError
    from terminal.operations.status import read_status
    from terminal.texts import translator

    said = read_status(station_config(config, state=state).terminal.state)
    link = None if said is None else said.link
    if link is None:
        raise ControlError(
            "no terminal with a link ran in this folder",
            "Name the others under [link] in terminal.toml, and start it: docs/link.md.",
        )
    if json:
        print_json(msgspec.to_builtins(link))
    else:
        _show(link, translator(language).gettext)


def _show(link: PeerLinkStatus, word: Callable[[str], str]) -> None:
    for peer in link.peers:
        waiting = word(N_("{count} marks wait for it")).format(count=peer.waiting)
        print(f"{peer.terminal:>8}  {peer.address:<28} {_heard(peer, word)}, {waiting}")
    print(word(N_("{count} marks of others are held")).format(count=link.marks))
    for reason, count in sorted(link.refused.items()):
        print(word(N_("refused: {count} ({reason})")).format(count=count, reason=reason))


def _heard(peer: PeerStatus, word: Callable[[str], str]) -> str:
    from terminal.clock import from_unix_ms

    if peer.heard_at_ms is None:
        return word(N_("not heard since the start"))
    return word(N_("heard at {at}")).format(at=f"{from_unix_ms(peer.heard_at_ms):%Y-%m-%d %H:%M:%SZ}")
