// Single keys, for hands that know them; they can be turned off, as WCAG 2.1.4 asks.
import { by, fill, h } from "./dom.js";
import { t } from "./words.js";

const KEPT = "emrobust-single-keys";
const LIST = [
  ["Ctrl ⏎", "keys.run"], ["↑ ↓", "keys.move"], ["A", "verdict.accept"], ["C", "verdict.correct"],
  ["R", "verdict.reject"], ["Z", "verdict.undo"], ["N", "verdict.next"], ["E", "note.edit"], ["?", "keys.title"],
];

const isOn = () => {
  try { return localStorage.getItem(KEPT) !== "off"; } catch { return true; }
};

const turn = (on) => {
  try { localStorage.setItem(KEPT, on ? "on" : "off"); } catch { /* a browser that keeps nothing */ }
};

const TYPING = "input, textarea, select, dialog, [contenteditable]";

/** Show which keys there are. */
export const show = () => {
  fill(
    by("shortcuts"),
    h("h2", { id: "shortcuts-title" }, t("keys.title")),
    h("dl", { class: "keys" }, LIST.map(([name, word]) => h("div", {}, h("dt", {}, h("kbd", {}, name)), h("dd", {}, t(word))))),
    h("label", { class: "check" }, h("input", { type: "checkbox", checked: isOn(), onchange: (event) => turn(event.target.checked) }), " ", t("keys.single")),
    h("div", { class: "row foot" }, h("button", { type: "button", class: "main", onclick: () => by("shortcuts").close() }, t("keys.close"))),
  );
  by("shortcuts").showModal();
};

/** `actions`: letter → what it does; only while the diagnose panel is shown and nobody types. */
export const start = (actions) => {
  by("keys").addEventListener("click", show);
  document.addEventListener("keydown", (event) => {
    if (by("diagnose").hidden || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(TYPING) || !isOn()) return;
    const action = event.key === "?" ? show : actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
};
