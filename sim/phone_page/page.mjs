// The page: key, credential and counter stay in this browser; a new code every ten seconds.
import { Phone, fromHex, toHex } from "./phone.mjs";

const EVERY_S = 10;
const WORDS = {
  en: {
    title: "Phone of a laboratory resident", label: "Code", renew: "Renew", forget: "New phone", picture: "The code as a picture",
    until: "Valid. Renewed by itself from", empty: "No credential: the issuer does not answer. Renew.", key: "The key cannot be kept here: allow storage.",
  },
  ru: {
    title: "Телефон учебного жителя", label: "Код", renew: "Обновить", forget: "Новый телефон", picture: "Код картинкой",
    until: "Действует. Обновится сам с", empty: "Нет удостоверения: эмитент не отвечает. Обновите.", key: "Ключ здесь не сохранить: разрешите хранение.",
  },
};
const language = navigator.language.startsWith("ru") ? "ru" : "en";
const words = WORDS[language];
const at = (id) => document.getElementById(id);
const now = () => Math.floor(Date.now() / 1000);

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
  renewAt = held ? held.renewAt : 0;
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
  URL.revokeObjectURL(at("picture").src);
  at("picture").src = URL.createObjectURL(await picture.blob());
}

document.documentElement.lang = language;
document.title = words.title;
for (const id of ["title", "label", "renew", "forget"]) at(id).textContent = words[id];
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
