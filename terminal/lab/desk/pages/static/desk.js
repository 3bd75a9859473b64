// The desk's page: keeps in step with the desk, wherever it is driven from, and passes on what is pressed here.

import {ask, byId, complain, doing, h, language, order, themes, words} from "./dom.js";
import {Shelf} from "./shelf.js";
import {Stage} from "./stage.js";
import {Result} from "./result.js";
import {Bus} from "./bus.js";
import {Devices} from "./devices.js";
import {Trace} from "./trace.js";
import {Side} from "./side.js";
import {dialogs} from "./dialogs.js";
import {live} from "./live.js";

const state = {session: "", taps: [], chosen: 0, tapping: 0, desk: null};
const trace = new Trace();
const result = new Result((entry) => trace.reveal(entry.exchange, entry.exchanges));
const shelf = new Shelf((card) => stage.hold(card));
const stage = new Stage((card, place) => tap(card, place));
const bus = new Bus();
const devices = new Devices();
const side = new Side((number) => choose(number));

// The answer to a tap is all of it, so it is shown at once; the rest of the desk follows.
async function tap(card, place) {
  stage.busy(place, true);
  state.tapping += 1;
  try {
    const entry = await order("api/tap", {card, place, language, ...stage.disturbance()});
    state.chosen = entry.number;
    state.follows = true;
    trace.grow(Math.max(trace.total, entry.exchange + entry.exchanges));
    result.paint(entry);
    byId("said").textContent = `${entry.title}: ${entry.text}`;
  } finally {
    state.tapping -= 1;
    stage.busy(place, false);
  }
  await refresh();
  side.choose(state.chosen);
}

async function choose(number) {
  const newest = state.taps.at(-1)?.number ?? 0;
  state.chosen = number;
  state.follows = number === newest;
  side.choose(number);
  await result.show(number);
}

let refreshing = null;
let again = false;

// One request at a time; news that comes meanwhile makes one more.
export function refresh() {
  if (refreshing) {
    again = true;
    return refreshing;
  }
  refreshing = load().finally(() => {
    refreshing = null;
    if (again) {
      again = false;
      refresh().catch(complain);
    }
  });
  return refreshing;
}

async function load() {
  const after = state.taps.at(-1)?.number ?? 0;
  let desk = await ask("api/desk", {after});
  if (desk.session !== state.session) {
    desk = after ? await ask("api/desk") : desk;
    Object.assign(state, {session: desk.session, taps: [], chosen: 0, follows: true});
    result.clear();
    trace.clear();
    shelf.put(null);
  }
  const known = state.taps.at(-1)?.number ?? 0;
  state.taps.push(...desk.taps.filter((entry) => entry.number > known));
  state.desk = desk;
  clock(desk);
  shelf.show(desk.cards);
  stage.show(desk.places);
  bus.show(desk.bus);
  trace.grow(desk.trace_total);
  side.show(desk, state.taps);
  regions(desk);
  const newest = state.taps.at(-1)?.number ?? 0;
  if (newest && !state.tapping && state.follows !== false && state.chosen < newest) await choose(newest);
}

function clock(desk) {
  const moment = new Date(`${desk.clock}Z`);
  const day = {weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC"};
  byId("clock-time").textContent = desk.clock.slice(11);
  byId("clock-time").dateTime = desk.clock;
  byId("clock-day").textContent = moment.toLocaleDateString(language === "ru" ? "ru-RU" : "en-GB", day);
  for (const [id, on] of [["network", desk.network], ["collector", desk.collector.wanted]]) {
    byId(id).setAttribute("aria-checked", on);
  }
  byId("collector").classList.toggle("waiting", desk.collector.wanted && !desk.collector.up);
}

function regions(desk) {
  const select = byId("region");
  const listed = desk.regions.some(({name}) => name === desk.region);
  const all = listed ? desk.regions : [{name: desk.region, title: desk.region}, ...desk.regions];
  if (select.options.length !== all.length) {
    select.replaceChildren(...all.map(({name, title}) => h("option", {value: name}, title)));
  }
  if (document.activeElement !== select) select.value = desk.region;
  byId("document").classList.toggle("changed", desk.document.changes > 0);
}

function buttons() {
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", doing(() => order("api/clock", {advance: button.dataset.advance})));
  }
  for (const name of ["network", "collector"]) {
    const button = byId(name);
    button.addEventListener(
      "click",
      doing(() => order("api/switch", {[name]: button.getAttribute("aria-checked") !== "true"})),
    );
  }
  byId("region").addEventListener("change", doing((event) => order("api/reset", {region: event.target.value})));
  byId("reset").addEventListener("click", doing(() => order("api/reset")));
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("input, select, textarea, dialog");
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = state.desk?.places[Number(event.key) - 1];
    if (place && shelf.held) doing(() => tap(shelf.held.name, place.key))();
    else if (event.key === "Escape") shelf.put(null);
  });
}

const bar = document.querySelector(".bar"); // two lines high in narrow windows and long languages
new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);
buttons();
dialogs(() => state.desk);
themes(byId("theme"));
const quiet = () => complain(Object.assign(new Error(words.silent), {advice: ""}));
function heard(news) {
  devices.refresh();
  if (!news.devices && !state.tapping) refresh().catch(complain); // who taps here looks again anyway
}
live("events", {value: heard, silent: quiet, back: () => refresh().catch(complain)});
refresh().catch(complain);
devices.refresh();
