"""The operator's console: what driver, conductor, inspector and the canteen's staff work with, in a browser.

    roles.py     who there is
    staff.py     the staff list: references, roles, service cards, PINs (pins.py)
    attempts.py  wrong PINs, and how long to wait after them
    sessions.py  who is signed in, also after a restart
    actions.py   each action once
    console.py   the console without its pages
    visit.py     what a page and an action are given, and what they give back
    web.py       requests -> checks -> pages and actions
    bus*.py      the pages of a bus; canteen_*.py those of a canteen

To add a page: write `show(visit) -> View` (read only; runs in a thread, not under the terminal's lock), a template that
extends `console/layout.html` with blocks `title` and `main` (the heading is an `h1` inside `main`), and list
`Page("/path", roles, show, menu=N_("Name"))` in your `ConsoleArea`; paths may have parameters,
"/ticket/{sequence:int}", which `visit.query` gives like what stands behind the question mark. Parts marked
`data-live="id"` follow the terminal by themselves (taps, actions); they hold no forms, and change only by what
`show` would show now. One that holds something for so many seconds says `data-refresh-in="seconds"`.

To add an action: write `do(visit, form, written)`, which appends to the journal whatever is to be remembered, and
`result(visit, form, written) -> address` of the page that shows the result, made from the rows the action wrote
(`written`: sequence and record of each). List `Action("/path", roles, do, result)`. In the template:

    <form method="post" action="{{ root }}/path">{{ hidden("/path") }} … <button class="button">…</button></form>

`hidden` makes the fields against forged and repeated forms. Reload, double click, back button and kill -9 need nothing
more: every row appended in `do` carries the action's id when its record type has a field `action`, and `do` is not
called again once there is such a row. With several rows (one for each pupil of a class) say `resumes=True`: `do` is
then called every time with what is already written, and does the rest. An action without rows changes what is in
memory alone; its id is remembered there as long.

`do` runs under the lock between taps (`Console.lock`): no PIN, file or network in there. To refuse, raise
`ActionRefused(N_("Text with {name}"), {"name": …})`; `FormFields.number` and the like do so themselves. Nothing is
escaped by hand: templates escape, so no `|safe`.
"""
