// The storm's page: figures as they come, six of which must stay nought.

import {ask, byId, complain, doing, h, language, order, themes, words} from "./dom.js";
import {live} from "./live.js";

const NOUGHTS = {lost: "lost", duplicated: "duplicated", money: "money_mismatch_minor", misjudged: "misjudged", unnoticed: "unnoticed", open: "unresolved_open"};
const numbers = new Intl.NumberFormat(language === "ru" ? "ru-RU" : "en-GB");
const named = (kind) => words[`kind_${kind}`] ?? kind;
let asking = null;

function show(storm) {
  const running = storm.state === "running";
  const broken = Boolean(storm.problems?.length);
  byId("begin").disabled = running;
  byId("stop").disabled = !running;
  for (const name of ["seed", "taps"]) byId(name).disabled = running;
  if (running && storm.seed !== undefined) {
    byId("seed").value = storm.seed;
    byId("taps").value = storm.wanted;
  }
  const state = byId("state");
  state.textContent = broken ? words.violation : storm.state === "finished" ? `${words.finished}. ${words.sound}` : words[storm.state];
  state.className = `state ${broken || storm.state === "failed" ? "bad" : storm.state === "finished" ? "good" : ""}`;
  document.body.dataset.state = storm.state;
  for (const [id, key] of Object.entries(NOUGHTS)) {
    const value = storm.towns || broken ? storm[key] : undefined;
    byId(id).textContent = value === undefined ? "–" : numbers.format(value);
    const panel = byId(id).closest(".nought");
    panel.classList.toggle("held", value === 0);
    panel.classList.toggle("broken", Boolean(value));
  }
  byId("taps-done").textContent = numbers.format(storm.taps ?? 0);
  byId("taps-wanted").textContent = storm.wanted ? `${words.of} ${numbers.format(storm.wanted)}` : "";
  byId("bar").value = storm.wanted ? Math.min(1, storm.taps / storm.wanted) : 0;
  byId("audit").textContent = storm.towns ? `${words.audited}: ${numbers.format(storm.checked)}` : running ? words.not_checked : "";
  byId("command").textContent = storm.seed === undefined ? "" : `terminal storm --seed ${storm.seed} --taps ${storm.wanted}`;
  facts(storm);
  kinds(storm);
  speed(storm.history ?? []);
  byId("problems").replaceChildren(...(storm.problems ?? []).map((problem) => h("li", {}, problem)));
}

function facts(storm) {
  const shown = [
    [words.speed, storm.taps_per_s],
    [words.granted, storm.granted],
    [words.restarts, storm.restarts],
    [words.rows, storm.records],
    [words.settled, storm.unresolved_settled],
  ].filter(([, value]) => value !== undefined);
  byId("facts").replaceChildren(...shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, numbers.format(Math.round(value))))));
}

function kinds(storm) {
  const found = Object.entries(storm.faults ?? {}).sort(([a], [b]) => a.localeCompare(b));
  const most = Math.max(1, ...found.map(([, count]) => count));
  byId("faults-total").textContent = numbers.format(found.reduce((sum, [, count]) => sum + count, 0));
  const rows = found.map(([kind, count]) =>
    h("li", {"data-kind": kind}, h("span", {}, named(kind)), h("meter", {min: 0, max: most, value: count, "aria-label": named(kind)}), h("span", {className: "count"}, numbers.format(count))),
  );
  const missing = (storm.unavailable ?? []).map((kind) => h("li", {}, h("span", {}, named(kind)), h("span", {className: "none"}, words.unavailable), h("span")));
  byId("kinds").replaceChildren(...rows, ...missing);
}

function speed(history) {
  const top = Math.max(1, ...history) * 1.08;
  const step = 600 / Math.max(1, history.length - 1);
  byId("speed-line").setAttribute("points", history.map((value, index) => `${(index * step).toFixed(1)},${(118 - (value / top) * 114).toFixed(1)}`).join(" "));
}

async function refresh() {
  asking ??= ask("api/storm").finally(() => (asking = null));
  show(await asking);
}

byId("start").addEventListener(
  "submit",
  doing(async (event) => {
    event.preventDefault();
    await order("api/storm/start", {seed: Number(byId("seed").value), taps: Number(byId("taps").value)});
    await refresh();
  }),
);
byId("stop").addEventListener("click", doing(() => order("api/storm/stop")));
themes(byId("theme"));
live("events", {
  value: () => refresh().catch(complain),
  silent: () => complain(Object.assign(new Error(words.silent), {advice: ""})),
  back: () => refresh().catch(complain),
});
refresh().catch(complain);
