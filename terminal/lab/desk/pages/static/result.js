// What one tap was: said, cost, changed, and why.

import {ask, byId, h, picture, words} from "./dom.js";

export class Result {
  constructor(shown) {
    this.shown = shown;
    this.number = 0;
  }

  clear() {
    this.number = 0;
    byId("result-empty").hidden = false;
    byId("result-body").hidden = true;
    byId("result-body").replaceChildren();
    byId("result").setAttribute("aria-labelledby", "result-title");
  }

  async show(number) {
    this.number = number;
    const entry = await ask(`api/taps/${number}`);
    if (this.number === number) this.paint(entry);
  }

  paint(entry) {
    this.number = entry.number;
    byId("result-empty").hidden = true;
    byId("result").setAttribute("aria-labelledby", "tap-title");
    const body = byId("result-body");
    body.hidden = false;
    body.dataset.tap = entry.number;
    // What it came to is painted first; its details a frame later, in the place of those before.
    if (body.firstChild) body.firstChild.replaceWith(this.#head(entry));
    else body.append(this.#head(entry));
    requestAnimationFrame(() => setTimeout(() => this.#rest(body, entry)));
  }

  #rest(body, entry) {
    if (this.number !== entry.number) return;
    body.replaceChildren(body.firstChild, this.#columns(entry));
    this.shown(entry);
  }

  #head(entry) {
    const facts = [
      [words.charged, entry.charged || null],
      [words.purse, entry.purse || null],
      [words.air_time, `${entry.air_ms.toFixed(0)} ${words.ms}`],
      [words.on_card, entry.on_air],
      [words.bytes, entry.apdu_bytes],
      [words.ended, words[entry.end]],
    ].filter(([, value]) => value !== null);
    return h(
      "header",
      {className: `verdict-head ${entry.colour}`},
      h("p", {className: "eyebrow"}, `#${entry.number} · ${entry.at} · ${entry.title}`),
      h("h2", {id: "tap-title"}, entry.text),
      entry.mishap && h("p", {className: "operator"}, entry.mishap),
      entry.operator && h("p", {className: "operator log-line"}, `${words.in_log}: `, h("span", {lang: "en"}, entry.operator)), // logs are in no other language
      h("dl", {className: "facts"}, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value))))),
    );
  }

  #columns(entry) {
    return h(
      "div",
      {className: "columns"},
      h("section", {className: "panel"}, h("h3", {}, words.reasons_title), this.#reasons(entry)),
      h("section", {className: "panel"}, h("h3", {}, words.journal_title), this.#rows(entry)),
      entry.known.length > 0 && h("section", {className: "panel wide known"}, h("h3", {}, words.known_title), this.#known(entry)),
      h("section", {className: "panel wide"}, h("h3", {}, words.air_time), this.#legend(), h("div", {className: "waterfall-box", tabIndex: 0, role: "group", "aria-label": words.air_time}, picture(entry.waterfall))),
      h("section", {className: "panel wide"}, h("h3", {}, words.card_title), this.#changes(entry)),
    );
  }

  #legend() {
    return h("p", {className: "legend"}, ["up", "compute", "down", "waited"].map((part) => h("span", {className: `key ${part}`}, words[`part_${part}`])));
  }

  #changes(entry) {
    if (entry.changes.length <= 1) return h("p", {className: "hint"}, words.nothing_read);
    const row = (change) =>
      h(
        "tr",
        {className: change.changed ? "changed" : ""},
        h("th", {scope: "row"}, h("span", {className: "part"}, change.part), " ", change.code ? h("code", {lang: "en"}, change.name) : change.name),
        change.changed
          ? [h("td", {}, change.before ? h("del", {}, change.before) : "–"), h("td", {}, change.after ? h("ins", {}, change.after) : "–")]
          : h("td", {colSpan: 2}, change.after),
      );
    const changed = entry.changes.filter((change) => change.changed);
    const same = entry.changes.filter((change) => !change.changed);
    const head = h("thead", {}, h("tr", {}, h("td"), h("th", {scope: "col"}, words.before), h("th", {scope: "col"}, words.after)));
    return h(
      "div",
      {},
      changed.length
        ? h("table", {className: "changes"}, head, h("tbody", {}, changed.map(row)))
        : h("p", {className: "hint"}, words.nothing_changed),
      h("details", {}, h("summary", {}, `${words.unchanged_hidden} (${same.length})`), h("table", {className: "changes"}, h("tbody", {}, same.map(row)))),
    );
  }

  #reasons(entry) {
    if (!entry.reasons.length) return h("p", {className: "hint"}, words.no_reasons);
    return h("ol", {className: "reasons"}, entry.reasons.map((reason) => h("li", {}, h("code", {}, reason.rule), " ", reason.words)));
  }

  // Each fact with who stated it, and how old it was.
  #known(entry) {
    const titles = [words.known_fact, words.known_value, words.known_source, words.known_age];
    const row = (known) =>
      h(
        "tr",
        {"data-fact": known.fact},
        h("th", {scope: "row"}, known.name),
        h("td", {}, known.value),
        h("td", {}, known.source || words.assumed),
        h("td", {}, known.age),
      );
    return h(
      "table",
      {className: "changes"},
      h("thead", {}, h("tr", {}, titles.map((title) => h("th", {scope: "col"}, title)))),
      h("tbody", {}, entry.known.map(row)),
    );
  }

  #rows(entry) {
    if (!entry.journal.length) return h("p", {className: "hint"}, words.no_rows);
    return h("ol", {className: "rows"}, entry.journal.map(journalRow));
  }
}

// A row's fields are put in when it is opened: most never are.
export function journalRow(row) {
  const fields = () => Object.entries({...row.fields, hash: `${row.hash}…`}).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
  const fill = ({target}) => target.open && target.childElementCount === 1 && target.append(h("dl", {}, fields().flat()));
  return h(
    "li",
    {className: row.sent ? "sent" : "unsent"},
    h(
      "details",
      {ontoggle: fill},
      h(
        "summary",
        {},
        h("span", {className: "sequence"}, String(row.sequence)),
        h("span", {className: "kind", title: row.kind}, row.title),
        h("span", {className: "gist"}, row.gist),
        h("span", {className: "mark"}, row.sent ? words.sent : words.waiting),
      ),
    ),
  );
}
