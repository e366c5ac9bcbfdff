// A question before what concerns others and cannot be undone with a key.
import { by, fill, h } from "./dom.js";
import { t } from "./words.js";

/** Ask, with what would follow and the words of the button that does it; whether the answer is yes. */
export const confirmed = (question, follows, yes) => new Promise((resolve) => {
  const place = by("confirm");
  const button = (value, words, attributes = {}) =>
    h("button", { type: "button", onclick: () => place.close(value), ...attributes }, words);
  fill(
    place,
    h("h2", { id: "confirm-title" }, question),
    h("p", { id: "confirm-follows" }, follows),
    h("div", { class: "row foot" }, button("no", t("correct.cancel"), { autofocus: true }), button("yes", yes, { class: "main", id: "confirm-yes" })),
  );
  place.returnValue = "no"; // of Escape, too
  place.addEventListener("close", () => resolve(place.returnValue === "yes"), { once: true });
  place.showModal();
});
