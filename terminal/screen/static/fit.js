// Letters as large as the room allows, for any text, language, size and orientation of the screen.

const LARGEST = 0.11; // of the screen's longer side
const SMALLEST_PX = 8;
const STEPS = 9;
const SAFETY = 0.985; // lengths are measured in whole pixels

export function fit(words, room) {
  const style = getComputedStyle(room);
  const inside = room.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const others = style.flexDirection === "column" ? besides(words) + parseFloat(style.rowGap) : 0;
  const height = inside - others;
  let fits = SMALLEST_PX;
  let tooLarge = LARGEST * Math.max(room.clientWidth, room.clientHeight);
  for (let step = 0; step < STEPS; step++) {
    const tried = (fits + tooLarge) / 2;
    words.style.setProperty("--letter", `${tried}px`);
    // Words are not broken, so one that is longer than its line counts as too large as well.
    if (words.scrollHeight > height || words.scrollWidth > words.clientWidth) tooLarge = tried;
    else fits = tried;
  }
  words.style.setProperty("--letter", `${(fits * SAFETY).toFixed(2)}px`);
}

function besides(words) {
  return [...words.parentElement.children].reduce((sum, child) => (child === words ? sum : sum + child.offsetHeight), 0);
}
