// Tables: one is dropped, its job is watched, its result is taken home.
import { ask, askJson } from "./api.js";
import { by, fill, h, save } from "./dom.js";
import { activeModels, chosenModel } from "./known.js";
import { tell } from "./trouble.js";
import { moment, number, say, t } from "./words.js";

const EVERY = 1500;
const UPLOAD_PATIENCE = 30 * 60_000;
const MOVING = ["queued", "running"];
let jobs = null;
let sending = null; // the name of a table on its way
const names = new Map(); // job → file name; the service keeps none, since it may name a patient
let clock = 0;
let shown = false;

const place = () => by("batch");

const send = async (file) => {
  if (!file || sending) return;
  sending = file.name;
  draw();
  const model = by("batch-model")?.value ?? chosenModel()?.name;
  const ending = file.name.match(/\.[^.]*$/)?.[0] ?? ""; // the rest may name a patient
  const asked = new URLSearchParams({ name: `table${ending}`, ...(model ? { model } : {}) });
  try {
    const { job } = await askJson(`v1/batch?${asked}`, { method: "POST", body: file, patience: UPLOAD_PATIENCE });
    names.set(job, file.name);
    say(t("batch.queued", { name: file.name }));
  } catch (failure) {
    tell(failure);
  }
  sending = null;
  await look();
};

const look = async () => {
  clearTimeout(clock);
  try {
    ({ jobs } = await askJson("v1/batch"));
  } catch (failure) {
    tell(failure, look);
  }
  if (!shown) return;
  draw();
  if (jobs?.some((job) => MOVING.includes(job.state))) clock = setTimeout(look, EVERY);
};

const nameOf = (job) => names.get(job.id) ?? t("batch.nameless", { id: job.id.slice(-6) });

const cancel = async (job) => {
  try {
    await ask(`v1/batch/${job.id}`, { method: "DELETE" });
  } catch (failure) {
    tell(failure);
  }
  await look();
};

const download = async (job, what, ending) => {
  try {
    const answer = await ask(`v1/batch/${job.id}/${what}`, { patience: UPLOAD_PATIENCE });
    save(await answer.blob(), `${nameOf(job).replace(/\.[^.]*$/, "")}-${ending}.csv`);
  } catch (failure) {
    tell(failure);
  }
};

const progress = (job) => {
  const rows = job.total === undefined ? t("batch.rows", { done: number(job.done) })
    : t("batch.rows_of", { done: number(job.done), total: number(job.total) });
  const meter = { class: "meter", "aria-label": t("batch.progress", { name: nameOf(job) }), max: job.total || 1 };
  if (job.total !== undefined || job.state !== "running") meter.value = job.state === "done" ? job.total || 1 : job.done;
  return [MOVING.includes(job.state) ? h("progress", meter) : null, h("small", {}, rows),
    job.until ? h("small", {}, t("batch.until", { at: moment(job.until) })) : null];
};

const button = (job, name, word, onclick, style = "") =>
  h("button", { type: "button", class: style, "data-focus": `${name}-${job.id}`, onclick }, t(word));

const actions = (job) => {
  if (MOVING.includes(job.state)) return button(job, "stop", "batch.cancel", () => cancel(job));
  if (job.state !== "done") return null;
  return [
    button(job, "get", "batch.download", () => download(job, "result", "predictions")), " ",
    button(job, "refused", "batch.refused", () => download(job, "rejects", "rejects"), "plain"),
    button(job, "erase", "batch.erase", () => cancel(job), "plain"),
  ];
};

const row = (job) => h("tr", { "data-job": job.id },
  h("th", { scope: "row" }, h("span", { class: "name" }, nameOf(job)), h("small", {}, job.model ?? "")),
  h("td", {}, job.at ? moment(job.at) : ""),
  h("td", {}, h("span", { class: `state ${job.state}` }, t(`state.${job.state}`)), job.reason ? h("small", {}, job.reason) : null),
  h("td", { class: "wide" }, progress(job)),
  h("td", { class: "n" }, actions(job)));

const table = () => {
  if (jobs === null) return h("p", { class: "soft" }, t("loading"));
  if (jobs.length === 0) return h("p", { class: "soft" }, t("batch.empty"));
  const heads = ["batch.name", "batch.at", "batch.state", "batch.done"];
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "jobs-title" }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((word) => h("th", { scope: "col" }, t(word))), h("th", { scope: "col" }, h("span", { class: "unseen" }, t("batch.actions"))))),
    h("tbody", {}, jobs.map(row))));
};

const picker = () => {
  const models = activeModels();
  if (models.length < 2) return null;
  const now = chosenModel();
  return h("label", { class: "pick" }, t("batch.model"), " ", h("select", { id: "batch-model" },
    models.map((model) => h("option", { value: model.name, selected: model === now }, model.name))));
};

const drop = () => {
  const file = h("input", { type: "file", id: "batch-file", class: "unseen", "aria-describedby": "batch-kinds", onchange: (event) => send(event.target.files[0]) });
  const over = (event) => { event.preventDefault(); event.currentTarget.classList.add("over"); };
  const out = (event) => event.currentTarget.classList.remove("over");
  const dropped = (event) => { event.preventDefault(); out(event); send(event.dataTransfer.files[0]); };
  return h("label", { class: "drop", for: "batch-file", ondragover: over, ondragleave: out, ondrop: dropped },
    file, h("b", {}, sending ? t("batch.sending", { name: sending }) : t("batch.drop")),
    h("span", { class: "soft", id: "batch-kinds" }, t("batch.kinds")));
};

const draw = () => {
  const focused = document.activeElement?.dataset?.focus ?? document.activeElement?.id;
  fill(
    place(),
    h("section", { class: "sheet" }, h("div", { class: "row head" }, h("h1", {}, t("batch.title")), picker()),
      h("p", { class: "soft" }, t("batch.how")), drop()),
    h("section", { class: "sheet" }, h("h2", { id: "jobs-title" }, t("batch.jobs")), table()),
  );
  if (focused) place().querySelector(`[data-focus="${focused}"], [id="${focused}"]`)?.focus();
};

export const enter = () => {
  shown = true;
  draw();
  look();
};

export const leave = () => {
  shown = false;
  clearTimeout(clock);
  jobs = null;
  fill(place());
};

/** Forget the names of files, which may name a patient. */
export const forget = () => names.clear();

document.addEventListener("language", () => { if (shown) draw(); });
