// One rider: what he has, his taps, and what comes of each under the document as it stands.

import {byId, complain, doing, h, language, words} from "../dom.js";
import {sumText} from "../sums.js";
import {download, mistakeList} from "./editor.js";

const LOCALE = language === "ru" ? "ru-RU" : "en-GB";
const MOST = {concessions: 3, contracts: 2};
const TEXTS = {at: "datetime-local", serving: "text"};
const NEVER = "2099-12-31";

const pad = (number) => String(number).padStart(2, "0");
const local = (moment) =>
  `${moment.getUTCFullYear()}-${pad(moment.getUTCMonth() + 1)}-${pad(moment.getUTCDate())}T${pad(moment.getUTCHours())}:${pad(moment.getUTCMinutes())}:${pad(moment.getUTCSeconds())}`;
// Times of the region carry no offset; they are only ever moved by whole spans.
const later = (at, seconds) => local(new Date(Date.parse(`${at.slice(0, 19)}Z`) + seconds * 1000));
export const moment = (at) => new Date(`${at.slice(0, 19)}Z`).toLocaleString(LOCALE, {dateStyle: "short", timeStyle: "medium", timeZone: "UTC"});

const newStory = () => ({name: words.story_name, rider: words.story_rider, card: {balance_minor: 50000}, taps: []});

export class Rider {
  constructor({changed, save}) {
    this.changed = changed;
    this.facts = null;
    this.story = newStory();
    this.open = new Set();
    byId("clear").addEventListener("click", () => this.begin(newStory()));
    byId("save").addEventListener("click", doing(async () => this.#saved(await save())));
    byId("saved-download").addEventListener("click", () => download("rider.toml", byId("saved-text").value));
    byId("saved-copy").addEventListener("click", doing(() => this.#copy()));
    byId("card").addEventListener("submit", (event) => event.preventDefault());
  }

  begin(story, {quiet = false} = {}) {
    this.story = story ?? newStory();
    this.played = [];
    this.open.clear();
    byId("saved").hidden = true;
    this.#paint();
    if (!quiet) this.#put();
  }

  // `facts`: what the document has that a story may name; `found`: what came of the taps.
  show(facts, found) {
    const other = JSON.stringify(facts) !== JSON.stringify(this.facts);
    this.facts = facts;
    if (other) this.#paint();
    byId("panel-rider").classList.remove("stale");
    byId("total").classList.remove("bad");
    if (found?.problem) {
      byId("total").replaceChildren(h("ol", {className: "problems-of"}, mistakeList(found.problem)));
      byId("total").classList.add("bad");
      this.#results([]);
      return;
    }
    this.#results(found?.taps ?? []);
    byId("total").textContent = found ? `${words.in_all}: ${sumText(found.charge_minor, facts.sum_format)}` : "";
  }

  // The document cannot be used: what stands there came of an earlier text.
  unjudged() {
    byId("panel-rider").classList.add("stale");
  }

  #put() {
    this.changed(structuredClone(this.story));
  }

  #paint() {
    const focus = document.activeElement?.dataset.field;
    byId("card").replaceChildren(...this.#cardForm());
    byId("story").replaceChildren(...this.story.taps.map((tap, index) => this.#tap(tap, index)));
    byId("adding").replaceChildren(...this.#adding());
    byId("no-taps").hidden = this.story.taps.length > 0;
    this.#results(this.played ?? []);
    if (focus) document.querySelector(`[data-field="${CSS.escape(focus)}"]`)?.focus();
  }

  // the card

  #cardForm() {
    const kinds = {card: words.resident_card, bank_card: words.bank_card, cash: words.cash};
    const kind = this.story.card ? "card" : this.story.bank_card ? "bank_card" : "cash";
    const choose = (value) => {
      for (const name of Object.keys(kinds)) delete this.story[name];
      this.story[value] = value === "card" ? {balance_minor: 50000} : {};
      this.#paint();
      this.#put();
    };
    const parts = [this.#select(words.pays_with, "kind", Object.entries(kinds), kind, choose)];
    const card = this.story.card;
    if (!card) return parts;
    const unit = 10 ** (this.facts?.sum_format.decimals ?? 0);
    parts.push(
      this.#input(words.balance, "balance", {type: "number", step: 1 / unit, min: 0, value: (card.balance_minor ?? 0) / unit}, (value) => {
        card.balance_minor = Math.round(Number(value) * unit);
      }),
      ...(card.concessions ?? []).map((grant, index) => this.#grant(card, grant, index)),
      ...(card.contracts ?? []).map((bought, index) => this.#contract(card, bought, index)),
      h(
        "div",
        {className: "adding"},
        this.#add(card, "concessions", words.add_concession, () => ({code: this.#codes()[0]?.[0] ?? 1, ...this.#year()})),
        this.#add(card, "contracts", words.add_contract, () => ({product: this.facts?.products[0]?.id ?? 1, ...this.#year(), trips: this.facts?.products[0]?.trips ?? 0})),
      ),
      h(
        "details",
        {className: "more"},
        h("summary", {}, words.more_of_card),
        this.#check(words.card_blocked, "blocked", card.blocked, (on) => (card.blocked = on)),
        this.#check(words.card_inactive, "inactive", card.inactive, (on) => (card.inactive = on)),
        this.#check(words.card_denied, "denied", (card.deny_listed ?? "none") !== "none", (on) => (card.deny_listed = on ? "card" : "none")),
        this.#input(words.valid_to, "card_to", {type: "date", value: card.valid_to ?? NEVER}, (value) => (card.valid_to = value || NEVER)),
      ),
    );
    return parts;
  }

  #year() {
    const [from, to] = [this.facts?.valid_from ?? "2026-01-01", this.facts?.valid_to ?? "2026-12-31"];
    return {valid_from: from, valid_to: to};
  }

  #codes() {
    const named = (this.facts?.concessions ?? []).map(({code, name}) => [code, `${code} · ${name}`]);
    const known = new Set(named.map(([code]) => code));
    const meals = (this.facts?.entitlements ?? []).filter((code) => !known.has(code));
    return [...named, ...meals.map((code) => [code, `${code} · ${words.meals}`])];
  }

  #add(card, list, label, make) {
    const full = (card[list]?.length ?? 0) >= MOST[list];
    const none = list === "contracts" ? !this.facts?.products.length : !this.#codes().length;
    const add = () => {
      card[list] = [...(card[list] ?? []), make()];
      this.#paint();
      this.#put();
    };
    return h("button", {type: "button", disabled: full || none, onclick: add, "data-field": `add-${list}`}, `+ ${label}`);
  }

  #grant(card, grant, index) {
    const field = (name) => `concession-${index}-${name}`;
    const school = this.facts?.meals.length
      ? ["grade", "shift"].map((name) =>
          this.#input(words[name], field(name), {type: "number", min: 0, max: name === "grade" ? 11 : 2, value: grant[name] ?? 0}, (value) => (grant[name] = Number(value))),
        )
      : [];
    return this.#right(card, "concessions", index, grant, [
      this.#select(words.concession, field("code"), this.#codes(), grant.code, (value) => (grant.code = Number(value))),
      ...school,
    ]);
  }

  #contract(card, bought, index) {
    const products = (this.facts?.products ?? []).map(({id, name}) => [id, `${id} · ${name}`]);
    const field = (name) => `contract-${index}-${name}`;
    return this.#right(card, "contracts", index, bought, [
      this.#select(words.contract, field("product"), products, bought.product, (value) => {
        bought.product = Number(value);
        bought.trips = this.facts.products.find(({id}) => id === bought.product)?.trips ?? 0;
        this.#paint();
      }),
      this.#input(words.trips, field("trips"), {type: "number", min: 0, max: 255, value: bought.trips ?? 0}, (value) => (bought.trips = Number(value))),
    ]);
  }

  #right(card, list, index, right, fields) {
    const remove = () => {
      card[list].splice(index, 1);
      this.#paint();
      this.#put();
    };
    const name = list === "contracts" ? words.contract : words.concession;
    return h(
      "fieldset",
      {className: "right"},
      h("legend", {className: "visually-hidden"}, `${name} ${index + 1}`),
      fields,
      ["valid_from", "valid_to"].map((day) =>
        this.#input(words[day], `${list}-${index}-${day}`, {type: "date", value: right[day], required: true}, (value) => value && (right[day] = value)),
      ),
      h("button", {type: "button", className: "quiet", "aria-label": `${words.remove}: ${name} ${index + 1}`, onclick: remove}, "✕"),
    );
  }

  // the taps

  #adding() {
    const more = [
      [words.add_ride, (last) => ({...last, at: later(last.at, 3600)})],
      [words.add_change, (last) => ({...last, at: later(last.at, 600), route: (last.route ?? 1) + 1})],
      [words.add_back, (last) => ({...last, at: later(last.at, 2 * 3600), direction: 1 - (last.direction ?? 0)})],
      [words.add_next_day, (last) => ({...last, at: later(last.at, 24 * 3600)})],
    ];
    const buttons = more.map(([label, make]) => h("button", {type: "button", onclick: () => this.#append(make(this.#last()))}, `+ ${label}`));
    if (this.facts?.meals.length && this.story.card) {
      const meal = () => ({at: `${this.#last().at.slice(0, 10)}T12:00:00`, profile: "canteen", terminal: 20});
      buttons.push(h("button", {type: "button", onclick: () => this.#append(meal())}, `+ ${words.add_meal}`));
    }
    return buttons;
  }

  // The newest tap with its own moment, as a pattern for another one; before the first, an hour before it.
  #last() {
    const taps = this.story.taps;
    if (!taps.length) return {at: later(this.#morning(), -3600), route: 1};
    const {after_s: _after, repeat: _repeat, issuing_point: _visit, note: _note, ...last} = taps.at(-1);
    const played = this.played?.findLast((one) => one.tap === taps.length);
    return {...last, at: (played?.at ?? last.at ?? this.#morning()).slice(0, 19)};
  }

  #morning() {
    const today = local(new Date()).slice(0, 10);
    const {valid_from: from, valid_to: to} = this.facts ?? {valid_from: today, valid_to: NEVER};
    return `${from <= today && today < to ? today : from}T08:00:00`;
  }

  #append(tap) {
    this.story.taps.push(tap);
    this.#paint();
    this.#put();
    byId("story").lastElementChild.querySelector("input")?.focus();
  }

  #tap(tap, index) {
    const remove = () => {
      this.story.taps.splice(index, 1);
      this.played = [];
      this.#paint();
      this.#put();
    };
    const number = (name, more = {}) => this.#number(tap, index, name, more);
    const canteen = tap.profile === "canteen";
    const main = [
      tap.after_s === undefined
        ? this.#input(words.at, `tap-${index}-at`, {type: TEXTS.at, step: 1, value: tap.at?.slice(0, 19), required: true}, (value) => value && (tap.at = value.length === 16 ? `${value}:00` : value))
        : number("after_s", {min: 0}),
      canteen || number("route", {min: 0, max: 65535, usual: 1}),
      canteen ||
        this.#select(words.direction, `tap-${index}-direction`, [[0, words.there], [1, words.back]], tap.direction ?? 0, (value) => (tap.direction = Number(value))),
    ];
    return h(
      "li",
      {"data-tap": index + 1},
      h(
        "div",
        {className: "tap-fields"},
        h("span", {className: "tap-number", "aria-hidden": "true"}, `${index + 1}.`),
        main,
        h("button", {type: "button", className: "quiet", "aria-label": `${words.remove}: ${words.tap} ${index + 1}`, onclick: remove}, "✕"),
      ),
      h("details", {className: "more"}, h("summary", {}, words.more_of_tap), h("div", {className: "tap-fields"}, this.#moreOf(tap, index, number, canteen))),
      h("div", {className: "came"}),
    );
  }

  #moreOf(tap, index, number, canteen) {
    const facts = this.facts ?? {zones: [], modes: [], meals: [], feed: false};
    const list = (name, options) =>
      this.#select(words[name], `tap-${index}-${name}`, [["", "–"], ...options], tap[name] ?? "", (value) => {
        if (value === "") delete tap[name];
        else tap[name] = /^\d+$/.test(value) ? Number(value) : value;
      });
    const zones = facts.zones.map((zone) => [zone.number, `${zone.number} · ${zone.name}`]);
    if (canteen) return [number("terminal", {min: 1, usual: 1}), list("serving", facts.meals.map((meal) => [meal, meal]))];
    const zoned = zones.length ? ["zone", "to_zone", "terminus_zone"].map((name) => list(name, zones)) : [];
    const stops = facts.feed ? ["stop", "to_stop", "terminus_stop"].map((name) => number(name, {min: 0})) : [];
    return [
      list("mode", facts.modes.map((mode) => [mode, words[`mode_${mode}`] ?? mode])),
      number("companions", {min: 0, max: 15, usual: 0}),
      number("terminal", {min: 1, usual: 1}),
      ...zoned,
      ...stops,
      number("mark_m", {min: 0}),
      number("to_mark_m", {min: 0}),
      this.#check(words.inspection, `tap-${index}-inspection`, tap.inspection, (on) => (tap.inspection = on)),
    ];
  }

  #number(tap, index, name, {usual = null, ...limits}) {
    return this.#input(words[name], `tap-${index}-${name}`, {type: "number", step: 1, ...limits, value: tap[name] ?? usual ?? ""}, (value) => {
      if (value === "") delete tap[name];
      else tap[name] = Math.trunc(Number(value));
    });
  }

  // what came of them

  #results(taps) {
    this.played = taps;
    for (const item of byId("story").children) {
      const number = Number(item.dataset.tap);
      const own = taps.filter((one) => one.tap === number);
      item.querySelector(".came").replaceChildren(...(own.length ? this.#came(number, own) : []));
    }
  }

  #came(number, turns) {
    const last = turns.at(-1);
    const sum = (minor) => sumText(minor, this.facts.sum_format);
    const times = turns.length > 1 ? `${turns.length} × · ${sum(turns.reduce((before, one) => before + one.charge_minor, 0))} · ` : "";
    const facts = [
      [words.charged, sum(last.charge_minor)],
      [words.balance, last.balance_minor === null ? "–" : sum(last.balance_minor)],
      [words.paid_by, last.paid_by],
      ...Object.entries(last.counters).filter(([, value]) => value).map(([name, value]) => [name, value]),
    ];
    const remember = ({target}) => (target.open ? this.open.add(number) : this.open.delete(number));
    return [
      h("p", {className: `said ${last.colour}`}, `${times}${last.message}`),
      h("dl", {className: "facts"}, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value))))),
      h("details", {open: this.open.has(number), ontoggle: remember}, h("summary", {}, words.why), trail(last)),
    ];
  }

  // saving

  #saved(found) {
    if (!found.save) throw Object.assign(new Error(words.mend_first), {advice: ""});
    if (found.save.problem) throw problemOf(found.save.problem);
    byId("saved").hidden = false;
    byId("saved-text").value = found.save.text;
    byId("saved-verdict").textContent = found.save.differing ? words.saved_differs : words.saved_same;
    byId("saved-verdict").className = `verdict ${found.save.differing ? "wait" : "good"}`;
    byId("saved-text").focus();
  }

  async #copy() {
    const area = byId("saved-text");
    area.select();
    await navigator.clipboard.writeText(area.value).catch(() => document.execCommand("copy"));
    complain(Object.assign(new Error(words.copied), {advice: ""}));
  }

  // fields

  #field(label, control) {
    control.id = `field-${control.dataset.field}`;
    return h("div", {className: "field"}, h("label", {htmlFor: control.id}, label), control);
  }

  #input(label, field, properties, take) {
    const oninput = ({target}) => {
      if (!target.checkValidity()) return;
      take(target.value);
      this.#put();
    };
    return this.#field(label, h("input", {...properties, "data-field": field, oninput}));
  }

  #check(label, field, checked, take) {
    const onchange = ({target}) => {
      take(target.checked);
      this.#put();
    };
    return h("label", {className: "check"}, h("input", {type: "checkbox", checked: Boolean(checked), "data-field": field, onchange}), ` ${label}`);
  }

  // A value the document does not have stays chosen and is shown as what it is.
  #select(label, field, options, value, take) {
    const known = options.some(([one]) => String(one) === String(value));
    const all = known ? options : [[value, `${value} · ${words.not_in_document}`], ...options];
    const onchange = ({target}) => {
      take(target.value);
      this.#put();
    };
    const select = h("select", {"data-field": field, onchange}, all.map(([one, text]) => h("option", {value: String(one), selected: String(one) === String(value)}, text)));
    return this.#field(label, select);
  }
}

export const problemOf = ([first]) => Object.assign(new Error([first.place, first.what].filter(Boolean).join(": ")), {advice: first.advice});

export const trail = (tap) => h("ol", {className: "reasons"}, tap.trail.map((step) => h("li", {}, h("code", {}, step.rule), " ", step.words)));
