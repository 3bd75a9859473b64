// A scenario file: which of its scenarios come out as written, and where the others differ.

import {byId, doing, h, words} from "../dom.js";
import {Editor, linesOf, mistakeList} from "./editor.js";
import {moment, trail} from "./rider.js";

export class Scenarios {
  constructor({changed, take}) {
    this.take = take;
    this.editor = new Editor(byId("scenarios-editor"), {label: words.scenario_file, changed: () => changed(this.editor.text)});
  }

  use(text) {
    this.editor.text = text;
  }

  show(_facts, found) {
    byId("panel-scenarios").classList.remove("stale");
    if (!found) return;
    if (found.problem) {
      this.#says(`${words.mistakes}: ${found.problem.length}`, "bad");
      this.editor.mark(linesOf(found.problem));
      byId("scenarios-found").replaceChildren(h("ol", {className: "mistakes"}, mistakeList(found.problem, this.editor)));
      return;
    }
    this.editor.mark([]);
    const {scenarios, taps, sales_total: sales, differing} = found;
    const counted = `${words.scenarios_counted}: ${scenarios.length} · ${words.taps_counted}: ${taps} · ${words.sales_counted}: ${sales}`;
    this.#says(`${differing ? `${words.differing}: ${differing}` : words.all_as_written} · ${counted}`, differing ? "bad" : "good");
    const differences = new Map(found.differences.map((one) => [one.number, one]));
    const list = h("ol", {className: "found"}, scenarios.map((one) => this.#scenario(one, differences.get(one.number))));
    byId("scenarios-found").replaceChildren(list, ...found.sales.map((sale) => this.#sale(sale)));
  }

  unjudged() {
    byId("panel-scenarios").classList.add("stale");
  }

  #scenario(one, differing) {
    const play = h("button", {type: "button", className: "quiet", onclick: doing(() => this.take(one.number))}, words.play_it);
    return h(
      "li",
      {className: one.ok ? "" : "differs", "data-scenario": one.number},
      h("div", {className: "found-head"}, h("span", {className: "mark-of", "aria-hidden": "true"}, one.ok ? "✓" : "✗"), h("span", {}, `${one.number}. ${one.name} (${one.rider})`, h("span", {className: "visually-hidden"}, one.ok ? words.as_written : words.differs)), play),
      differing && differing.taps.map(foundTap),
      differing?.total.length > 0 && pairs(differing.total, words.expected, words.got),
    );
  }

  #sale(sale) {
    const title = `${words.sale} ${sale.number}: ${words.contract} ${sale.product}, ${sale.on}`;
    return h("section", {className: "found-sale"}, h("h3", {}, title), pairs(sale.differences, words.expected, words.got));
  }

  #says(text, kind) {
    byId("scenarios-state").textContent = text;
    byId("scenarios-state").className = `state ${kind}`;
  }
}

const foundTap = (tap) =>
  h(
    "div",
    {className: "found-tap"},
    h("p", {}, `${words.tap} ${tap.tap} · ${moment(tap.at)}`),
    pairs(tap.differences, words.expected, words.got),
    h("details", {}, h("summary", {}, words.why), trail(tap)),
  );

// Values of two sides, one line each.
export function pairs(values, before, after) {
  return h(
    "table",
    {className: "changes"},
    h("thead", {}, h("tr", {}, h("td"), h("th", {scope: "col"}, before), h("th", {scope: "col"}, after))),
    h("tbody", {}, values.map((one) => h("tr", {}, h("th", {scope: "row"}, one.words), h("td", {}, h("del", {}, one.old)), h("td", {}, h("ins", {}, one.new))))),
  );
}
