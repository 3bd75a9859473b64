// Beside the stage: every tap of the session, what waits to be sent, and a terminal's journal.

import {ask, byId, complain, h, words} from "./dom.js";
import {journalRow} from "./result.js";

const TAPS_KEPT = 200;

export class Side {
  constructor(choose) {
    this.choosing = choose;
    this.shown = 0;
    this.chosen = 0;
    byId("journal-place").addEventListener("change", () => this.#journal().catch(complain));
  }

  choose(number) {
    this.chosen = number;
    for (const item of byId("taps").children) {
      item.firstChild.setAttribute("aria-current", Number(item.dataset.tap) === number ? "true" : "false");
    }
  }

  show(desk, taps) {
    if (this.session !== desk.session) {
      this.session = desk.session;
      this.shown = 0;
      byId("taps").replaceChildren();
    }
    for (const entry of taps.filter((one) => one.number > this.shown)) {
      byId("taps").prepend(this.#tap(entry));
      this.shown = entry.number;
    }
    while (byId("taps").children.length > TAPS_KEPT) byId("taps").lastChild.remove();
    byId("taps-count").textContent = desk.taps_total || "";
    this.#queue(desk);
    this.#places(desk);
    const seen = desk.places.map((place) => `${place.head}/${place.acknowledged}`).join() + desk.session;
    if (seen !== this.seen) {
      this.seen = seen;
      this.#journal().catch(complain);
    }
  }

  #tap(entry) {
    return h(
      "li",
      {"data-tap": entry.number},
      h(
        "button",
        {type: "button", className: `tap-line ${entry.colour}`, onclick: () => Promise.resolve(this.choosing(entry.number)).catch(complain)},
        h("span", {className: "tap-at"}, entry.at),
        h("span", {className: "tap-text"}, entry.text),
        h("span", {className: "tap-who"}, `${entry.title}${entry.mishap ? ` · ${entry.mishap}` : ""}`),
      ),
    );
  }

  #queue(desk) {
    const waiting = desk.places.reduce((sum, place) => sum + place.unsent, 0);
    const {wanted, up} = desk.collector;
    const text = !desk.network
      ? words.no_network
      : !wanted
        ? words.collector_down
        : !up
          ? words.collector_starts
          : waiting
            ? words.sending
            : words.all_sent;
    byId("queue-state").textContent = text;
    byId("queue-state").title = desk.collector.problem;
    byId("queue-state").className = `queue-state ${desk.network && up && !waiting ? "good" : "wait"}`;
    byId("queues").replaceChildren(
      ...desk.places.map((place) =>
        h(
          "li",
          {},
          h("span", {className: "queue-name"}, place.title),
          h("meter", {min: 0, max: Math.max(1, place.head), value: place.acknowledged, "aria-label": place.title}),
          h("span", {className: "queue-count"}, place.unsent ? `${place.unsent} ${words.waiting}` : `${place.head} ${words.sent}`),
        ),
      ),
    );
    const total = desk.report?.total;
    byId("report").replaceChildren(
      ...(total
        ? [
            [words.records, total.records],
            [words.proofs, Object.values(total.proofs.proven ?? {}).reduce((taps, sums) => taps + sums.taps, 0)],
            [words.alarms, desk.report.alarms.length],
          ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value))))
        : []),
    );
  }

  #places(desk) {
    const select = byId("journal-place");
    if (select.options.length) return;
    select.append(...desk.places.map((place) => h("option", {value: place.key}, place.title)));
  }

  async #journal() {
    const place = byId("journal-place").value;
    if (!place) return;
    const journal = await ask(`api/journal/${place}`);
    if (byId("journal-place").value === place) byId("journal").replaceChildren(...journal.rows.map(journalRow));
  }
}
