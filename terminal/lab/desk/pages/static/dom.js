// The few things every part of the desk needs: elements from plain values, requests, words.

export const words = JSON.parse(document.getElementById("words").textContent);
export const language = document.body.dataset.language;

export const byId = (id) => document.getElementById(id);

// Text is only ever set as text: nothing that comes from a card, a profile or a document becomes markup.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// An SVG document of our own server, so that the page's style and screen readers reach it.
export function picture(svg) {
  const parsed = new DOMParser().parseFromString(svg, "image/svg+xml");
  return document.importNode(parsed.documentElement, true);
}

export async function ask(path, query = {}) {
  return taken(await fetch(addressed(path, query)));
}

// Everything is asked in the page's language, so that what cannot be done is said in it.
function addressed(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries({language, ...query})) url.searchParams.set(name, value);
  return url;
}

export async function order(path, body = {}) {
  const request = {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  return taken(await fetch(addressed(path), request));
}

async function taken(response) {
  const value = await response.json().catch(() => ({problem: `${response.status}`, advice: ""}));
  if (response.ok) return value;
  throw Object.assign(new Error(value.problem), {advice: value.advice});
}

export function complain(error) {
  const notice = byId("notice");
  if (!notice) return;
  notice.replaceChildren(h("strong", {}, `${error.message}. `), error.advice ?? "");
  notice.hidden = false;
  clearTimeout(complain.timer);
  complain.timer = setTimeout(() => (notice.hidden = true), 8000);
}

// Runs what a button stands for; errors are shown and nothing is left half done.
export const doing = (work) => async (event) => {
  try {
    await work(event);
  } catch (error) {
    complain(error);
  }
};

export function themes(button) {
  const order = ["", "light", "dark"];
  const use = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  use(localStorage.getItem("desk-theme") ?? "");
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % order.length];
    localStorage.setItem("desk-theme", next);
    use(next);
  });
}
