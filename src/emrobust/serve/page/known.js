// What the page knows of the service: who asks, and which models there are.
import { askJson } from "./api.js";

const RANK = { clinician: 0, reviewer: 1, administrator: 2 };
let me = null;
let models = [];
let chosen = null; // the name of a model that the doctor has picked
const labels = new Map(); // name@version → its labels

/** Who asks: `{name, role, keeps_text, …}`. */
export const caller = () => me;

/** Whether the caller may do what this role may. */
export const may = (role) => me !== null && RANK[me.role] >= RANK[role];

/** All models and versions. */
export const allModels = () => models;

/** The active version of each model. */
export const activeModels = () => models.filter((model) => model.state === "active");

/** The model that answers: the picked one, else the default. */
export const chosenModel = () => {
  const active = activeModels();
  return active.find((model) => model.name === chosen) ?? active.find((model) => model.default) ?? active[0];
};

export const choose = (name) => { chosen = name; };

/** Ask for the models again. */
export const refresh = async () => {
  ({ models } = await askJson("v1/models"));
  return models;
};

/** A version of a model by one name. */
export const fullName = ({ name, version }) => `${name}@${version}`;

/** The labels of a version, by its full name: `{label, title, codes}`. */
export const labelsOf = async (model) => {
  if (!labels.has(model)) {
    labels.set(model, (await askJson(`v1/models/${encodeURIComponent(model)}/labels`)).labels);
  }
  return labels.get(model);
};

/** A label of these by its name, with its titles. */
export const titled = (name, among) => among.find(({ label }) => label === name) ?? { label: name };

/** Ask who the key belongs to, and for the models. */
export const meet = async () => {
  me = await askJson("v1/me");
  await refresh();
  return me;
};

export const leave = () => {
  me = null;
  models = [];
  chosen = null;
};
