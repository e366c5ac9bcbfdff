// Elements, made without markup: what a service or a note says is only ever text.
const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const by = (id) => document.getElementById(id);

const put = (made, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
};

/** An element with attributes, listeners (`onclick`) and children; absent children are left out. */
export const h = (name, attributes = {}, ...children) =>
  put(document.createElement(name), attributes, children);

/** The same for SVG. */
export const s = (name, attributes = {}, ...children) =>
  put(document.createElementNS(SVG, name), attributes, children);

/** Children in place of those that are there. */
export const fill = (place, ...children) => {
  place.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return place;
};

/** A short text as it is seen: chat programs and tables put unseen characters around what is copied. */
export const visible = (text) => text.replace(/[\p{Cc}\p{Cf}]/gu, "").trim();

/** A file for the user to keep. */
export const save = (blob, name) => {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
