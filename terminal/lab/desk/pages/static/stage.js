// The terminals: their displays, where a card is held against them, their shifts, and what goes wrong next.

import {byId, doing, h, language, order, words} from "./dom.js";

const AT_EXCHANGE = new Set(["tear_before", "tear_after", "silent", "corrupt", "endless"]);
const DISPLAY_WIDTH = 480;

export class Stage {
  constructor(tap) {
    this.tap = doing(({card, place}) => tap(card, place));
    this.places = new Map();
    this.held = null;
    byId("mishap").addEventListener("change", () => this.#mishap());
    byId("mishap-form").addEventListener("submit", (event) => event.preventDefault());
    this.#displays();
  }

  show(places) {
    if (!this.places.size) {
      byId("terminals").replaceChildren(...places.map((place, index) => this.#terminal(place, index)));
      this.#fit();
    }
    for (const place of places) this.#fill(this.places.get(place.key), place);
  }

  hold(card) {
    this.held = card;
    for (const parts of this.places.values()) this.#pad(parts);
  }

  busy(key, busy) {
    const parts = this.places.get(key);
    parts.pad.classList.toggle("busy", busy);
    parts.pad.setAttribute("aria-busy", busy);
  }

  disturbance() {
    const chosen = {mishap: byId("mishap").value, exchange: Number(byId("exchange").value) || 1};
    if (!byId("mishap-stays").checked) {
      byId("mishap").value = "none";
      this.#mishap();
    }
    return chosen;
  }

  #mishap() {
    const mishap = byId("mishap").value;
    byId("exchange").disabled = !AT_EXCHANGE.has(mishap);
    byId("mishap-form").classList.toggle("armed", mishap !== "none");
  }

  #terminal(place, index) {
    const parts = {
      key: place.key,
      frame: h("iframe", {title: place.title, loading: "eager", tabIndex: -1, width: 480, height: 272}),
      mirror: h("div", {className: "mirror"}),
      next: null,
      doubt: h("p", {className: "doubt", role: "status"}),
      shift: h("p", {className: "shift"}),
      badge: h("span", {className: "badge"}),
      padCard: h("span", {className: "pad-card"}),
    };
    parts.pad = h(
      "button",
      {
        type: "button",
        className: "pad",
        "data-place": place.key,
        disabled: true,
        onclick: () => this.held && this.tap({card: this.held.name, place: place.key}),
      },
      h("span", {className: "waves", "aria-hidden": "true"}),
      h("span", {className: "pad-text"}, words.tap_here),
      h("kbd", {"aria-hidden": "true"}, String(index + 1)),
      parts.padCard,
    );
    parts.route = h("input", {type: "number", min: 0, max: 32767, id: `route-${place.key}`});
    parts.direction = h("select", {id: `direction-${place.key}`}, h("option", {value: 0}, "→"), h("option", {value: 1}, "←"));
    parts.close = h("button", {type: "button", onclick: doing(() => order("api/shift", {place: place.key, open: false}))}, words.close_shift);
    parts.open = h("button", {type: "submit", className: "strong"});
    const form = h(
      "form",
      {
        className: "shift-form",
        onsubmit: doing(async (event) => {
          event.preventDefault();
          await order("api/shift", {
            place: place.key,
            open: true,
            route: Number(parts.route.value) || 0,
            direction: Number(parts.direction.value),
          });
        }),
      },
      place.profile === "bus" && h("label", {htmlFor: parts.route.id}, words.route),
      place.profile === "bus" && parts.route,
      place.profile === "bus" && h("label", {htmlFor: parts.direction.id}, words.direction),
      place.profile === "bus" && parts.direction,
      h("div", {className: "shift-actions"}, parts.open, parts.close),
    );
    parts.summary = h("summary", {}, parts.shift);
    parts.screen = h("div", {className: "screen"}, parts.frame, parts.mirror);
    const root = h(
      "section",
      {className: "terminal", "aria-label": place.title, "data-terminal": place.key},
      h("h3", {}, place.title, parts.badge),
      parts.screen,
      parts.doubt,
      parts.pad,
      place.next && this.#nextRide(parts),
      h("details", {className: "shift-box"}, parts.summary, form),
    );
    this.#drop(root, place.key);
    this.places.set(place.key, parts);
    return root;
  }

  // What the conductor says of the next card: how many ride with it, and where it goes.
  #nextRide(parts) {
    const say = (body) => order("api/ride", {place: parts.key, ...body});
    const count = h("output", {className: "companions"});
    const button = (sign, label, more) =>
      h("button", {type: "button", "aria-label": label, title: label, onclick: doing(() => say({more}))}, sign);
    const goal = h("select", {id: `goal-${parts.key}`, onchange: doing((event) => say({goal: event.target.value}))});
    const where = h("span", {className: "goal"}, h("label", {htmlFor: goal.id}, words.goal), goal);
    parts.next = {count, goal, where, keys: null};
    return h(
      "div",
      {className: "next-ride", role: "group", "aria-label": words.companions, title: words.companions},
      h("span", {className: "hint"}, words.companions_short),
      h("span", {className: "group"}, button("−", words.fewer, -1), count, button("+", words.more, 1)),
      where,
    );
  }

  #fillNext({count, goal, where, keys}, next) {
    count.textContent = String(next.companions);
    where.hidden = !next.goals.length;
    const now = next.goals.map((one) => one.key).join();
    if (now !== keys) {
      goal.replaceChildren(h("option", {value: ""}, words.no_goal), ...next.goals.map((one) => h("option", {value: one.key}, one.name)));
    }
    if (document.activeElement !== goal || now !== keys) goal.value = next.goal;
    return now;
  }

  #drop(root, place) {
    const over = (on) => (event) => {
      event.preventDefault();
      root.classList.toggle("over", on);
    };
    root.addEventListener("dragenter", over(true));
    root.addEventListener("dragover", over(true));
    root.addEventListener("dragleave", (event) => {
      if (!root.contains(event.relatedTarget)) over(false)(event);
    });
    root.addEventListener("drop", (event) => {
      over(false)(event);
      const card = event.dataTransfer.getData("text/plain");
      if (card) this.tap({card, place});
    });
  }

  #fill(parts, place) {
    const {shift} = place;
    const where = place.profile === "bus" && shift ? ` · ${words.route} ${shift.route} ${shift.direction ? "←" : "→"}` : "";
    parts.shift.textContent = shift ? `${words.shift_open}${where}` : words.no_shift;
    parts.shift.classList.toggle("closed", !shift);
    parts.open.textContent = shift ? words.change_route : words.open_shift;
    parts.open.hidden = Boolean(shift) && place.profile !== "bus";
    parts.close.disabled = !shift;
    parts.doubt.textContent = place.clock ? words[place.clock] : "";
    if (parts.next) parts.next.keys = this.#fillNext(parts.next, place.next);
    parts.badge.textContent = place.unsent ? String(place.unsent) : "";
    parts.badge.title = place.unsent ? words.waiting : "";
    if (shift && document.activeElement !== parts.route) parts.route.value = shift.route;
    if (shift && document.activeElement !== parts.direction) parts.direction.value = shift.direction;
    this.#pad(parts);
  }

  #pad(parts) {
    parts.pad.disabled = !this.held;
    parts.padCard.textContent = this.held ? this.held.title : words.no_card;
  }

  // A browser keeps few connections to one address, and each display holds one: only one window shows them.
  #displays() {
    const show = () => {
      for (const parts of this.places.values()) {
        const wanted = new URL(`display/${language}/${parts.key}/`, document.baseURI).href;
        if (parts.frame.src !== wanted) parts.frame.src = wanted;
        parts.screen.classList.remove("away");
      }
    };
    const hide = () => {
      for (const parts of this.places.values()) {
        parts.frame.src = "about:blank";
        parts.screen.classList.add("away");
        parts.mirror.replaceChildren(h("p", {}, words.elsewhere), h("button", {type: "button", onclick: claim}, words.show_here));
      }
    };
    const claim = () =>
      navigator.locks
        .request("desk-displays", {steal: true}, () => {
          show();
          return new Promise(() => {});
        })
        .catch(hide);
    this.claim = claim;
    window.addEventListener("focus", () => this.places.size && claim());
  }

  #fit() {
    const fit = new ResizeObserver((entries) => {
      for (const {target, contentRect} of entries) {
        target.querySelector("iframe").style.transform = `scale(${contentRect.width / DISPLAY_WIDTH})`;
      }
    });
    for (const parts of this.places.values()) fit.observe(parts.screen);
    this.claim();
  }
}
