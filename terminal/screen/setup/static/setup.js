// What a script adds to a first run: answers are kept and checked while they are typed. Every page works without it.

const WAIT_MS = 250;
const AGAIN_MS = 300;

document.querySelector(".steps [aria-current]")?.scrollIntoView({block: "nearest", inline: "center"});

const form = document.querySelector("form[data-check]");
if (form) follow(form);

function follow(form) {
  const touched = new Set([...form.querySelectorAll("[data-wrong]:not([hidden])")].map((line) => line.dataset.wrong));
  const saved = form.querySelector("[data-saved]");
  let waiting;
  let running = 0;

  async function check() {
    const number = ++running;
    form.dataset.checking = "1";
    try {
      const answer = await fetch(form.dataset.check, {method: "POST", body: new URLSearchParams(new FormData(form))});
      const {wrong, problem} = await answer.json();
      if (number !== running) return;
      if (wrong) show(wrong);
      saved.textContent = wrong ? saved.dataset.saved : problem;
    } catch {
      saved.textContent = "…";
    }
    if (number === running) delete form.dataset.checking;
  }

  function show(wrong) {
    for (const line of form.querySelectorAll("[data-wrong]")) {
      const name = line.dataset.wrong;
      const text = touched.has(name) ? wrong[name] ?? "" : "";
      line.textContent = text;
      line.hidden = !text;
      document.getElementById(name).toggleAttribute("aria-invalid", Boolean(text));
    }
  }

  function depend() {
    for (const place of form.querySelectorAll("[data-only-if]:not([data-only-if=''])")) {
      const [name, wanted] = place.dataset.onlyIf.split("=");
      const field = form.elements[name];
      place.hidden = wanted ? field.value !== wanted : !field.checked;
    }
  }

  form.addEventListener("input", (event) => {
    if (event.target.name) touched.add(event.target.name);
    depend();
    form.dataset.checking = "1";
    clearTimeout(waiting);
    waiting = setTimeout(check, WAIT_MS);
  });
  for (const chosen of form.querySelectorAll("[data-into]")) {
    chosen.hidden = false;
    chosen.addEventListener("change", async () => {
      const field = document.getElementById(chosen.dataset.into);
      field.value = await chosen.files[0].text();
      field.dispatchEvent(new Event("input", {bubbles: true}));
    });
  }
  depend();
}

// The last page: the terminal takes this address; when its console answers, the page goes there.
const done = document.querySelector("[data-done]");
if (done) {
  const goOn = done.querySelector("[data-go-on]");
  const leave = async () => {
    try {
      await fetch(done.dataset.done, {method: "POST", body: new URLSearchParams()});
    } catch {
      // It gives its address up as it answers: the answer may not arrive.
    }
    arrive();
  };
  if (goOn) {
    goOn.addEventListener("submit", (event) => {
      event.preventDefault();
      goOn.hidden = true;
      leave();
    });
  } else {
    leave();
  }
}

async function arrive() {
  try {
    const answer = await fetch("/sign-in?typed=1", {cache: "no-store"});
    if (answer.ok) return void location.assign("/sign-in?typed=1");
  } catch {
    // Not there yet.
  }
  setTimeout(arrive, AGAIN_MS);
}

document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const one of document.forms) delete one.dataset.sent;
});
