// What a screen reader would stumble over: controls without a name, ids used twice, tab stops that
// jump, ARIA that leads nowhere. Returns a list of complaints.
() => {
  const NAMED = "button, a, input, select, textarea, dialog[open], " +
    "[role=img], [role=tabpanel], [role=listbox], [role=region]";
  const LINKS = ["aria-controls", "aria-labelledby", "aria-describedby", "aria-activedescendant", "for"];
  const at = (id) => document.getElementById(id);
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
  const nameOf = (e) => [
    e.getAttribute("aria-label"),
    ...(e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => at(id)?.textContent),
    ...[...(e.labels ?? [])].map((label) => label.textContent),
    ["BUTTON", "A"].includes(e.tagName) ? e.textContent : "",
  ].join("").trim();
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return [
    ...seen(NAMED).filter((e) => !nameOf(e)).map((e) => `no name: ${e.outerHTML.slice(0, 80)}`),
    ...ids.filter((id, k) => ids.indexOf(id) !== k).map((id) => `twice: ${id}`),
    ...seen("[tabindex]").filter((e) => e.tabIndex > 0).map((e) => `jumps: ${e.id}`),
    ...LINKS.flatMap((key) => seen(`[${key}]`).flatMap((e) => e.getAttribute(key).split(" "))
      .filter((id) => !at(id)).map((id) => `${key} leads nowhere: ${id}`)),
  ];
}
