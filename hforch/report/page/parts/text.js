// Text of others, such as a model's: always as text, with nothing in it that hides or turns about what is read.

// Control characters but tab and newline, marks of writing direction, blanks without width, tags, lone surrogates. What
// joins letters (U+200C, U+200D) is part of writing.
const MOST_MARKS = 2000; // of one text; what lies beyond is text all the same
const MOST_LINES = 500; // of one element: of many lines, only the elements in sight are laid out
const HIDDEN =
  /[\0-\x08\x0B-\x1F\x7F-\x9F\xAD\u061C\u180E\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u034F\u115F\u1160\u2800\u3164\uFFA0]|[\u{E0100}-\u{E01EF}]|[\u{E0000}-\u{E007F}]|[\uD800-\uDFFF]/gu;

/** How a character that has no shape is shown. */
function shapeOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A fragment with the text, its hidden characters made visible, and what was searched for marked. */
function visible(text, wanted = "") {
  const fragment = document.createDocumentFragment();
  let [at, number] = [0, 0];
  for (const match of text.matchAll(HIDDEN)) {
    if (++number > MOST_MARKS) break;
    marked(fragment, text.slice(at, match.index), wanted);
    const shape = document.createElement("span");
    shape.className = "hidden-character";
    shape.title = `U+${match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    shape.textContent = shapeOf(match[0]);
    fragment.append(shape);
    at = match.index + match[0].length;
  }
  marked(fragment, number > MOST_MARKS ? plain(text.slice(at)) : text.slice(at), wanted);
  return fragment;
}

/** Append a text. Very many lines become elements of whole lines; the first may go on where another text ended. */
function appendLines(fragment, text) {
  let [at, number] = [0, 0];
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) {
    if (++number % MOST_LINES) continue;
    const first = at ? 0 : text.indexOf("\n") + 1;
    if (first) fragment.append(text.slice(0, first));
    const lines = document.createElement("span");
    lines.className = "lines";
    lines.textContent = text.slice(at + first, end + 1);
    fragment.append(lines);
    at = end + 1;
  }
  fragment.append(text.slice(at));
}

function marked(fragment, text, wanted) {
  const low = wanted ? text.toLowerCase() : "";
  // Where lower case has another length, places would be off: nothing is marked there.
  if (!wanted || low.length !== text.length || !low.includes(wanted)) {
    appendLines(fragment, text);
    return;
  }
  let [at, number] = [0, 0];
  for (let found = low.indexOf(wanted); found >= 0 && ++number <= MOST_MARKS; found = low.indexOf(wanted, at)) {
    fragment.append(text.slice(at, found));
    const mark = document.createElement("mark");
    mark.textContent = text.slice(found, found + wanted.length);
    fragment.append(mark);
    at = found + wanted.length;
  }
  fragment.append(text.slice(at));
}

/** So many characters of a text, and none of them half of one. */
function startOf(text, size) {
  const code = text.charCodeAt(size - 1);
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? size - 1 : size);
}

/** The text of an attribute or of a chart: hidden characters as words. */
function plain(text) {
  return String(text).replace(HIDDEN, shapeOf);
}

/** An element: el("td", {class: "number", onclick: work}, "text", child). What is null or false is left out. */
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : plain(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue;
    made.append(child instanceof Node ? child : visible(String(child)));
  }
  return made;
}

const $ = (id) => document.getElementById(id);

/** A number with so many digits behind the point, and thousands set apart. */
function figure(value, digits) {
  if (!Number.isFinite(value)) return "-";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Such as: 1 sample, 2 samples. */
function counted(number, one, several = `${one}s`) {
  return `${figure(number, 0)} ${number === 1 ? one : several}`;
}

/** A metric's value with its unit, as in the table. */
function valueOf(metric, value, digits = metric.digits) {
  return metric.unit === "%" ? `${figure(100 * value, digits)}%` : figure(value, digits);
}

const say = (text) => {
  $("said").textContent = text;
};
