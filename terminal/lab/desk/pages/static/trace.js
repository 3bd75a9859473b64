// Every exchange of the session. Only the rows one can see exist; the rest is a height.

import {ask, byId, h, words} from "./dom.js";

const ROW = 26;
const PAGE = 200;
const SPARE = 8;
const CELLS = ["tap", "number", "name", "mode", "status", "command", "answer", "took"];
const PROTOCOL = ["mode", "status", "command", "answer"]; // in its own language, whatever the page's
const HEX_SHOWN = 64;

// The protocol's name for a command as code, which part of it in the page's language.
function named(exchange) {
  const code = h("code", {lang: "en"}, exchange.name);
  return exchange.part ? [code, `, ${exchange.part}`] : [code];
}

export class Trace {
  constructor() {
    this.box = byId("trace");
    this.space = byId("trace-space");
    this.total = 0;
    this.pages = new Map();
    this.rows = new Map();
    this.free = [];
    this.chosen = -1;
    this.marked = [0, 0];
    this.box.addEventListener("scroll", () => this.#soon(), {passive: true});
    this.box.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.choose(Number(row.dataset.index));
    });
    this.box.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#soon()).observe(this.box);
  }

  clear() {
    this.pages.clear();
    for (const row of this.rows.values()) this.#drop(row);
    this.rows.clear();
    this.chosen = -1;
    byId("trace-detail").hidden = true;
    this.grow(0);
  }

  grow(total) {
    if (total > this.total) this.pages.delete(Math.floor(this.total / PAGE));
    this.total = total;
    this.space.style.height = `${total * ROW}px`;
    this.box.setAttribute("aria-rowcount", total);
    byId("trace-count").textContent = `${total} ${words.exchanges_total}`;
    this.#soon();
  }

  reveal(start, count) {
    this.marked = [start, start + count];
    this.chosen = -1;
    byId("trace-detail").hidden = true;
    this.box.scrollTop = start * ROW;
    this.#soon();
  }

  async choose(index) {
    if (index < 0 || index >= this.total) return;
    this.chosen = index;
    const top = index * ROW;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
    this.#draw();
    this.box.setAttribute("aria-activedescendant", `exchange-${index}`);
    const row = await this.#at(index);
    if (row && this.chosen === index) this.#detail(row);
  }

  #key(event) {
    const page = Math.floor(this.box.clientHeight / ROW) - 1;
    const step = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.total, End: this.total}[event.key];
    if (step === undefined || !this.total) return;
    event.preventDefault();
    const from = this.chosen < 0 ? this.marked[0] - Math.sign(step) : this.chosen;
    this.choose(Math.min(this.total - 1, Math.max(0, from + step)));
  }

  #soon() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.#draw();
    });
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - SPARE);
    const last = Math.min(this.total, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + SPARE);
    for (const [index, row] of this.rows) {
      if (index >= first && index < last) continue;
      this.#drop(row);
      this.rows.delete(index);
    }
    for (let index = first; index < last; index++) {
      let row = this.rows.get(index);
      if (!row) {
        row = this.#take(index);
        this.rows.set(index, row);
      }
      const page = this.pages.get(Math.floor(index / PAGE));
      if (Array.isArray(page)) this.#fill(row, page[index % PAGE], index);
      else this.#load(Math.floor(index / PAGE));
      row.classList.toggle("marked", index >= this.marked[0] && index < this.marked[1]);
      row.setAttribute("aria-selected", index === this.chosen);
    }
  }

  #take(index) {
    const row = this.free.pop() ?? h("div", {className: "trace-row", role: "row"}, CELLS.map((cell) => h("span", {className: cell, role: "gridcell", ...(PROTOCOL.includes(cell) && {lang: "en"})})));
    row.id = `exchange-${index}`;
    row.dataset.index = index;
    row.setAttribute("aria-rowindex", index + 1);
    row.style.transform = `translateY(${index * ROW}px)`;
    row.filled = null;
    if (!row.isConnected) this.space.append(row);
    row.hidden = false;
    return row;
  }

  #drop(row) {
    row.hidden = true;
    this.free.push(row);
  }

  #fill(row, exchange, index) {
    if (!exchange || row.filled === exchange) return;
    row.filled = exchange;
    const [tap, number, name, mode, status, command, answer, took] = row.children;
    const first = index === 0 || exchange.number === 0;
    tap.textContent = exchange.tap;
    number.textContent = exchange.number || "–";
    name.replaceChildren(...named(exchange));
    mode.textContent = exchange.mode + (exchange.verified && exchange.mode ? " ✓" : "");
    status.textContent = exchange.status;
    command.textContent = exchange.command.slice(0, HEX_SHOWN);
    answer.textContent = exchange.answer === null ? (exchange.lost ?? "") : exchange.answer.slice(0, HEX_SHOWN);
    took.textContent = exchange.number ? exchange.took_ms.toFixed(1) : "";
    row.classList.toggle("first", first);
    row.classList.toggle("lost", exchange.lost !== null);
  }

  async #at(index) {
    await this.#load(Math.floor(index / PAGE));
    const page = this.pages.get(Math.floor(index / PAGE));
    return Array.isArray(page) ? page[index % PAGE] : undefined;
  }

  #load(number) {
    const page = this.pages.get(number);
    if (page) return page;
    const asked = ask("api/trace", {from: number * PAGE, count: PAGE})
      .then((rows) => {
        if (this.pages.get(number) === asked) this.pages.set(number, rows);
        this.#soon();
      })
      .catch(() => this.pages.delete(number));
    this.pages.set(number, asked);
    return asked;
  }

  #detail(row) {
    const hex = (text) => (text ? (text.match(/.{1,2}/g) ?? []).join(" ") : words.no_answer);
    const box = byId("trace-detail");
    box.hidden = false;
    box.replaceChildren(
      h("h3", {}, named(row), row.mode && h("span", {className: "tag"}, `${row.mode}${row.verified ? ` · ${words.verified}` : ""}`)),
      row.content.length ? h("ul", {className: "content", lang: "en"}, row.content.map((line) => h("li", {}, line))) : "",
      h(
        "dl",
        {},
        h("dt", {}, words.terminal_to_card),
        h("dd", {}, h("code", {}, hex(row.command))),
        h("dt", {}, words.card_to_terminal),
        h("dd", {}, h("code", {}, row.lost ? `${words.no_answer}: ${row.lost}` : hex(row.answer))),
        row.session && [h("dt", {}, words.session), h("dd", {lang: "en"}, row.session)],
      ),
    );
  }
}
