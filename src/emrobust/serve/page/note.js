// The note: typed or pasted as a whole or in its parts, then read with what speaks for a label.
import { by, fill, h, visible } from "./dom.js";
import { pieces } from "./highlight.js";
import { current, has, t } from "./words.js";

const WHOLE = "text";
let fields = []; // the columns that the model reads; fewer than two: there is only the whole note
let shape = "whole";
let reading = false;
let examples = [];
let marked = [];
let unread = []; // {start, end, field?}: what the model left out, at the end of a text

const nameOfField = (name) => (has(`field.${name}`) ? t(`field.${name}`) : name);
const inputs = () => [...by("inputs").querySelectorAll("textarea")];
const names = () => (shape === "parts" ? fields : [WHOLE]);

const values = () => Object.fromEntries(inputs().map((box) => [box.name, box.value]));

/** What is asked about, as the service wants it. */
export const request = () => {
  const stated = Object.entries(values()).filter(([, text]) => text.trim() !== "");
  const given = shape === "parts" ? { fields: Object.fromEntries(stated) } : { text: values()[WHOLE] };
  const record = visible(by("record").value);
  return record ? { ...given, record_id: record } : given;
};

export const isEmpty = () => inputs().every((box) => box.value.trim() === "");

/** The text that a span's places count in. */
export const textOf = (span) => values()[span.field ?? WHOLE] ?? "";

const box = (name, value) => {
  const rows = name === WHOLE ? 14 : { chief_complaint: 2, present_illness: 7 }[name] ?? 4;
  const id = `note-${name}`;
  const area = h("textarea", {
    id, name, rows, spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    placeholder: name === WHOLE ? t("note.placeholder") : "",
  });
  area.value = value ?? "";
  const label = name === WHOLE ? t("note.text") : nameOfField(name);
  return h("div", { class: `part ${name === WHOLE ? "whole" : ""}` },
    h("label", { for: id, class: name === WHOLE ? "unseen" : "" }, label), area);
};

const drawInputs = (kept) => {
  fill(by("inputs"), names().map((name) => box(name, kept[name])));
  by("shape").hidden = fields.length < 2;
  for (const button of by("shape").children) {
    button.setAttribute("aria-pressed", String(button.dataset.shape === shape));
  }
};

const drawExamples = () => {
  const group = (language) => h("optgroup", { label: t(`language.${language}`) },
    examples.map((example, place) => (example.language === language
      ? h("option", { value: String(place) }, example.title) : null)));
  const order = current() === "zh" ? ["zh", "en"] : ["en", "zh"];
  const held = by("example").value;
  fill(by("example"), h("option", { value: "" }, t("note.example")), order.map(group));
  by("example").value = held;
};

const draw = () => {
  drawInputs(values());
  drawExamples();
  drawRead();
};

/** Join the parts of a note into one text, or take a text as the present illness. */
const change = (next) => {
  if (next === shape) return;
  const held = values();
  shape = next;
  const texts = next === "whole"
    ? { [WHOLE]: fields.map((name) => held[name]).filter(Boolean).join("\n") }
    : { [fields.includes("present_illness") ? "present_illness" : fields[0]]: held[WHOLE] };
  drawInputs(texts);
};

const useExample = () => {
  const chosen = by("example").value;
  const example = examples[Number(chosen)];
  if (chosen === "") return;
  edit();
  const held = shape === "parts" ? example.fields : { [WHOLE]: Object.values(example.fields).join("\n") };
  by("record").value = "";
  drawInputs(held);
  document.dispatchEvent(new Event("example"));
};

const mark = ({ text, weight, grade }) => {
  if (grade === 0) return text;
  const side = weight > 0 ? "for" : "against";
  return h("mark", { class: `${side} ${["", "one", "two", "three"][grade]}` }, text);
};

/** A text as it was read: with what speaks for a label, and where the model stopped. */
const drawText = (text, name) => {
  const isHere = (span) => (span.field ?? WHOLE) === name;
  const characters = Array.from(text);
  const end = unread.find(isHere)?.start ?? characters.length;
  const rest = characters.slice(end).join("");
  return h("p", {}, pieces(characters.slice(0, end).join(""), marked.filter(isHere)).map(mark),
    rest.trim() ? [" ", h("small", { class: "stop" }, t("note.unread")), h("span", { class: "unread" }, rest)] : rest);
};

const drawRead = () => {
  if (!reading) return;
  fill(by("read"), names().map((name) => {
    const text = values()[name] ?? "";
    return [name === WHOLE ? null : h("h3", {}, nameOfField(name)), drawText(text, name)];
  }));
  by("legend").hidden = marked.length === 0;
};

const turn = (to) => {
  reading = to;
  by("inputs").hidden = to;
  by("read").hidden = !to;
  by("edit").hidden = !to;
  by("run").hidden = to;
  by("record").readOnly = to;
  by("shape").classList.toggle("away", to); // keeps its place, so that nothing moves
  if (!to) by("legend").hidden = true;
  drawRead();
};

/** Show the note as it was read, with these spans `{start, end, weight, field?}` marked. */
export const read = (spans, left) => {
  marked = spans;
  unread = left;
  turn(true);
};

/** Back to typing. */
export const edit = () => {
  marked = [];
  turn(false);
};

/** Put the cursor where typing begins. */
export const focus = () => inputs()[0]?.focus();

/** Forget the note. */
export const clear = () => {
  for (const area of inputs()) area.value = "";
  by("record").value = "";
  by("example").value = "";
  fill(by("read"));
  edit();
};

/** Take the columns that a model reads. */
export const useFields = (next) => {
  const held = values();
  fields = next.length > 1 ? next : [];
  if (fields.length === 0) shape = "whole";
  drawInputs(held);
};

export const start = async () => {
  examples = await (await fetch(new URL("examples.json", import.meta.url))).json();
  for (const button of by("shape").children) {
    button.addEventListener("click", () => change(button.dataset.shape));
  }
  by("example").addEventListener("change", useExample);
  document.addEventListener("language", draw);
  draw();
};
