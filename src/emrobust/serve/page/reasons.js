// Why: what in the note speaks for a diagnosis and against it, what it lacks, similar cases.
import { by, fill, h } from "./dom.js";
import { strongest } from "./highlight.js";
import { textOf } from "./note.js";
import { either, nameOf, percent, t } from "./words.js";

const part = (title, ...content) => h("section", { class: "why" }, h("h3", {}, title), content);

const wide = (made) => {
  made.classList.add("whole");
  return made;
};

const meter = (share) => {
  const filled = h("i");
  filled.style.inlineSize = `${Math.round(share * 100)}%`;
  return h("span", { class: "weight", "aria-hidden": "true" }, filled);
};

const said = (items, side) => h("ul", { class: `said ${side}` },
  items.map((item) => h("li", {}, h("q", {}, item.text), meter(item.share))));

const evidence = (spans) => {
  const speaksFor = strongest(textOf, spans);
  const against = strongest(textOf, spans, { against: true, most: 4 });
  return [
    part(t("why.for"), speaksFor.length ? said(speaksFor, "for") : h("p", { class: "soft" }, t("why.nothing"))),
    against.length ? part(t("why.against"), said(against, "against")) : null,
  ];
};

const missing = (items) => (items.length === 0 ? null : part(t("why.missing"),
  h("ul", { class: "missing" }, items.map((item) => h("li", {},
    item.state === "denied" ? h("span", { class: "denied" }, t("why.denied")) : null, item.finding, " ",
    h("small", { title: t("why.missing_how") }, percent(item.probability))))),
  h("p", { class: "soft" }, t("why.missing_how"))));

const similar = (items) => (items.length === 0 ? null : wide(part(t("why.similar"),
  h("ul", { class: "cases" }, items.map((item) => h("li", {},
    h("p", {}, item.text),
    h("small", {}, item.labels.map(nameOf).join(t("comma")), " · ", t("why.alike", { share: percent(item.similarity) }))))))));

const content = (found) => {
  if (found === undefined) return h("p", { class: "soft" }, t("why.waiting"));
  if (found === null) return h("p", { class: "soft" }, t("why.none"));
  return [evidence(found.evidence ?? []), missing(found.missing ?? []), similar(found.similar ?? [])];
};

/** Show why; `found` is what the service explained, null where it cannot, undefined while it does. */
export const show = (label, found) => {
  by("reasons").hidden = false;
  fill(by("reasons-title"), t("why.title", { label: nameOf(label) }));
  fill(by("reasons-names"), [otherTitle(label), (label.codes ?? []).join(" ")].filter(Boolean).join(" · "));
  by("reasons").setAttribute("aria-busy", String(found === undefined));
  fill(by("reasons-body"), h("div", { class: "whys" }, content(found)));
};

/** The title in the other language, where it is another. */
const otherTitle = (label) => {
  const shown = nameOf(label);
  return [label.title?.zh, label.title?.en, label.label].find((one) => one && one !== shown && one !== either(label.title)) ?? "";
};

export const hide = () => {
  by("reasons").hidden = true;
  fill(by("reasons-title"));
  fill(by("reasons-names"));
  fill(by("reasons-body"));
};
