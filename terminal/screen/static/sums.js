// Sums in whole minor units, written as the server writes them: `format` is its own (terminal.money.SumFormat), and no
// script knows how many decimals a currency has.

export function sumText(minor, {pattern, point, group, decimals}) {
  const digits = String(Math.abs(minor)).padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, group);
  const number = decimals ? whole + point + digits.slice(-decimals) : whole;
  return pattern.replace("{sign}", minor < 0 ? "-" : "").replace("{number}", number);
}
