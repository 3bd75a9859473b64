// A list of ticks: arrow keys go from one to the next, two buttons tick all or none, and the count follows.
// Without this module every tick is reached by Tab and set by Space.

const form = document.querySelector("[data-ticks]");
const boxes = [...form.querySelectorAll("input[type=checkbox]:not(:disabled)")];
const count = form.querySelector("[data-count]");

function tell() {
  if (count) count.textContent = boxes.filter((box) => box.checked).length;
}

function set(checked) {
  for (const box of boxes) box.checked = checked;
  tell();
}

for (const [name, checked] of [["[data-all]", true], ["[data-none]", false]]) {
  const button = form.querySelector(name);
  if (!button) continue;
  button.hidden = false;
  button.addEventListener("click", () => set(checked));
}

form.addEventListener("change", tell);
form.addEventListener("keydown", (event) => {
  const at = boxes.indexOf(event.target);
  const step = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key];
  if (at < 0 || !step) return;
  event.preventDefault();
  boxes[(at + step + boxes.length) % boxes.length].focus();
});
tell();
