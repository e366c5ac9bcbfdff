// A model's card, taken out of its page: known elements and their text, nothing that runs or loads.
// A frame would do too, but the card's own style would not pass this page's policy.
const PLAIN = new Set([
  "section", "article", "div", "h2", "h3", "h4", "p", "ul", "ol", "li", "dl", "dt", "dd", "span", "small", "strong", "b", "em",
  "table", "thead", "tbody", "tr", "th", "td", "caption", "figure", "figcaption", "code", "pre",
]);
const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "path", "line", "rect", "circle", "polyline", "polygon", "text", "tspan", "title"]);
const ATTRIBUTES = new Set([
  "class", "scope", "colspan", "rowspan", "viewBox", "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height",
  "points", "transform", "fill", "stroke", "stroke-width", "stroke-dasharray", "text-anchor", "font-size", "role", "aria-label", "opacity",
]);

const CLASSES = ["item", "open", "n"]; // that this page has a style for; others mean something else here

/** What is copied of an attribute: all of it, or the known classes. */
const copied = (key, value) => {
  if (!ATTRIBUTES.has(key)) return null;
  return key === "class" ? CLASSES.filter((known) => value.split(" ").includes(known)).join(" ") || null : value;
};

const copy = (node) => {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  const name = node.localName;
  const drawn = node.namespaceURI === SVG;
  if (!(drawn ? DRAWN : PLAIN).has(name)) return null;
  const made = drawn ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const { name: key, value } of node.attributes) {
    const said = copied(key, value);
    if (said !== null) made.setAttribute(key, said);
  }
  made.append(...[...node.childNodes].map(copy).filter(Boolean));
  return made;
};

/** The sections of a card's page. */
export const sections = (page) => {
  // The card's own style would be refused, and the browser would say so.
  const plain = page.replace(/<style[\s\S]*?<\/style>/gi, "");
  const parsed = new DOMParser().parseFromString(plain, "text/html");
  return [...(parsed.querySelector("main") ?? parsed.body).children].map(copy).filter(Boolean);
};
