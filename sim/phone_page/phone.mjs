// A resident's phone by docs/phone.md: its key never leaves WebCrypto. For browsers and for node.

const { subtle } = globalThis.crypto;
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const AID = fromHex("F0524341524401");
const HEADER = fromHex("A10126");
const MOST = 2 ** 32;

export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toHex(bytes) {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

function joined(...parts) {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part)));
}

function same(first, second) {
  return first.length === second.length && first.every((one, at) => one === second[at]);
}

function head(major, number) {
  const kind = major << 5;
  if (number < 24) return [kind | number];
  if (number < 256) return [kind | 24, number];
  if (number < 65536) return [kind | 25, number >> 8, number & 255];
  if (number >= MOST) throw new RangeError("a number below 2^32 belongs here");
  return [kind | 26, number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];
}

const number = (value) => head(0, value);
const bytes = (value) => joined(head(2, value.length), value);

export function toBeSigned(text) {
  const name = new TextEncoder().encode("Signature1");
  return joined([0x84], head(3, name.length), name, bytes(HEADER), [0x40], bytes(text));
}

export function momentText(at, counter, credential) {
  return joined([0xa4, 1, 1, 2], number(at), [3], number(counter), [4], bytes(credential));
}

export async function challengeText(challenge, terminal, credential) {
  const digest = new Uint8Array(await subtle.digest("SHA-256", credential)).slice(0, 16);
  return joined([0xa4, 1, 1, 2], bytes(challenge), [3], bytes(terminal), [4], bytes(digest));
}

export function base45(data) {
  let text = "";
  for (let at = 0; at < data.length; at += 2) {
    const pair = at + 1 < data.length;
    const value = pair ? data[at] * 256 + data[at + 1] : data[at];
    text += ALPHABET[value % 45] + ALPHABET[Math.floor(value / 45) % 45];
    if (pair) text += ALPHABET[Math.floor(value / 2025)];
  }
  return text;
}

export class Phone {
  // `keys` as WebCrypto has them; `counter` is that of the last code shown.
  constructor(keys, credential = new Uint8Array(), counter = 0) {
    this.keys = keys;
    this.credential = credential;
    this.counter = counter;
    this.locked = false;
    this.selected = false;
    this.answered = false;
  }

  // The terminal's field is gone (HCE: onDeactivated), and the holder has seen what was answered.
  left() {
    this.selected = this.answered = false;
  }

  static async create() {
    return new Phone(await subtle.generateKey(ECDSA, false, ["sign", "verify"]));
  }

  // x and y, 64 bytes, for the issuer.
  async point() {
    return new Uint8Array(await subtle.exportKey("raw", this.keys.publicKey)).slice(1);
  }

  async signed(text, detached) {
    const signature = new Uint8Array(await subtle.sign(ECDSA, this.keys.privateKey, toBeSigned(text)));
    const carried = detached ? [0xf6] : bytes(text);
    return joined([0xd2, 0x84], bytes(HEADER), [0xa0], carried, bytes(signature));
  }

  // The text of a code at `at`, seconds since 1970.
  async code(at) {
    this.counter += 1;
    return "RC1:" + base45(await this.signed(momentText(at, this.counter, this.credential), false));
  }

  // What the phone answers to a command of the terminal; status word included.
  async answer(command) {
    const [cla, ins, p1, p2, length] = command;
    if (cla !== 0) return fromHex("6E00");
    const data = command.slice(5, 5 + (length ?? 0));
    if (ins === 0xa4) return this.#select(p1, p2, data);
    if (!this.selected) return fromHex("6D00");
    if (this.locked) return fromHex("6985");
    if (ins === 0xb0) return joined(this.credential.slice(0, length || 256), [0x90, 0]);
    if (ins === 0x88) return this.#prove(data);
    return fromHex(ins === 0xd6 ? "9000" : "6D00");
  }

  #select(p1, p2, name) {
    this.selected = false;
    if (p1 !== 4 || p2 !== 0 || !same(name, AID)) return fromHex("6A82");
    if (this.locked) return fromHex("6985");
    if (this.credential.length === 0) return fromHex("6A88");
    this.selected = true;
    const about = [0x80, 1, 1, 0x81, 2, this.credential.length >> 8, this.credential.length & 255];
    const inside = joined([0x84, AID.length], AID, [0xa5, about.length], about);
    return joined([0x6f, inside.length], inside, [0x90, 0]);
  }

  async #prove(text) {
    const expected = await challengeText(text.slice(5, 21), text.slice(23, 31), this.credential);
    if (!same(text, expected)) return fromHex("6A80");
    if (this.answered) return fromHex("6985"); // one answer while it lies there
    this.answered = true;
    return joined(await this.signed(text, true), [0x90, 0]);
  }
}
