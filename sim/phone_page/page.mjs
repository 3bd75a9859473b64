// The page: key, credential and counter stay in this browser; a new code every ten seconds.
import { Phone, fromHex, toHex } from "./phone.mjs";

const EVERY_S = 10;
const WORDS = {
  en: {
    title: "Phone of a laboratory resident", label: "Code", renew: "Renew", forget: "New phone", picture: "The code as a picture",
    until: "Valid. Renewed by itself from", empty: "No credential: the issuer does not answer. Renew.", key: "The key cannot be kept here: allow storage.",
    hold: "Hold to the reader", away: "Take away", answered: "Answered", terminal: "terminal", none: "There is no reader here: open the phone from the desk, or sim phone --vpcd.",
  },
  ru: {
    title: "Телефон учебного жителя", label: "Код", renew: "Обновить", forget: "Новый телефон", picture: "Код картинкой",
    until: "Действует. Обновится сам с", empty: "Нет удостоверения: эмитент не отвечает. Обновите.", key: "Ключ здесь не сохранить: разрешите хранение.",
    hold: "Поднести к считывателю", away: "Убрать", answered: "Ответил", terminal: "терминал", none: "Здесь нет считывателя: откройте телефон со стола или sim phone --vpcd.",
  },
};
const language = navigator.language.startsWith("ru") ? "ru" : "en";
const words = WORDS[language];
const at = (id) => document.getElementById(id);
let ahead = 0; // of this machine's clock, where the page's server has one of its own
const now = () => Math.floor(Date.now() / 1000) + ahead;

async function goByTheNetwork() {
  const clock = await fetch("clock").catch(() => undefined);
  if (clock?.status === 200) ahead = Number(await clock.text()) - Math.floor(Date.now() / 1000);
}

function kept() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open("phone", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("phone");
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

function stored(base, mode, work) {
  return new Promise((resolve, reject) => {
    const transaction = base.transaction("phone", mode, { durability: "strict" });
    const request = work(transaction.objectStore("phone"));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

let base, phone, renewAt;

const save = () =>
  stored(base, "readwrite", (store) =>
    store.put({ keys: phone.keys, credential: phone.credential, counter: phone.counter, renewAt }, "held"));

async function load() {
  const held = await stored(base, "readonly", (store) => store.get("held"));
  phone = held ? new Phone(held.keys, held.credential, held.counter) : await Phone.create();
  renewAt = 0; // at every start, while there is a network
}

async function renew() {
  try {
    const answer = await fetch("credential", { method: "POST", body: toHex(await phone.point()) });
    if (!answer.ok) throw new Error(answer.status);
    const signed = await answer.json();
    phone.credential = fromHex(signed.credential);
    renewAt = now() + signed.renew_in_s;
    await save();
  } catch {
    // What it has goes on; the next round asks again.
  }
}

async function show() {
  await goByTheNetwork();
  if (now() >= renewAt) await renew();
  if (phone.credential.length === 0) {
    at("state").textContent = words.empty;
    return;
  }
  const text = await phone.code(now());
  await save(); // before it is shown: a counter is never used twice
  at("code").value = text;
  at("code").dataset.counter = phone.counter;
  at("state").textContent = `${words.until} ${new Date(renewAt * 1000).toLocaleDateString(language)}.`;
  const picture = await fetch("picture", { method: "POST", body: text });
  at("picture").hidden = picture.status !== 200;
  if (picture.status !== 200) return;
  at("picture").src = `data:image/svg+xml,${encodeURIComponent(await picture.text())}`;
}

// One question is one exchange: it brings the last answer, and asks for the next command.
async function field(text) {
  const answer = await fetch("field", { method: "POST", body: text });
  if (answer.status === 404) throw new Error(words.none);
  return answer.status === 200 ? answer.text() : "";
}

function noted(command) {
  const line = document.createElement("li");
  line.textContent = `${new Date().toLocaleTimeString(language)} · ${words.terminal} ${parseInt(toHex(command.slice(28, 36)), 16)}`;
  at("answers").prepend(line);
  at("answered").hidden = false;
}

let held = false;

async function hold() {
  for (let said = ""; held; ) {
    const wanted = await field(said);
    said = "";
    if (wanted === "left") phone.left();
    if (!wanted.includes(" ")) continue;
    const [number, hex] = wanted.split(" ");
    const command = fromHex(hex);
    const answer = await phone.answer(command);
    said = `${number} ${toHex(answer)}`;
    if (command[1] === 0x88 && answer.length > 2) noted(command);
  }
}

function holds(now) {
  held = now;
  at("hold").textContent = now ? words.away : words.hold;
  at("hold").setAttribute("aria-pressed", now);
}

let holding = Promise.resolve();

at("hold").onclick = async () => {
  holds(!held);
  if (held) {
    at("near").textContent = "";
    holding = hold().catch((error) => {
      at("near").textContent = error.message;
      holds(false);
    });
    return;
  }
  at("hold").disabled = true; // until the last question is answered: two would take each other's commands
  await field("away").catch(() => undefined);
  await holding;
  phone.left();
  at("hold").disabled = false;
};

document.documentElement.lang = language;
document.title = words.title;
for (const id of ["title", "label", "renew", "forget", "hold", "answered"]) at(id).textContent = words[id];
at("picture").alt = words.picture;
let turn = Promise.resolve();
const next = (work) => (turn = turn.then(work).then(show));
at("renew").onclick = () => next(renew);
at("forget").onclick = () => next(async () => { phone = await Phone.create(); renewAt = 0; });
try {
  base = await kept();
  await load();
  await next(() => undefined);
  setInterval(() => next(() => undefined), EVERY_S * 1000);
} catch {
  at("state").textContent = words.key;
}
