// The drawer with the details of an answer, and the dialogs for columns and keyboard shortcuts.

function openDrawer(number, job) {
  const input = inputs[number];
  const cell = input?.cells[job];
  if (!input) return;
  const about = summary.jobs[job];
  const base = baseOf(input, job);
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => $("drawer").close() }, "✕");
  const parts = [
    el("header", {}, el("h2", { id: "drawer-title", tabindex: "-1" }, `Input ${input.index + 1}, job ${about.name}`), close),
    el("p", { class: "quiet" }, about.label),
    el("p", {}, el("button", { type: "button", onclick: () => step(-1) }, "◀ Previous difference"), " ", el("button", { type: "button", onclick: () => step(1) }, "Next difference ▶"), " ", el("span", { id: "drawer-said", class: "quiet", role: "status" })),
    full("Input", input.text),
  ];
  if (!cell) parts.push(el("p", {}, "no answer"));
  else parts.push(...ofAnswer(cell, input, job, base));
  $("drawer").replaceChildren(...parts);
  if (!$("drawer").open) $("drawer").showModal();
  $("drawer").scrollTop = 0;
  $("drawer-title").focus({ preventScroll: true });
  set({ open: `${number}.${job}` });
}

function ofAnswer(cell, input, job, base) {
  const parts = [];
  if (cell.error) parts.push(full(cell.interrupted ? "Interrupted" : "Failed", cell.error, "bad"));
  else if (cell.diff)
    parts.push(
      el("h3", {}, `Difference from the baseline, job ${summary.jobs[summary.jobs[job].baseline].name}`),
      el("p", { class: "quiet" }, el("del", {}, "only in the baseline"), " ", el("ins", {}, "only in this job")),
      el("div", { class: "text full", dir: "auto" }, drawn(pieces(input, job), wanted())),
    );
  else if (base?.error) parts.push(el("p", { class: "quiet" }, `The baseline, job ${summary.jobs[summary.jobs[job].baseline].name}, has no answer to this input.`));
  else if (cell.beyond) parts.push(el("p", { class: "quiet" }, "Differs from the baseline only beyond the text included in this report."));
  else if (base) parts.push(el("p", { class: "quiet" }, `Identical to the baseline, job ${summary.jobs[summary.jobs[job].baseline].name}.`));
  if (!cell.error) parts.push(full("Raw output", cell.text), copyButton("Copy output", () => cell.text));
  if (cell.cut) parts.push(el("p", { class: "why" }, `Only the first ${figure(cell.text.length, 0)} of ${figure(cell.cut, 0)} characters are in this report; samples.jsonl contains all of them.`));
  if (cell.diff) parts.push(el("details", {}, el("summary", {}, "Output of the baseline"), el("div", { class: "text full", dir: "auto" }, visible(base.text))));
  parts.push(el("h3", {}, "Tokens and times"), facts(cell));
  if (cell.checks)
    parts.push(
      el("h3", {}, "Checks"),
      el("ul", {}, cell.checks.map(([name, passed, why]) => el("li", { class: passed ? "" : "bad" }, `${passed ? "✓ passed" : "✗ failed"}: ${name}${why ? `: ${why}` : ""}`))),
    );
  if (cell.apart) parts.push(el("h3", {}, "Largest divergence"), parting(cell.apart));
  parts.push(full("Rendered prompt", cell.prompt));
  if (cell.ids.length) parts.push(el("details", {}, el("summary", {}, `Token ids of the output (${cell.ids.length})`), el("div", { class: "text full" }, cell.ids.join(" "))));
  return parts;
}

function full(title, text, kind = "") {
  return el("section", {}, el("h3", {}, title), el("div", { class: `text full ${kind}`, dir: "auto" }, visible(text, wanted())));
}

function facts(cell) {
  const list = el("dl", { class: "facts" });
  const add = (name, value) => list.append(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  if (cell.finish) add("finish reason", `${cell.finish}: ${Object.hasOwn(ENDS, cell.finish) ? ENDS[cell.finish] : ""}`);
  if (cell.tokens[0] != null) add("prompt tokens", figure(cell.tokens[0], 0));
  if (cell.tokens[1] != null) add("output tokens", figure(cell.tokens[1], 0));
  for (const [name, value] of Object.entries(cell.times)) add(Object.hasOwn(summary.timings, name) ? summary.timings[name] : name, `${figure(value, 1)} ms`);
  return list;
}

function parting(one) {
  const rows = one.baseline.map((theirs, at) => [theirs, one.job[at]]);
  const told = (token) => (token ? [el("code", {}, visible(JSON.stringify(token[0]))), ` ${figure(100 * Math.exp(token[1]), 1)}%`] : []);
  return el(
    "div",
    {},
    el("p", {}, `Token ${one.position} of the baseline's answer, `, el("code", {}, visible(JSON.stringify(one.read))), ", after ", el("code", {}, visible(JSON.stringify(one.before))), `: KL divergence ${figure(one.kl, 3)} nats`),
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "baseline"), el("th", { scope: "col" }, "this job"))), el("tbody", {}, rows.map(([a, b]) => el("tr", {}, el("td", {}, told(a)), el("td", {}, told(b)))))), // wording: ok
  );
}

// ---------------------------------------------------------------- columns
function openColumns() {
  const shown = columns();
  const others = summary.jobs.map((job, at) => at).filter((at) => !shown.includes(at));
  const order = [...shown, ...others];
  const chosen = new Set(shown);
  const list = el("ol", { class: "order" });
  const apply = () => {
    const now = order.filter((at) => chosen.has(at));
    set({ cols: now.join() === usualColumns().join() ? "" : now.join() });
  };
  const draw = (again) => {
    list.replaceChildren(
      ...order.map((job, at) => {
        const about = summary.jobs[job];
        const box = el("input", { type: "checkbox", checked: chosen.has(job), disabled: chosen.has(job) && chosen.size === 1 });
        box.addEventListener("change", () => {
          if (box.checked) chosen.add(job);
          else chosen.delete(job);
          apply();
          draw();
          list.children[at].querySelector("input").focus();
        });
        return el("li", {}, el("label", {}, box, ` ${about.name} ${about.label === about.name ? "" : about.label}`, roleMarks(about)), mover(at, -1, "up", "▲"), mover(at, 1, "down", "▼"));
      }),
    );
    if (!again) return;
    const item = list.children[again[0]];
    const asked = item.querySelector(`[data-way="${again[1]}"]`);
    (asked.disabled ? item.querySelector("button:not(:disabled), input") : asked).focus();
  };
  function mover(at, way, name, sign) {
    const job = summary.jobs[order[at]].name;
    const to = at + way;
    const move = () => {
      [order[at], order[to]] = [order[to], order[at]];
      apply();
      draw([to, name]);
    };
    return el("button", { type: "button", "data-way": name, "aria-label": `Move job ${job} ${name}`, disabled: to < 0 || to >= order.length, onclick: move }, sign);
  }
  draw();
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => $("columns").close() }, "✕");
  const usual = el("button", { type: "button", onclick: () => { set({ cols: "" }); openColumns(); $("columns").querySelector(".close").focus(); } }, "Reset");
  const all = el("button", { type: "button", onclick: () => { for (const at of order) chosen.add(at); apply(); draw(); } }, "All");
  $("columns").replaceChildren(el("header", {}, el("h2", { id: "columns-title" }, "Columns"), close), el("p", { class: "quiet" }, "Jobs shown, from left to right."), el("p", {}, all, " ", usual), list);
  if (!$("columns").open) $("columns").showModal();
}

// ---------------------------------------------------------------- keyboard shortcuts
const KEYS = [
  ["n", "next difference"],
  ["p", "previous difference"],
  ["/", "search"],
  ["arrows, Page up, Page down, Home, End", "move between answers"],
  ["Enter", "show the details of an answer, or the full answers to an input"],
  ["Escape", "close"],
  ["?", "show keyboard shortcuts"],
];

function openKeys() {
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => $("keys").close() }, "✕");
  const list = el("dl", { class: "keys" });
  for (const [key, what] of KEYS) list.append(el("dt", {}, el("kbd", {}, key)), el("dd", {}, what));
  $("keys").replaceChildren(el("header", {}, el("h2", { id: "keys-title" }, "Keyboard shortcuts"), close), list);
  if (!$("keys").open) $("keys").showModal();
}

function globalKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input:not([type=checkbox]), select, textarea")) return;
  const work = { n: () => step(1), p: () => step(-1), "/": () => $("q").focus(), "?": openKeys }[event.key];
  if (!work || ($("columns").open || $("keys").open)) return;
  if (event.key === "/" && $("drawer").open) return;
  event.preventDefault();
  work();
}
