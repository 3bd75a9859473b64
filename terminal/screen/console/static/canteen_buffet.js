// The shelf narrows while one types; without this module the button beside the field does it.

const field = document.querySelector("[data-find]");
const wares = [...document.querySelectorAll(".wares > [data-name]")];
const plain = (text) => text.toLocaleLowerCase().replaceAll("ё", "е");

field.addEventListener("input", () => {
  const words = plain(field.value).split(/\s+/).filter(Boolean);
  for (const ware of wares) ware.hidden = !words.every((word) => plain(ware.dataset.name).includes(word));
});
