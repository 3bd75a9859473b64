// Two versions: the values that differ, and which riders pay or read something else.

import {byId, h, words} from "../dom.js";
import {Editor, linesOf, mistakeList} from "./editor.js";
import {moment} from "./rider.js";
import {pairs} from "./scenarios.js";

export class Compare {
  constructor() {
    this.editor = new Editor(byId("before-editor"), {label: words.version_before, readOnly: true});
  }

  use(text) {
    this.editor.text = text;
  }

  show(_facts, found) {
    byId("panel-compare").classList.remove("stale");
    if (!found) return;
    const problem = found.problem ?? found.mistakes;
    this.editor.mark(linesOf(found.mistakes ?? []));
    if (problem) {
      this.#says(`${words.version_before}: ${words.mistakes.toLowerCase()}: ${problem.length}`, "bad");
      byId("compare-found").replaceChildren(h("ol", {className: "mistakes"}, mistakeList(problem, this.editor)));
      return;
    }
    const {values, values_total: total} = found;
    this.#says(total ? `${words.values_differ}: ${total}` : words.same_values, total ? "wait" : "good");
    byId("compare-found").replaceChildren(
      ...[
        total > 0 && pairs(values, words.before, words.after),
        total > values.length && h("p", {className: "hint"}, `${words.and_more}: ${total - values.length}`),
        found.story && this.#riders(words.this_rider, found.story),
        found.scenarios && this.#riders(words.scenario_file, found.scenarios),
      ].filter(Boolean),
    );
  }

  unjudged() {
    byId("panel-compare").classList.add("stale");
  }

  #riders(title, found) {
    if (found.problem) return h("section", {className: "riders"}, h("h3", {}, title), h("ol", {className: "mistakes"}, mistakeList(found.problem)));
    const count = `${words.riders_changed}: ${found.changed} / ${found.total}`;
    return h("section", {className: "riders"}, h("h3", {}, title), h("p", {className: "hint"}, count), h("ol", {className: "found"}, found.riders.map((rider) => this.#rider(rider))));
  }

  #rider(rider) {
    const sums = `${rider.old} → ${rider.new}`;
    return h(
      "li",
      {className: "differs", "data-rider": rider.number},
      h("details", {}, h("summary", {}, h("span", {}, `${rider.number}. ${rider.name} (${rider.rider})`), " ", h("strong", {}, sums)), rider.taps.map((tap) => h("div", {className: "found-tap"}, h("p", {}, `${words.tap} ${tap.tap} · ${moment(tap.at)}`), pairs(tap.changes, words.before, words.after)))),
    );
  }

  #says(text, kind) {
    byId("compare-state").textContent = text;
    byId("compare-state").className = `state ${kind}`;
  }
}
