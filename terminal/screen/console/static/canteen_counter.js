// The counter, live: after each tap the terminal sends the page's inner part anew.

import {live} from "./live.js";

const place = document.getElementById("live");
const silent = document.getElementById("silent");

live(place.dataset.events, {
  value: (news) => {
    place.innerHTML = news.html; // made by the terminal's own templates, which escape every name
  },
  silent: () => {
    silent.hidden = false;
  },
  back: () => {
    silent.hidden = true;
  },
});
