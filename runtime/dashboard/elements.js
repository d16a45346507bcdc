// Elements: made, kept from refresh to refresh, and changed only where something has changed.

const SVG = "http://www.w3.org/2000/svg";

/** The element of this id, which the page has. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`#${id} is missing from the page`);
  return found;
}

/** A new element; `on` holds listeners, other attributes are set as they are, null leaves one out. */
export function element(tag, { on = {}, ...attributes } = {}, ...children) {
  return filled(document.createElement(tag), on, attributes, children);
}

/** A new element of a drawing. */
export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), {}, attributes, children);
}

function filled(made, on, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) made.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  made.append(...children);
  return made;
}

/** One of the icons that the page defines. */
export function icon(name) {
  const use = drawn("use", { href: `#icon-${name}` });
  return drawn("svg", { class: "icon", "aria-hidden": "true", focusable: "false" }, use);
}

/** Changes an element's text, if it is another one. */
export function put(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Sets or, with null, removes an attribute, if that changes anything. */
export function mark(target, name, value) {
  if (target.getAttribute(name) === value) return;
  if (value === null) target.removeAttribute(name);
  else target.setAttribute(name, value);
}

/** A list of elements that follows a list of things: each keeps its element as long as it is there. */
export class Kept {
  #parent;
  #key;
  #make;
  #there = new Map();

  /**
   * parent: holds the elements and nothing else.
   * key: of a thing, a text that names it.
   * make: of a thing, {root, update}; update is called with the thing each time.
   */
  constructor(parent, key, make) {
    this.#parent = parent;
    this.#key = key;
    this.#make = make;
  }

  show(things) {
    const wanted = new Set(things.map(this.#key));
    for (const [key, { root }] of this.#there) {
      if (wanted.has(key)) continue;
      root.remove();
      this.#there.delete(key);
    }
    things.forEach((thing, index) => {
      const key = this.#key(thing);
      if (!this.#there.has(key)) this.#there.set(key, this.#make(thing));
      const { root, update } = this.#there.get(key);
      update(thing);
      // Moved only if it has to be: what is moved loses the focus.
      const here = this.#parent.children[index];
      if (here !== root) this.#parent.insertBefore(root, here ?? null);
    });
  }
}

/** Has a <select> offer these [value, text] pairs, and keeps what is chosen if it is still there. */
export function offer(select, pairs) {
  const now = [...select.options].map((each) => [each.value, each.text]);
  if (JSON.stringify(now) === JSON.stringify(pairs)) return;
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
  select.value = pairs.some(([value]) => value === chosen) ? chosen : pairs[0][0];
}
