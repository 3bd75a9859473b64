// The devices around the driver's terminal: what its ports do to lamps, buzzer, barrier and paper, and what a hand does.

import {ask, byId, complain, doing, order, words} from "./dom.js";
import {Tones} from "./tones.js";

const isOn = (button) => button.getAttribute("aria-checked") === "true";
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

export class Devices {
  constructor() {
    this.tones = new Tones();
    this.asking = false;
    this.again = false;
    const move = (body) => order("api/devices", body).then((now) => this.show(now));
    const press = (id, body) => byId(id).addEventListener("click", doing(() => move(body(isOn(byId(id))))));
    press("barrier-passes", () => ({passes: true}));
    press("barrier-forced", (on) => ({forced: !on}));
    press("supply", (on) => ({supply: !on}));
    press("housing", (on) => ({housing: on}));
    press("has-paper", (on) => ({paper: !on}));
    byId("scan-phone").addEventListener("click", doing(() => move({phone: byId("scan-phone").dataset.phone})));
    byId("scan-printed").addEventListener("click", doing(() => move({phone: byId("scan-printed").dataset.phone, printed: true})));
    byId("scan-holder").addEventListener("click", doing(() => move({holder: true})));
    byId("scan-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = byId("scan");
      doing(() => move({scan: field.value}))().then(() => field.select());
    });
    byId("sound").addEventListener("click", () => {
      const wanted = !isOn(byId("sound"));
      byId("sound").setAttribute("aria-checked", wanted);
      this.tones.wanted(wanted);
    });
  }

  // One request at a time; news that comes meanwhile makes one more.
  async refresh() {
    this.again = true;
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.again) {
        this.again = false;
        this.show(await ask("api/devices"));
      }
    } catch (error) {
      complain(error);
    } finally {
      this.asking = false;
    }
  }

  show(now) {
    for (const item of document.querySelectorAll("[data-lamp]")) {
      const lit = now.lamps[item.dataset.lamp];
      item.classList.toggle("lit", lit);
      if (lit) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    }
    this.#tones(now);
    this.#barrier(now.barrier);
    this.#power(now);
    this.#serial(now);
    byId("devices-failing").textContent = now.failing.length ? `${words.device_failing}: ${now.failing.join(", ")}` : "";
  }

  #tones(now) {
    this.tones.heard(now.sounds);
    const newest = this.tones.newest.map((tone) => filled(words[`tone_${tone.pitch}`], {ms: tone.ms}));
    byId("tones").textContent = newest.length ? `♪ ${newest.join(" · ")}` : words.no_tone;
  }

  #barrier(barrier) {
    byId("barrier").classList.toggle("open", barrier.open);
    byId("barrier").classList.toggle("forced", barrier.forced);
    byId("barrier-state").textContent = barrier.forced ? words.barrier_forced : barrier.open ? words.barrier_open : words.barrier_closed;
    byId("barrier-forced").setAttribute("aria-checked", barrier.forced);
    byId("barrier-counts").textContent = filled(words.barrier_counts, barrier);
  }

  #power(now) {
    byId("supply").setAttribute("aria-checked", now.supply);
    byId("housing").setAttribute("aria-checked", !now.housing);
    const state = byId("power-state");
    state.classList.toggle("trouble", !now.supply || now.tampered);
    state.textContent = now.tampered ? filled(words.key_wiped, now) : now.supply ? words.supply_good : words.supply_fails;
  }

  #serial(now) {
    for (const section of document.querySelectorAll(".devices .serial")) section.inert = !now.serial;
    byId("scan-count").textContent = now.serial ? filled(words.codes_read, now) : words.no_serial;
    byId("scan-holder").hidden = !now.printed_waits;
    byId("has-paper").setAttribute("aria-checked", now.has_paper);
    const paper = byId("paper");
    const lines = now.paper.join("\n");
    if (paper.textContent !== lines) {
      paper.textContent = lines;
      paper.scrollTop = paper.scrollHeight;
    }
    paper.classList.toggle("blank", !lines);
    byId("paper-state").textContent = now.serial ? filled(now.waiting ? words.tickets_wait : words.tickets_printed, now) : words.no_serial;
  }
}
