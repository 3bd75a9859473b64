// The buzzer as it was driven: always to be seen, to be heard only by who wants it.

const HERTZ = {low: 880, high: 1320};
const PAUSE_MS = 400; // a longer one ends what belongs together
const LOUD = 0.08;

export class Tones {
  constructor() {
    this.newest = [];
    this.until = -1; // by the terminal's clock
    this.sound = null;
    this.free = 0;
    this.known = false;
  }

  wanted(wanted) {
    if (wanted) this.sound ??= new AudioContext();
    else this.sound?.close();
    if (!wanted) this.sound = null;
    this.free = 0;
  }

  // What is heard for the first time when the page opens was before it.
  heard(sounds) {
    const fresh = sounds.filter((tone) => tone.at_ms > this.until);
    for (const tone of fresh) if (this.known) this.#play(tone);
    this.until = fresh.at(-1)?.at_ms ?? this.until;
    this.known = true;
    const together = [];
    for (const tone of sounds) {
      const last = together.at(-1);
      if (last && tone.at_ms - (last.at_ms + last.ms) > PAUSE_MS) together.length = 0;
      together.push(tone);
    }
    this.newest = together;
  }

  #play(tone) {
    if (!this.sound) return;
    const at = Math.max(this.sound.currentTime, this.free);
    this.free = at + tone.ms / 1000;
    const pipe = this.sound.createOscillator();
    const loud = this.sound.createGain();
    loud.gain.value = LOUD;
    pipe.frequency.value = HERTZ[tone.pitch];
    pipe.connect(loud).connect(this.sound.destination);
    pipe.start(at);
    pipe.stop(this.free);
    document.documentElement.dataset.sounded = String(Number(document.documentElement.dataset.sounded ?? 0) + 1);
  }
}
