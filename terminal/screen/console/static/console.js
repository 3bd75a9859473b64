// What a script adds to the console: every page and every form works without it.

import {live} from "./live.js";
import {sumText} from "./sums.js";

// Between two looks of one page, so that a run of events costs the terminal a tenth of a second each and no more.
const REFRESH_MS = 100;

// Parts of the page that follow the terminal are marked data-live="ID". They are fetched with the page they belong to, so
// what stands in them is always what a reload would show. A form in one of them names its deed alike each time
// (Actions.issue with `about`).
let waiting = false;
let again = false;

async function refresh() {
  if (waiting) {
    again = true;
    return;
  }
  if (!document.querySelector("[data-live]")) return;
  waiting = true;
  again = false;
  try {
    const answer = await fetch(location.href, {headers: {"X-Looking-On": "1"}, redirect: "manual"});
    if (answer.status === 401 || answer.type === "opaqueredirect") return void location.reload();
    if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The terminal does not answer: the bar on top says so, and the next event brings the page up to date.
  }
  setTimeout(() => {
    waiting = false;
    if (again) refresh();
  }, REFRESH_MS);
}

// What pressing a control leads to: by this it is found again when its part was drawn anew, or it now stands in another.
const leadsTo = (one) => one.href ?? `${one.name} ${one.value} ${one.form && new URLSearchParams(new FormData(one.form))}`;

function show(fresh) {
  const at = document.activeElement;
  const held = at?.closest("[data-live]") && leadsTo(at);
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (now && now.innerHTML !== part.innerHTML) part.replaceChildren(...now.childNodes);
  }
  if (held && !at.isConnected) {
    const controls = [...document.querySelectorAll("[data-live] :is(a[href], button)")];
    (controls.find((one) => leadsTo(one) === held) ?? document.getElementById("main")).focus({preventScroll: true});
  }
  expire();
}

// What counts for a while only says for how many seconds: then the page is asked again.
let expiring;
function expire() {
  clearTimeout(expiring);
  const part = document.querySelector("[data-refresh-in]");
  if (part) expiring = setTimeout(refresh, 1000 * Number(part.dataset.refreshIn));
}
expire();

const silent = document.getElementById("silent");
const events = document.body.dataset.events;
if (events) {
  live(events, {
    value(kind) {
      const place = document.querySelector(`[data-reload-on~="${CSS.escape(kind)}"]`);
      if (place && !("stay" in place.dataset)) location.reload();
      else refresh();
    },
    silent: () => (silent.hidden = false),
    back: () => {
      silent.hidden = true;
      refresh();
    },
  });
}

// The pad beside a PIN: for fingers. The field itself takes the keyboard.
for (const pad of document.querySelectorAll("[data-pad]")) {
  const field = document.getElementById(pad.dataset.pad);
  const typed = document.getElementById("ref");
  pad.hidden = false;
  field.form.classList.add("has-pad");
  pad.addEventListener("click", (event) => {
    const key = event.target.closest("button[type=button]");
    if (!key) return;
    if (key.value === "clear") field.value = "";
    else if (field.value.length < field.maxLength) field.value += key.value;
    (typed && !typed.value ? typed : field).focus();
  });
}

// Plus and minus beside a number.
for (const step of document.querySelectorAll("button[data-step]")) {
  const field = document.getElementById(step.dataset.for);
  step.hidden = false;
  step.addEventListener("click", () => {
    if (Number(step.dataset.step) > 0) field.stepUp();
    else field.stepDown();
    field.dispatchEvent(new Event("change", {bubbles: true}));
  });
}

// What several persons pay together: the chosen ride's price ("ZONE-MINOR UNITS") times their number.
for (const total of document.querySelectorAll("[data-total-of]")) {
  const persons = document.getElementById(total.dataset.totalOf);
  const form = persons.form;
  const format = JSON.parse(total.dataset.sumFormat);
  const add = () => {
    const each = Number(new FormData(form).get("ride")?.split("-").at(-1));
    const known = each > 0 && persons.validity.valid;
    total.hidden = !known;
    if (known) total.querySelector("output").value = sumText(each * persons.valueAsNumber, format);
  };
  form.addEventListener("input", add);
  form.addEventListener("change", add);
  add();
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A form is on its way once: a second press of the button waits for the answer to the first. (The terminal would not
// do it twice either.)
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  form.querySelectorAll("button").forEach((button) => button.setAttribute("aria-busy", "true"));
});
// Coming back with the back button the form may be sent again.
addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
  }
});
