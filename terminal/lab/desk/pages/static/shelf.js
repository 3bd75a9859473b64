// The shelf: cards one wants to take.

import {byId, h, words} from "./dom.js";

const GROUPS = ["purse", "rights", "pupils", "staff", "trouble", "bank", "strange", "hostile"];

export class Shelf {
  constructor(taken) {
    this.taken = taken;
    this.held = null;
    this.buttons = new Map();
    this.cards = [];
    byId("cards").addEventListener("keydown", (event) => this.#move(event));
    byId("cards").addEventListener("focusin", (event) => this.#reach(event.target.closest("[data-card]")));
  }

  show(cards) {
    this.cards = cards;
    const names = cards.map((card) => card.name).join();
    if (names !== this.names) this.#build(cards, names);
    for (const card of cards) this.#fill(this.buttons.get(card.name), card);
    if (this.held) this.put(this.held.name);
  }

  put(name) {
    this.held = this.cards.find((card) => card.name === name) ?? null;
    for (const [own, button] of this.buttons) button.setAttribute("aria-pressed", own === name);
    this.taken(this.held);
  }

  #build(cards, names) {
    this.names = names;
    this.buttons.clear();
    const groups = GROUPS.filter((group) => cards.some((card) => card.group === group)).map((group) => {
      const own = cards.filter((card) => card.group === group).map((card) => this.#card(card));
      const title = h("h3", {id: `group-${group}`}, words[`group_${group}`]);
      return h("section", {className: "card-group", "aria-labelledby": `group-${group}`}, title, h("div", {className: "cards"}, own));
    });
    byId("cards").replaceChildren(...groups);
    this.#reach(this.buttons.values().next().value);
  }

  // One stop for Tab; arrows do the rest.
  #reach(reached) {
    if (!reached) return;
    for (const button of this.buttons.values()) button.tabIndex = button === reached ? 0 : -1;
  }

  #card(card) {
    const button = h(
      "button",
      {
        type: "button",
        className: `card ${card.group}`,
        draggable: true,
        "data-card": card.name,
        "aria-pressed": "false",
        onclick: () => this.put(this.held?.name === card.name ? null : card.name),
        ondragstart: (event) => {
          this.put(card.name);
          event.dataTransfer.setData("text/plain", card.name);
          event.dataTransfer.effectAllowed = "move";
          document.body.classList.add("dragging");
        },
        ondragend: () => document.body.classList.remove("dragging"),
      },
      h("img", {className: "art", src: `art/${encodeURIComponent(card.name)}.svg`, alt: "", draggable: false}),
      h("span", {className: "card-title"}),
      h("span", {className: "card-flags"}),
      h("span", {className: "card-foot"}, h("span", {className: "card-chip"}), h("span", {className: "card-money"})),
    );
    this.buttons.set(card.name, button);
    return button;
  }

  #fill(button, card) {
    const [, title, flags, {children: [chip, sum]}] = button.children;
    const before = sum.textContent;
    title.textContent = card.title;
    button.title = card.title;
    flags.textContent = card.flags.map((flag) => words[flag]).join(", ");
    chip.textContent = card.chip;
    sum.textContent = card.balance;
    if (before && before !== card.balance) {
      sum.classList.remove("fresh");
      requestAnimationFrame(() => sum.classList.add("fresh"));
    }
  }

  // Arrows go from card to card as on a table.
  #move(event) {
    const at = event.target.closest("[data-card]");
    const columns = at ? getComputedStyle(at.parentElement).gridTemplateColumns.split(" ").length : 1;
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns}[event.key];
    if (!at || !step) return;
    const all = [...this.buttons.values()];
    all[Math.min(all.length - 1, Math.max(0, all.indexOf(at) + step))].focus();
    event.preventDefault();
  }
}
