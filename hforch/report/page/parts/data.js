// The data of the report: a summary, and the answers in parts, each in a script element as gzipped JSON in base64.

async function unpack(id) {
  const packed = atob($(id).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** The inputs unpacked so far: {index, text, cells, low}. */
const inputs = [];
let summary = null;
let isWhole = false;

/** Unpack the parts one at a time, and call `come` after each. */
async function unpackAll(come) {
  for (let number = 0; number < summary.parts; number++) {
    const part = await unpack(`part-${number}`);
    const text = part.strings;
    for (const [index, own, cells] of part.inputs) {
      for (const cell of cells) {
        if (!cell) continue;
        cell.text = text[cell.text];
        cell.prompt = text[cell.prompt];
      }
      inputs.push({ index, text: text[own], cells });
    }
    come();
    await new Promise((done) => setTimeout(done));
  }
  isWhole = true;
}

/** Return the baseline's answer that a job's answer is compared with, or null. */
function baseOf(input, job) {
  const base = summary.jobs[job].baseline;
  return base == null ? null : input.cells[base];
}

/** Return an answer as pieces [kind, text]; kind is "same", "gone" (only in the baseline) or "new". */
function pieces(input, job) {
  const cell = input.cells[job];
  if (!cell.diff) return [["same", cell.text]];
  const base = baseOf(input, job).text;
  const found = [];
  let a = 0;
  let b = 0;
  for (let at = 0; at < cell.diff.length; at += 3) {
    const [same, gone, fresh] = cell.diff.slice(at, at + 3);
    if (same) found.push(["same", cell.text.slice(b, b + same)]);
    if (gone) found.push(["gone", base.slice(a + same, a + same + gone)]);
    if (fresh) found.push(["new", cell.text.slice(b + same, b + same + fresh)]);
    a += same + gone;
    b += same + fresh;
  }
  return found;
}

/** Return the elements for pieces: del for "gone", ins for "new". */
function drawn(some, wanted) {
  return some.map(([kind, text]) => {
    if (kind === "same") return visible(text, wanted);
    const made = document.createElement(kind === "gone" ? "del" : "ins");
    made.append(visible(text, wanted));
    return made;
  });
}

/** Return the pieces for a preview of `size` characters that contains the offset `from`. */
function preview(some, from, size) {
  const found = [];
  let skip = Math.max(0, from - 60);
  if (from < size * 0.6) skip = 0;
  if (skip) found.push(["same", "… "]);
  let left = size;
  for (const [kind, text] of some) {
    if (skip >= text.length) {
      skip -= text.length;
      continue;
    }
    const part = startOf(text.slice(skip), left);
    found.push([kind, part]);
    left -= part.length;
    if (left <= 0) {
      if (part.length < text.length - skip || some.at(-1)[1] !== text) found.push(["same", " …"]);
      break;
    }
    skip = 0;
  }
  return found;
}
