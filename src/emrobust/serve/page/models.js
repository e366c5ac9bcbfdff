// Which models and versions there are, what is known of them, and which of them answers.
import { ask, askJson } from "./api.js";
import { sections } from "./card.js";
import { confirmed } from "./confirm.js";
import { by, h, save } from "./dom.js";
import { allModels, fullName, may, refresh } from "./known.js";
import { figures } from "./measures.js";
import { panel } from "./panel.js";
import { tell } from "./trouble.js";
import { number, say, t } from "./words.js";

const STATES = ["active", "shadow", "retired"];
let card = null; // {name, page, parts}
let measured = null; // {name, measures}

/** What a switch would mean for everybody; null where it changes no answer and takes nothing away. */
const follows = (model, state) => {
  if (state === "retired") return t("models.then_retired");
  if (state !== "active") return null;
  const now = allModels().find((one) => one.name === model.name && one.state === "active");
  return now ? t("models.then_replaced", { name: fullName(model), now: fullName(now) }) : t("models.then_answers");
};

const turn = async (model, state) => {
  const then = follows(model, state);
  const action = t(`models.to_${state}`);
  if (then && !await confirmed(t("models.ask", { action, name: fullName(model) }), then, action)) return;
  const path = `v1/models/${encodeURIComponent(model.name)}/versions/${encodeURIComponent(model.version)}`;
  try {
    await askJson(path, { method: "PUT", json: { state } });
    say(t("models.switched", { name: fullName(model), state: t(`state.${state}`) }));
  } catch (failure) {
    tell(failure);
  }
  await own.refresh();
  document.dispatchEvent(new Event("models"));
};

const openMeasures = async (model) => {
  try {
    const measures = await askJson(`v1/models/${encodeURIComponent(fullName(model))}/measures`);
    measured = { name: fullName(model), measures };
    card = null;
    own.draw();
    by("measures-title")?.focus();
  } catch (failure) {
    tell(failure);
  }
};

const openCard = async (model) => {
  try {
    const answer = await ask(`v1/models/${encodeURIComponent(fullName(model))}/card`);
    const page = await answer.text();
    card = { name: fullName(model), page, parts: sections(page) };
    measured = null;
    own.draw();
    by("card-title")?.focus();
  } catch (failure) {
    tell(failure);
  }
};

const facts = (model) => {
  const known = [
    ["models.task", model.task && t(`task.${model.task}`)], ["models.labels", model.labels && number(model.labels)],
    ["models.language", model.language && t(`language.${model.language}`)], ["models.precision", model.precision],
  ];
  return h("dl", { class: "numbers" }, known.filter(([, value]) => value)
    .map(([word, value]) => h("div", {}, h("dt", {}, t(word)), h("dd", {}, value))));
};

const switches = (model) => {
  const choices = STATES.filter((state) => state !== model.state);
  if (!may("administrator") || model.state === "active") return null; // another version takes its place
  return choices.map((state) => h("button", { type: "button", "data-state": state, onclick: () => turn(model, state) }, t(`models.to_${state}`)));
};

const entry = (model) => h("li", { class: `sheet model ${model.state}`, "data-model": fullName(model) },
  h("div", { class: "row head" }, h("h2", {}, model.name, h("small", {}, ` @${model.version}`)),
    h("span", { class: `state ${model.state}` }, t(`state.${model.state}`)),
    model.default && model.state === "active" ? h("span", { class: "soft" }, t("models.default")) : null),
  facts(model),
  h("div", { class: "row foot" }, h("button", { type: "button", "data-measures": "", onclick: () => openMeasures(model) }, t("models.measures")),
    h("button", { type: "button", "data-card": "", onclick: () => openCard(model) }, t("models.card")), switches(model)));

const drawCard = () => (card === null ? null : h("article", { class: "sheet model-card", "aria-labelledby": "card-title" },
  h("div", { class: "row head" }, h("h2", { id: "card-title", tabindex: "-1" }, t("models.card_of", { name: card.name })),
    h("button", { type: "button", onclick: () => save(new Blob([card.page], { type: "text/html" }), `${card.name}-card.html`) }, t("models.card_save")),
    h("button", { type: "button", onclick: () => { close(); own.draw(); } }, t("models.card_close"))),
  card.parts));

const drawMeasures = () => (measured === null ? null : h("article", { class: "sheet", "aria-labelledby": "measures-title" },
  h("div", { class: "row head" }, h("h2", { id: "measures-title", tabindex: "-1" }, t("models.measures_of", { name: measured.name })),
    h("button", { type: "button", onclick: () => { close(); own.draw(); } }, t("models.card_close"))),
  figures(measured.measures)));

const content = () => [
  h("div", { class: "row head" }, h("h1", {}, t("models.title"))),
  h("p", { class: "soft" }, t(may("administrator") ? "models.how" : "models.how_not")),
  h("ul", { class: "models" }, allModels().map(entry)),
  drawMeasures(),
  drawCard(),
];

const look = async () => {
  await refresh();
  return 0;
};

const close = () => {
  card = null;
  measured = null;
};

const own = panel("models", { content, look, forget: close });
export const { enter, leave } = own;
