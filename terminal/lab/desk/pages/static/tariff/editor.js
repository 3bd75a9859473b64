// A text area with line numbers. Marks stand behind the lines that something is wrong with.

import {h, words} from "../dom.js";

const LINES_ABOVE = 4; // of the line one goes to

export class Editor {
  constructor(box, {label, changed = () => {}, readOnly = false}) {
    this.changed = changed;
    this.lines = 0;
    this.numbers = h("pre", {className: "numbers", "aria-hidden": "true"});
    this.marks = h("div", {className: "marks", "aria-hidden": "true"});
    this.area = h("textarea", {spellcheck: false, wrap: "off", autocomplete: "off", autocapitalize: "off", readOnly, "aria-label": label});
    box.append(h("div", {className: "gutter"}, this.numbers), h("div", {className: "text"}, this.marks, this.area));
    this.area.addEventListener("input", () => this.#typed());
    this.area.addEventListener("scroll", () => this.#scrolled());
    new ResizeObserver(() => this.#scrolled()).observe(this.area); // also when its panel is shown
    this.#number();
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    if (text === this.area.value) return;
    this.area.value = text;
    this.area.setSelectionRange(0, 0);
    this.area.scrollTop = 0;
    this.#number();
    this.mark([]);
  }

  // Lines from 1; those the text does not have are left out.
  mark(lines) {
    const inside = [...new Set(lines)].filter((line) => line >= 1 && line <= this.lines);
    this.marks.replaceChildren(...inside.map((line) => h("div", {className: "mark", "data-line": line})));
    this.#scrolled();
  }

  goTo(line) {
    const before = this.text.split("\n", line - 1).join("\n").length;
    const start = line > 1 ? before + 1 : 0;
    const end = this.text.indexOf("\n", start);
    this.area.focus({preventScroll: true});
    this.area.setSelectionRange(start, end < 0 ? this.text.length : end);
    this.area.scrollTop = Math.max(0, line - 1 - LINES_ABOVE) * this.#lineHeight();
    this.area.scrollLeft = 0;
    this.area.scrollIntoView({block: "nearest"});
  }

  #typed() {
    this.#number();
    this.changed();
  }

  #number() {
    const {text} = this;
    let lines = 1;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
    this.lines = lines;
    this.#scrolled();
  }

  #lineHeight() {
    return parseFloat(getComputedStyle(this.area).lineHeight);
  }

  // Only the numbers in sight are there, however long the text is.
  #scrolled() {
    const {scrollTop, clientHeight} = this.area;
    const height = this.#lineHeight();
    const top = parseFloat(getComputedStyle(this.area).paddingTop);
    const first = Math.max(0, Math.floor((scrollTop - top) / height));
    const last = Math.min(this.lines, first + Math.ceil((clientHeight || 0) / height) + 2);
    this.numbers.textContent = Array.from({length: Math.max(0, last - first)}, (_, index) => first + index + 1).join("\n");
    this.numbers.style.top = `${top + first * height - scrollTop}px`;
    for (const mark of this.marks.children) {
      mark.style.top = `${top + (Number(mark.dataset.line) - 1) * height - scrollTop}px`;
    }
  }
}

// A file as text: UTF-8, else what Windows in Russian writes.
export async function textOf(file) {
  const bytes = await file.arrayBuffer();
  try {
    return {text: new TextDecoder("utf-8", {fatal: true}).decode(bytes), cyrillic: false};
  } catch {
    return {text: new TextDecoder("windows-1251").decode(bytes), cyrillic: true};
  }
}

export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], {type: "application/toml"}));
  const link = h("a", {href: url, download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Mistakes with their places; one with a line leads there.
export function mistakeList(mistakes, editor) {
  return mistakes.map((mistake) => {
    const at = mistake.line ? `${words.line} ${mistake.line}` : mistake.place ? "" : words.whole_document;
    const what = [mistake.place && h("code", {}, mistake.place), h("strong", {}, `${mistake.what}. `), mistake.advice].filter(Boolean);
    const inside = [h("span", {className: "at"}, at), h("span", {className: "what"}, what)];
    const go = () => editor.goTo(mistake.line);
    return h("li", {}, mistake.line && editor ? h("button", {type: "button", className: "mistake", onclick: go}, inside) : h("div", {className: "mistake"}, inside));
  });
}

export const linesOf = (mistakes) => mistakes.map((mistake) => mistake.line).filter(Boolean);
