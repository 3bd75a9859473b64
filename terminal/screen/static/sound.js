// One short beep: done. Two: attention. Three: refused. Made here, so that no file is loaded; pitch differs as well.

const PITCH_HZ = {green: 1047, yellow: 698, red: 349};
const LOUDNESS = 0.4;
const EDGE_S = 0.008; // soft edges: a tone that starts at once clicks

let context;
let last;

// Kiosk browsers let pages sound at once; others wait for the first touch or key.
function audio() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume();
  return context;
}

for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, audio);

export function beep(colour, {beeps, beep_ms, gap_ms}) {
  const ctx = audio();
  if (ctx.state === "suspended") return; // nothing is kept to sound later, beside another message
  last?.disconnect(); // the next passenger's sound is not mixed with this one's
  last = ctx.createGain();
  last.connect(ctx.destination);
  const begin = ctx.currentTime;
  for (let number = 0; number < beeps; number++) {
    tone(ctx, PITCH_HZ[colour], begin + (number * (beep_ms + gap_ms)) / 1000, beep_ms / 1000);
  }
}

function tone(ctx, pitch, at, length) {
  const oscillator = ctx.createOscillator();
  const edge = ctx.createGain();
  oscillator.type = "triangle";
  oscillator.frequency.value = pitch;
  edge.gain.setValueAtTime(0, at);
  edge.gain.linearRampToValueAtTime(LOUDNESS, at + EDGE_S);
  edge.gain.setValueAtTime(LOUDNESS, at + length - EDGE_S);
  edge.gain.linearRampToValueAtTime(0, at + length);
  oscillator.connect(edge).connect(last);
  oscillator.start(at);
  oscillator.stop(at + length);
}
