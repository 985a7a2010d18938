// Filters that select the inputs to show by their answers in the shown columns.

const wanted = () => state.q.trim().toLowerCase();

/** Return the text of an input or answer in lower case, cached because each keystroke searches all texts. */
function low(holder) {
  holder.low ??= holder.text.toLowerCase();
  return holder.low;
}

/** Return whether an answer differs from the baseline's, or only one of them failed. */
function isDifferent(input, job) {
  const cell = input.cells[job];
  const base = baseOf(input, job);
  if (!base) return false;
  if (!cell) return true;
  return Boolean(cell.diff) || Boolean(cell.beyond) || Boolean(cell.error) !== Boolean(base.error);
}

function matches(input, shown) {
  const cells = shown.map((job) => input.cells[job]).filter(Boolean);
  const text = wanted();
  if (text && !low(input).includes(text) && !cells.some((cell) => low(cell).includes(text) || cell.error?.toLowerCase().includes(text))) return false;
  if (!state.differs && !state.failures && !state.finish && !state.check) return true;
  return shown.some((job) => isAsked(input, job));
}

/** Return whether a single answer matches all filters except the search. */
function isAsked(input, job) {
  const cell = input.cells[job];
  if (state.differs && !isDifferent(input, job)) return false;
  if (state.failures && !(cell && isFailure(cell))) return false;
  if (state.finish && cell?.finish !== state.finish) return false;
  if (!state.check) return true;
  const [sign, name] = [state.check[0], state.check.slice(1)];
  return Boolean(cell?.checks?.some((one) => one[0] === name && one[1] === (sign === "+")));
}

const isFailure = (cell) => (Boolean(cell.error) && !cell.interrupted) || Boolean(cell.checks?.some((one) => !one[1]));

/** Return the indices of the inputs that are shown, in order. */
function filtered() {
  const shown = columns();
  return inputs.map((one, at) => at).filter((at) => matches(inputs[at], shown));
}

const ENDS = { stop: "stop sequence", eos: "end-of-sequence token", length: "reached max_new_tokens", error: "error" };

function drawFilters() {
  const search = el("input", {
    id: "q",
    type: "search",
    placeholder: "inputs and answers",
    "aria-keyshortcuts": "/",
    oninput: (event) => set({ q: event.target.value }),
  });
  const finishes = [["", "any"], ...summary.finishes.map((one) => [one, Object.hasOwn(ENDS, one) ? ENDS[one] : one])];
  const checks = [["", "any"], ...summary.checks.flatMap((one) => [[`-${one}`, `failed: ${one}`], [`+${one}`, `passed: ${one}`]])];
  const tools = el(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter the answers", onsubmit: (event) => event.preventDefault() },
    el("label", {}, "Search ", search),
    toggle("differs", "only differences"),
    toggle("failures", "only failures", "no answer, or a failed check"),
    choice("finish", "Finish reason", finishes),
    summary.checks.length ? choice("check", "Check", checks) : null,
    el("button", { type: "button", id: "choose", onclick: openColumns }, "Columns…"),
    el("button", { type: "button", id: "previous", "aria-keyshortcuts": "p", onclick: () => step(-1) }, "◀ Previous difference"),
    el("button", { type: "button", id: "next", "aria-keyshortcuts": "n", onclick: () => step(1) }, "Next difference ▶"),
    el("button", { type: "reset", onclick: clearFilters }, "Clear"),
  );
  $("answers").append(tools, el("p", { id: "count", class: "quiet" }));
  showFilters();
}

function toggle(name, text, title) {
  return el("label", { title }, el("input", { id: name, type: "checkbox", onchange: (event) => set({ [name]: event.target.checked ? "1" : "" }) }), ` ${text}`);
}

function choice(name, text, options) {
  const select = el("select", { id: name, onchange: (event) => set({ [name]: event.target.value }) });
  for (const [value, title] of options) {
    const option = el("option", {}, title);
    option.value = value;
    select.append(option);
  }
  return el("label", {}, `${text} `, select);
}

function clearFilters(event) {
  event.preventDefault();
  set({ q: "", differs: "", failures: "", finish: "", check: "" });
}

/** Update the controls from the state. Reset values that no answer has, such as those of a link to another report. */
function showFilters() {
  if (!summary.finishes.includes(state.finish)) state.finish = "";
  if (!summary.checks.includes(state.check.slice(1))) state.check = "";
  for (const name of ["q", "finish", "check"]) if ($(name) && $(name).value !== state[name]) $(name).value = state[name];
  for (const name of ["differs", "failures"]) $(name).checked = state[name] === "1";
}

function drawCount(number) {
  const cut = summary.jobs.length > columns().length ? ` · ${columns().length} of ${summary.jobs.length} jobs shown` : "";
  const coming = isWhole ? "" : ` · loading ${figure(inputs.length, 0)} of ${figure(summary.rows.shown, 0)}`;
  const text = `${figure(number, 0)} of ${figure(summary.rows.shown, 0)} inputs${cut}${coming}`;
  $("count").textContent = text;
  if (isWhole) say(text);
}
