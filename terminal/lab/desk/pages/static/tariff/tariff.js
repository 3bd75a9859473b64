// The tariff playground: a document judged while it is written, riders played under it, two versions compared.
// Everything the author writes is in this window, and in its session storage against a reload; the desk keeps nothing.

import {ask, byId, complain, doing, language, order, themes, words} from "../dom.js";
import {live} from "../live.js";
import {Compare} from "./compare.js";
import {Editor, download, linesOf, mistakeList, textOf} from "./editor.js";
import {Rider, problemOf} from "./rider.js";
import {Scenarios} from "./scenarios.js";

const KEPT = "tariff";
const PAUSE_MS = 120;
const PATIENCE_MS = 2000; // an answer that takes longer is given up for a newer text
const AGAIN_MS = 1000;
const LONGEST_BYTES = 1_000_000;

const tab = crypto.randomUUID();
const state = {
  text: "",
  source: "",
  file: "tariff.toml",
  original: "",
  before: "",
  scenarios: "",
  story: null,
  panel: "rider",
  ...kept(),
};
const editor = new Editor(byId("editor"), {label: words.document, changed: () => put({text: editor.text})});
const rider = new Rider({changed: (story) => put({story}), save: () => judge({wants: ["save"]})});
const scenarios = new Scenarios({changed: (text) => put({scenarios: text}), take: (number) => take(number)});
const compare = new Compare({changed: (original) => put({original}), opened: () => state.before, now: () => state.text});
const PANELS = {rider, scenarios, compare};
let mistakes = [];
let next = 0;

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

function keep() {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(state));
    byId("notice").dataset.full = "";
  } catch {
    if (byId("notice").dataset.full !== "yes") complain(Object.assign(new Error(words.not_kept), {advice: words.download_it}));
    byId("notice").dataset.full = "yes";
  }
}

let pause = null;

// What the author has changed: kept, and judged after a moment.
function put(changes) {
  Object.assign(state, changes);
  clearTimeout(pause);
  pause = setTimeout(() => {
    keep();
    look();
  }, PAUSE_MS);
}

let asking = null;
let again = false;

// One order at a time. A newer text waits for the answer to the older one, but not for ever.
function look() {
  if (asking) {
    again = true;
    if (performance.now() - asking.since < PATIENCE_MS) return;
    asking.given_up = true;
  }
  const own = {since: performance.now(), given_up: false};
  asking = own;
  again = false;
  look_at(own).finally(() => {
    if (own.given_up) return;
    asking = null;
    if (again) look();
  });
  setTimeout(() => {
    if (asking === own && again) look();
  }, PATIENCE_MS + PAUSE_MS);
}

async function look_at(own) {
  const text = state.text;
  if (!text.trim()) return empty();
  if (new Blob([text]).size > LONGEST_BYTES) return refused(words.too_long);
  try {
    const found = await judge({wants: wanted()});
    if (!own.given_up) show(found);
  } catch (error) {
    if (own.given_up) return;
    if (error instanceof TypeError) return silent();
    refused(`${error.message}. ${error.advice ?? ""}`);
  }
}

function wanted() {
  const asked = [];
  if (state.story?.taps.length) asked.push("story");
  if (state.panel === "scenarios" && state.scenarios.trim()) asked.push("scenarios");
  if (state.panel === "compare" && state.original.trim()) asked.push("compare");
  return asked;
}

function judge(more) {
  const {text, source, story} = state;
  const needs = (want) => more.wants.includes(want);
  return order("api/tariff", {
    tab: needs("save") || needs("take") ? `${tab}+` : tab, // what is pressed does not give up what is being judged
    text,
    source,
    language,
    story,
    scenarios: needs("scenarios") || needs("take") || needs("compare") ? state.scenarios : "",
    original: needs("compare") ? state.original : "",
    ...more,
  });
}

function empty() {
  mistakes = [];
  editor.mark([]);
  byId("mistakes").replaceChildren();
  says(words.nothing_yet, "");
  for (const panel of Object.values(PANELS)) panel.unjudged();
}

function refused(text) {
  mistakes = [];
  editor.mark([]);
  byId("mistakes").replaceChildren();
  says(text, "bad");
  for (const panel of Object.values(PANELS)) panel.unjudged();
}

function silent() {
  says(words.silent_kept, "wait");
  setTimeout(() => look(), AGAIN_MS);
}

function says(text, kind) {
  byId("state").textContent = text;
  byId("state").className = `state ${kind}`;
}

function show(found) {
  mistakes = found.mistakes;
  next = 0;
  editor.mark(linesOf(mistakes));
  byId("mistakes").replaceChildren(...mistakeList(mistakes, editor));
  if (mistakes.length) {
    says(`${words.mistakes}: ${mistakes.length}`, "bad");
    for (const panel of Object.values(PANELS)) panel.unjudged();
    return;
  }
  const {id, version} = found.document;
  says(`${words.sound}: ${id}, ${words.version} ${version}`, "good");
  rider.show(found.document, found.story);
  scenarios.show(found.document, found.scenarios);
  compare.show(found.document, found.compare);
}

async function take(number) {
  const found = await judge({wants: ["take"], number});
  if (!found.take) throw Object.assign(new Error(words.mend_first), {advice: ""});
  if (found.take.problem) throw problemOf(found.take.problem);
  rider.begin(found.take.story);
  choose("rider");
  byId("tab-rider").focus();
}

// Beginning with another text; the one before can be brought back.
function begin(found) {
  const changed = state.text.trim() && state.text !== state.original;
  state.previous = changed ? {text: state.text, source: state.source, file: state.file, original: state.original} : state.previous;
  byId("restore").hidden = !state.previous;
  use(found);
}

function use({text, source, file, original = text}) {
  editor.text = text;
  byId("document-file").textContent = file;
  compare.use(original);
  put({text, source, file, original, before: original});
}

async function openDocument(name) {
  const found = await ask("api/tariff/documents", {name});
  begin(found);
  if (found.scenarios) {
    scenarios.use(found.scenarios);
    put({scenarios: found.scenarios});
  }
}

async function opened(input, taken) {
  const [file] = input.files;
  input.value = "";
  if (file) await read(file, taken);
}

async function read(file, taken) {
  const {text, cyrillic} = await textOf(file);
  taken({text, source: "", file: file.name});
  if (cyrillic) complain(Object.assign(new Error(words.was_cp1251), {advice: words.saved_as_utf8}));
}

function choose(panel) {
  for (const name of Object.keys(PANELS)) {
    const chosen = name === panel;
    byId(`tab-${name}`).setAttribute("aria-selected", chosen);
    byId(`tab-${name}`).tabIndex = chosen ? 0 : -1;
    byId(`panel-${name}`).hidden = !chosen;
  }
  put({panel});
}

function tabs() {
  const names = Object.keys(PANELS);
  for (const [index, name] of names.entries()) {
    const button = byId(`tab-${name}`);
    button.addEventListener("click", () => choose(name));
    button.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (!step) return;
      const other = names[(index + step + names.length) % names.length];
      choose(other);
      byId(`tab-${other}`).focus();
    });
  }
}

function files() {
  const pairs = {
    open: ["file", begin],
    "scenarios-open": ["scenarios-file", ({text}) => scenarios.use(text) ?? put({scenarios: text})],
    "before-open": ["before-file", ({text}) => compare.use(text) ?? put({original: text})],
  };
  for (const [button, [input, taken]] of Object.entries(pairs)) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", doing(() => opened(byId(input), taken)));
  }
  byId("editor").addEventListener("dragover", (event) => event.preventDefault());
  byId("editor").addEventListener(
    "drop",
    doing(async (event) => {
      const [file] = event.dataTransfer.files;
      if (!file) return;
      event.preventDefault();
      await read(file, begin);
    }),
  );
}

const saveDocument = () => download(state.file, state.text);

function keys(event) {
  if (event.key === "F8" && mistakes.length) {
    const lines = linesOf(mistakes);
    if (lines.length) editor.goTo(lines[next++ % lines.length]);
    event.preventDefault();
  } else if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
    saveDocument();
    event.preventDefault();
  }
}

byId("source").addEventListener("change", doing(async ({target}) => target.value && (await openDocument(target.value))));
byId("before").addEventListener(
  "change",
  doing(async ({target}) => {
    const text = target.value ? (await ask("api/tariff/documents", {name: target.value})).text : state.before;
    compare.use(text);
    put({original: text});
  }),
);
byId("before-now").addEventListener("click", () => compare.use(state.text) ?? put({original: state.text}));
byId("download").addEventListener("click", saveDocument);
byId("scenarios-download").addEventListener("click", () => download("scenarios.toml", state.scenarios));
byId("restore").addEventListener("click", () => {
  const previous = state.previous;
  state.previous = {text: state.text, source: state.source, file: state.file, original: state.original};
  use(previous);
});
document.addEventListener("keydown", keys);
addEventListener("pagehide", keep);
// What could not be kept is lost with the window: the browser asks first.
addEventListener("beforeunload", (event) => {
  keep();
  if (byId("notice").dataset.full === "yes" && state.text !== state.original) event.preventDefault();
});
tabs();
files();
themes(byId("theme"));
byId("restore").hidden = !state.previous;
byId("document-file").textContent = state.text ? state.file : "";
editor.text = state.text;
scenarios.use(state.scenarios);
compare.use(state.original);
rider.begin(state.story, {quiet: true});
choose(state.panel);
live("events", {value: () => {}, silent: () => says(words.silent_kept, "wait"), back: () => look()});
if (!state.text) openDocument("demo").catch(complain);
