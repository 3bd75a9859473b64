// A phone behind a pipe: one request a line, one answer a line.
import { createInterface } from "node:readline";
import { Phone, base45, challengeText, fromHex, momentText, toBeSigned, toHex } from "../../sim/phone_page/phone.mjs";

const phone = await Phone.create();
const does = {
  point: async () => toHex(await phone.point()),
  keep: ({ credential }) => toHex((phone.credential = fromHex(credential))),
  left: () => String(phone.left()),
  lock: ({ locked }) => String((phone.locked = locked)),
  code: ({ at }) => phone.code(at),
  answer: async ({ command }) => toHex(await phone.answer(fromHex(command))),
  base45: ({ data }) => base45(fromHex(data)),
  to_be_signed: ({ text }) => toHex(toBeSigned(fromHex(text))),
  moment: ({ at, counter, credential }) => toHex(momentText(at, counter, fromHex(credential))),
  challenge: async ({ challenge, terminal, credential }) =>
    toHex(await challengeText(fromHex(challenge), fromHex(terminal), fromHex(credential))),
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(await does[asked.do](asked)));
}
