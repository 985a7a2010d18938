// Display external text, such as a model's output, never as markup and with hidden characters made visible.

const MOST_MARKS = 2000; // maximum number of marked characters or matches in a text; the rest is plain text
const MOST_LINES = 500; // maximum number of lines of an element; browsers lay out only the elements in view
// Control characters except tab and newline, bidirectional marks, zero-width spaces, tag characters, lone surrogates.
// Joiners (U+200C, U+200D) are part of normal text.
const HIDDEN =
  /[\0-\x08\x0B-\x1F\x7F-\x9F\xAD\u061C\u180E\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u034F\u115F\u1160\u2800\u3164\uFFA0]|[\u{E0100}-\u{E01EF}]|[\u{E0000}-\u{E007F}]|[\uD800-\uDFFF]/gu;

/** Return a visible replacement for a hidden character. */
function shapeOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Return a fragment with the text, with hidden characters made visible and search matches marked. */
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

/** Append text, in elements of MOST_LINES whole lines; its first line may continue earlier text. */
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
  // If the lower case has another length, offsets would be wrong: mark nothing.
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

/** Return the first `size` characters of a text, without splitting a surrogate pair. */
function startOf(text, size) {
  const code = text.charCodeAt(size - 1);
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? size - 1 : size);
}

/** Return text with hidden characters replaced, for attributes and charts. */
function plain(text) {
  return String(text).replace(HIDDEN, shapeOf);
}

/** Create an element: el("td", {class: "number", onclick: work}, "text", child). Null and false are skipped. */
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

/** Format a number with `digits` decimals and thousands separators. */
function figure(value, digits) {
  if (!Number.isFinite(value)) return "-";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Return a number with its noun: 1 sample, 2 samples. */
function counted(number, one, several = `${one}s`) {
  return `${figure(number, 0)} ${number === 1 ? one : several}`;
}

/** Format the value of a metric, fractions in percent. */
function valueOf(metric, value, digits = metric.digits) {
  return metric.unit === "%" ? `${figure(100 * value, digits)}%` : figure(value, digits);
}

const say = (text) => {
  $("said").textContent = text;
};
