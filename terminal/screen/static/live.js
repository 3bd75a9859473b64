// A page's connection to its terminal. Reconnects by itself; notifies the page when the terminal falls silent.
//
//   live("events", {value: show, silent: outOfOrder, back: clear, gap: () => location.reload()});
//
// `value` gets each published value, parsed, in order, and its id. `silent` is called once when nothing, not even a heartbeat, came
// for two seconds; `back` once when something came again. While the page is hidden it listens only if `hiddenToo`: a
// browser opens no more than six connections to one server, and gets what it missed when the page is visible again.

const SILENT_MS = 2000;
const RETRY_MS = 1000;

export function live(
  address,
  {value, silent = () => {}, back = () => {}, gap = () => location.reload(), hiddenToo = false},
) {
  let stream;
  let heardAt = performance.now();
  let quiet = false;
  let last = "";
  let openedAt = 0;

  function heard(agoMs) {
    heardAt = Math.max(heardAt, performance.now() - agoMs);
    if (quiet && performance.now() - heardAt < SILENT_MS) {
      quiet = false;
      back();
    }
  }

  function open() {
    stream?.close();
    openedAt = performance.now();
    const url = new URL(address, document.baseURI);
    if (last) url.searchParams.set("after", last);
    stream = new EventSource(url);
    stream.addEventListener("heartbeat", (event) => heard(Number(event.data)));
    stream.addEventListener("gap", gap);
    stream.onmessage = (event) => {
      last = event.lastEventId;
      heard(0);
      value(JSON.parse(event.data), last);
    };
    stream.onerror = () => {
      // The browser tries again after a lost connection, but not after an answer that is no stream.
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => away() || open(), RETRY_MS);
    };
  }

  const away = () => document.hidden && !hiddenToo;

  document.addEventListener("visibilitychange", () => {
    if (away()) {
      stream.close();
    } else if (stream.readyState === EventSource.CLOSED) {
      heardAt = performance.now();
      open();
    }
  });

  setInterval(() => {
    if (away() || performance.now() - heardAt < SILENT_MS) return;
    if (!quiet) {
      quiet = true;
      silent();
    }
    // A frozen or vanished terminal leaves a connection that never ends: begin a new one now and then.
    if (performance.now() - openedAt > 2 * SILENT_MS) open();
  }, 100);
  if (away()) stream = {close: () => {}, readyState: EventSource.CLOSED}; // opened when the page is visible
  else open();
  return {close: () => stream.close()};
}
