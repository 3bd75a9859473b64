// What the passenger sees and hears. The terminal says what there is to show; this says for how long and how large.

import {fit} from "./fit.js";
import {live} from "./live.js";
import {beep} from "./sound.js";

const STAYS_MS = 10_000; // a result leaves after this even if the card lies there for ever
const READING_MS = 6_000; // a tap that says nothing more has ended somehow
const LIST_MS = 15_000; // a list of places that nothing is chosen from
const CODE_MS = 8_000; // a support code is to be written down
const AUDIBLE_MS = 1_000; // an older result is seen again after a reload, but was heard before

const display = document.getElementById("display");
const words = display.querySelector(".words");
const razzia = display.querySelector(".razzia");
const line = document.getElementById("line");
const second = document.getElementById("second");
const code = document.getElementById("code");
const resting = Object.fromEntries(["idle", "card", "fault"].map((name) => [name, JSON.parse(display.dataset[name])]));

const SHADES = {green: 1, yellow: 1, red: 1};
let now = {look: "idle", lines: resting.idle}; // what the terminal last said
let until = 0; // a result can be read at least until then
let silent = false;
let timer;

function paint() {
  const {look, lines} = silent ? {look: "fault", lines: resting.fault} : now;
  display.dataset.look = look;
  document.body.dataset.look = look;
  if (look !== "idle") document.querySelector("#touch details")?.removeAttribute("open");
  setSentences(line, lines[0]);
  if (second) second.textContent = lines[1];
  code.hidden = silent || !now.code;
  code.replaceChildren();
  if (now.code) {
    const figures = document.createElement("b");
    figures.textContent = now.code.code;
    code.replaceChildren(`${now.code.label}: `, figures);
  }
  fit(words, display);
}

// The first sentence large, the rest of the message below it. Texts are put in as text, never as HTML.
function setSentences(element, text) {
  const end = text.indexOf(". ");
  if (end < 0) {
    element.textContent = text;
    return;
  }
  const rest = document.createElement("span");
  rest.className = "rest";
  rest.textContent = text.slice(end + 2);
  element.replaceChildren(`${text.slice(0, end + 1)} `, rest);
}

function show(look, lines, leaveAfterMs) {
  clearTimeout(timer);
  now = {look, lines};
  paint();
  if (leaveAfterMs !== undefined) timer = setTimeout(idle, Math.max(0, leaveAfterMs));
}

function rest(look, leaveAfterMs) {
  until = 0;
  show(look, resting[look], leaveAfterMs);
}

function idle() {
  rest("idle");
}

// What is asked of the next ride: the page's own part, fetched again when it has changed or its time is over.
let expiring;
function arranged() {
  clearTimeout(expiring);
  const left = document.getElementById("touch")?.dataset.leftS;
  if (left) expiring = setTimeout(refreshTouch, 1000 * Number(left));
}

async function refreshTouch(answer) {
  try {
    const page = await (await (answer ?? fetch(document.baseURI))).text();
    const fresh = new DOMParser().parseFromString(page, "text/html").getElementById("touch");
    const old = document.getElementById("touch");
    if (old?.outerHTML !== fresh?.outerHTML) {
      old?.remove();
      if (fresh) display.after(fresh);
    }
  } catch {
    // The terminal does not answer: the page says so by itself, and asks again when it is back.
  }
  arranged();
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  for (const button of document.querySelectorAll("#touch button")) button.disabled = true;
  refreshTouch(fetch(form.action, {method: "POST", body}));
});

// A list of places that was opened and left is closed: the next passenger reads what to do.
document.addEventListener("toggle", ({target}) => {
  if (target.open) setTimeout(() => (target.open = false), LIST_MS);
}, true);

const handlers = {
  asked: () => refreshTouch(),
  code: ({label, code, age_ms}) => {
    if (!(now.look in SHADES)) return; // another card lies there by now
    until = Math.max(until, performance.now() + CODE_MS - age_ms);
    now.code = {label, code};
    paint();
  },
  card: ({age_ms}) => rest("card", READING_MS - age_ms),
  fault: ({sound, age_ms}) => {
    rest("fault");
    if (age_ms < AUDIBLE_MS) beep("red", sound);
  },
  idle: () => {
    const left = until - performance.now();
    if (left > 0) {
      clearTimeout(timer);
      timer = setTimeout(idle, left);
    } else {
      idle();
    }
  },
  razzia: () => {}, // shown with every state
  result: ({colour, lines, sound, hold_ms, age_ms}) => {
    until = performance.now() + hold_ms - age_ms;
    show(colour, lines, STAYS_MS - age_ms);
    if (age_ms < AUDIBLE_MS) beep(colour, sound);
  },
};

live(display.dataset.events, {
  value: (event, id) => {
    razzia.hidden = !event.razzia;
    handlers[event.state](event);
    display.dataset.shown = id;
  },
  silent: () => {
    silent = true;
    paint();
  },
  back: () => {
    silent = false;
    paint();
    refreshTouch();
  },
  hiddenToo: window === window.parent, // sounds are heard of a page that is not visible; one among others on a desk may rest
  gap: () => {}, // only the newest counts, and it follows
});

arranged();
new ResizeObserver(() => fit(words, display)).observe(display);
paint();
