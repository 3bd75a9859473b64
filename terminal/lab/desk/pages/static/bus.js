// The bus: its line with the stop where it is, what the driver does, and what its on-board computer does.

import {byId, doing, h, order, words} from "./dom.js";

export class Bus {
  constructor() {
    for (const button of document.querySelectorAll("[data-move]")) {
      button.addEventListener("click", doing(() => order("api/bus", {move: button.dataset.move})));
    }
    const on = (button) => button.getAttribute("aria-checked") === "true";
    const drive = byId("bus-drive");
    drive.addEventListener("click", doing(() => order("api/bus", {move: on(drive) ? "stand" : "drive"})));
    const razzia = byId("bus-razzia");
    razzia.addEventListener("click", doing(() => order("api/bus", {razzia: !on(razzia)})));
    byId("bus-computer").addEventListener("change", doing((event) => order("api/bus", {computer: event.target.value})));
  }

  show(bus) {
    byId("bus-line").textContent = bus.line ? `${bus.route} ${bus.line} · ${bus.direction}` : `${words.route} ${bus.route}. ${words.no_stops}`;
    this.#stops(bus);
    byId("bus-step").textContent = words[`step_${bus.phase}`];
    for (const button of document.querySelectorAll('[data-move="step"], [data-move="next_stop"], #bus-drive')) button.disabled = bus.ended;
    byId("bus-drive").setAttribute("aria-checked", bus.driving);
    byId("bus-razzia").setAttribute("aria-checked", bus.razzia);
    this.#computer(bus);
    const age = bus.age ? words.heard.replace("{age}", bus.age) : words.never_heard;
    byId("bus-heard").textContent = [`${age}: ${words[bus.known]}`, bus.trouble].filter(Boolean).join(". ");
    byId("bus-heard").className = `bus-heard ${bus.known}`;
  }

  #stops(bus) {
    const list = byId("bus-stops");
    const names = JSON.stringify(bus.stops);
    if (names !== this.names) {
      this.names = names;
      const stop = (one) => h("li", {}, h("span", {className: "stop-name"}, one.name), one.zone && h("span", {className: "stop-zone"}, one.zone));
      list.replaceChildren(...bus.stops.map(stop));
      list.hidden = !bus.stops.length;
    }
    for (const [index, item] of [...list.children].entries()) {
      const here = index === bus.index;
      item.className = here ? `here ${bus.phase}` : index < bus.index ? "passed" : "";
      if (here) item.setAttribute("aria-current", "location");
      else item.removeAttribute("aria-current");
      item.title = here ? words[`phase_${bus.phase}`] : "";
    }
  }

  #computer(bus) {
    const select = byId("bus-computer");
    const kinds = bus.mistakes.join();
    if (kinds !== this.kinds) {
      this.kinds = kinds;
      select.replaceChildren(...bus.mistakes.map((kind) => h("option", {value: kind}, words[`computer_${kind}`])));
    }
    if (document.activeElement !== select) select.value = bus.computer;
  }
}
