// The code on the display: another one is shown as soon as there is one, and the terminal's own display when it is set up.

import {live} from "./live.js";

const AGAIN_MS = 500;

live(document.body.dataset.events, {
  value: () => location.reload(),
  silent: comeBack,
});
setTimeout(() => location.reload(), Number(document.body.dataset.leftMs));

async function comeBack() {
  try {
    if ((await fetch("/", {cache: "no-store"})).ok) return void location.reload();
  } catch {
    // The terminal is starting.
  }
  setTimeout(comeBack, AGAIN_MS);
}
