// Tables: one is dropped, its job is watched, its result is taken home.
import { ask, askJson } from "./api.js";
import { by, h, save } from "./dom.js";
import { activeModels, chosenModel } from "./known.js";
import { panel } from "./panel.js";
import { tell } from "./trouble.js";
import * as upload from "./upload.js";
import { moment, number, say, t } from "./words.js";

const EVERY = 1500;
const DOWNLOAD_PATIENCE = 30 * 60_000;
const MOVING = ["queued", "running"];
let jobs = null;
const names = new Map(); // job → file name; the service keeps none, since it may name a patient

const send = async (file) => {
  if (!file || upload.isSending()) return;
  const model = by("batch-model")?.value ?? chosenModel()?.name;
  const ending = file.name.match(/\.[^.]*$/)?.[0] ?? ""; // the rest may name a patient
  const asked = new URLSearchParams({ name: `table${ending}`, ...(model ? { model } : {}) });
  const sent = upload.send(file, `v1/batch?${asked}`);
  own.draw();
  by("sending-stop")?.focus();
  try {
    names.set(await sent, file.name);
  } catch (failure) {
    if (failure.code === "input") failure.code = "table";
    tell(failure);
  }
  own.draw();
  by("batch-file")?.focus();
  await own.refresh();
};

const look = async () => {
  ({ jobs } = await askJson("v1/batch"));
  return jobs.some((job) => MOVING.includes(job.state)) ? EVERY : 0;
};

const nameOf = (job) => names.get(job.id) ?? t("batch.nameless", { id: job.id.slice(-6) });

/** Stop a job, or erase the result of one that is done. */
const cancel = async (job) => {
  try {
    const { state } = await askJson(`v1/batch/${job.id}`, { method: "DELETE" });
    if (state === "erased") say(t("batch.erased", { name: nameOf(job) }));
  } catch (failure) {
    tell(failure);
  }
  await own.refresh();
  if (document.activeElement === document.body) by("jobs-list")?.focus(); // its button is gone
};

const download = async (job, what, ending) => {
  try {
    const answer = await ask(`v1/batch/${job.id}/${what}`, { patience: DOWNLOAD_PATIENCE });
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

const reason = ({ cause, reason: said }) => {
  if (cause) return h("small", {}, t(`failed.${cause}`));
  return said ? h("small", {}, t("problem.detail"), " ", h("span", { lang: "en" }, said)) : null;
};

const row = (job) => h("tr", { "data-job": job.id },
  h("th", { scope: "row" }, h("span", { class: "name" }, nameOf(job)), h("small", {}, job.model ?? "")),
  h("td", {}, job.at ? moment(job.at) : ""),
  h("td", {}, h("span", { class: `state ${job.state}` }, t(`state.${job.state}`)), reason(job)),
  h("td", { class: "wide" }, progress(job)),
  h("td", { class: "n" }, actions(job)));

const table = () => {
  if (jobs === null) return h("p", { class: "soft" }, t("loading"));
  if (jobs.length === 0) return h("p", { class: "soft" }, t("batch.empty"));
  const heads = ["batch.name", "batch.at", "batch.state", "batch.done"];
  return h("div", { class: "scroll", id: "jobs-list", tabindex: "0", role: "region", "aria-labelledby": "jobs-title" }, h("table", { class: "jobs" },
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
    file, h("b", {}, t("batch.drop")), h("span", { class: "soft", id: "batch-kinds" }, t("batch.kinds")));
};

const content = () => [
  h("section", { class: "sheet" }, h("div", { class: "row head" }, h("h1", {}, t("batch.title")), picker()),
    h("p", { class: "soft" }, t("batch.how")), upload.isSending() ? upload.shown() : drop()),
  h("section", { class: "sheet" }, h("h2", { id: "jobs-title" }, t("batch.jobs")), table()),
];

const own = panel("batch", { content, look, forget: () => { jobs = null; } });
export const { enter, leave } = own;

/** Forget the names of files, which may name a patient, and stop what somebody else was sending. */
export const forget = () => {
  upload.stop();
  names.clear();
};
