// What opens over the desk: the clock, the region document, saving.

import {ask, byId, doing, h, order, words} from "./dom.js";

export function dialogs(desk) {
  for (const button of document.querySelectorAll("[data-opens]")) {
    button.addEventListener(
      "click",
      doing(async () => {
        const dialog = byId(button.dataset.opens);
        await OPENING[dialog.id]?.(desk());
        dialog.showModal();
      }),
    );
  }
  for (const button of document.querySelectorAll("[data-closes]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  byId("clock-form").addEventListener(
    "submit",
    doing(() => {
      const {value} = byId("clock-value"); // browsers leave out seconds that are nought
      return order("api/clock", {set: value.length === 16 ? `${value}:00` : value, jump: byId("clock-jump").checked});
    }),
  );
  byId("document-form").addEventListener("submit", (event) => event.preventDefault());
  byId("document-use").addEventListener("click", () => use({text: byId("document-text").value}));
  byId("document-reload").addEventListener("click", async () => {
    await use({});
    byId("document-text").value = (await ask("api/document")).text;
  });
}

const OPENING = {
  "clock-dialog": (desk) => {
    byId("clock-value").value = desk.clock;
    byId("clock-jump").checked = false;
  },
  "document-dialog": async () => {
    const {text, path} = await ask("api/document");
    byId("document-text").value = text;
    byId("document-path").textContent = path;
    byId("document-problem").hidden = true;
  },
  "save-dialog": async () => {
    const verdict = byId("scenario-verdict");
    const link = byId("save-scenario");
    try {
      const saved = await ask("api/scenario");
      const counts = `${words.taps_in}: ${saved.taps}. ${words.left_out}: ${saved.left_out}.`;
      verdict.replaceChildren(h("strong", {}, saved.differing.length ? words.saved_differs : words.saved_same), ` ${counts}`);
      verdict.className = saved.differing.length ? "verdict wait" : "verdict good";
      link.hidden = false;
    } catch (error) {
      verdict.textContent = `${error.message}. ${error.advice ?? ""}`;
      verdict.className = "verdict wait";
      link.hidden = true;
    }
  },
};

async function use(body) {
  const problem = byId("document-problem");
  try {
    await order("api/document", body);
    problem.className = "problem good";
    problem.textContent = words.document_used;
  } catch (error) {
    problem.className = "problem";
    problem.replaceChildren(h("strong", {}, error.message), " ", error.advice ?? "");
  }
  problem.hidden = false;
}
