// Answers side by side, with a row per input and a column per job. Only rows in or near the view are in the DOM.

const LINE = 18; // pixels
const BEYOND = 3; // number of rows drawn above and below the view
const FEW = 12; // up to this number of inputs, rows are expanded at first, so that answers are shown in full
const NARROWEST = 4; // average width of narrow characters in pixels
const PREVIEW = 420; // minimum number of characters of a cell that are drawn; its style shows whole lines
const OPENED = 20_000; // maximum number of characters of a cell in an expanded row

/** The number of lines of a collapsed row: 2 to 7, so that most answers fit. */
const rowLines = () => Math.max(2, Math.min(7, Math.ceil(summary.typical / 45)));

/** The height of a collapsed row in pixels. */
const rowHeight = () => 44 + LINE * rowLines();

/** Return a number of characters that fills the lines of a collapsed cell. */
function previewSize() {
  const width = Math.max(innerWidth, screen.width) / columns().length;
  return Math.max(PREVIEW, Math.ceil((rowLines() * width) / NARROWEST));
}

const grid = { height: 0, preview: PREVIEW, rows: [], tops: new Float64Array(1), opened: new Map(), drawn: new Map(), focus: [0, 0], queued: false, printing: false, isUsed: false };

function drawGrid() {
  grid.height = rowHeight();
  grid.table = el(
    "table",
    { class: "answers", role: "grid", "aria-label": "Answers by input and job" },
    el("thead"),
    el("tbody"),
  );
  grid.above = el("div");
  grid.below = el("div");
  grid.scroller = el("div", { class: "scroll tall", id: "grid", tabindex: "0", role: "region", "aria-label": "Answers" }, grid.above, grid.table, grid.below);
  grid.scroller.addEventListener("scroll", queueRows, { passive: true });
  grid.scroller.addEventListener("keydown", gridKey);
  grid.scroller.addEventListener("click", gridClick);
  grid.table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("[data-column]");
    if (cell) focusOn(Number(cell.parentElement.dataset.row), Number(cell.dataset.column), false);
  });
  $("answers").append(wide(grid.scroller, grid.table), el("p", { id: "printed", class: "quiet" }));
  new ResizeObserver(queueRows).observe(grid.scroller);
  grid.scroller.style.setProperty("--row", `${grid.height}px`);
  grid.scroller.style.setProperty("--lines", String(rowLines()));
  grid.scroller.style.setProperty("--line-height", `${LINE}px`);
  const isExpanded = summary.rows.shown <= FEW && summary.typical <= OPENED;
  if (isExpanded) for (let input = 0; input < summary.rows.shown; input++) grid.opened.set(input, grid.height);
  drawHead();
}

function drawHead() {
  const shown = columns();
  grid.preview = previewSize();
  const head = el("tr", { "aria-rowindex": "1" }, el("th", { scope: "col", class: "input" }, "Input"));
  for (const at of shown) {
    const job = summary.jobs[at];
    const base = job.baseline == null ? null : el("small", {}, ` vs. ${summary.jobs[job.baseline].name}`);
    const own = job.is_baseline ? el("small", {}, " baseline") : base;
    head.append(el("th", { scope: "col" }, el("strong", {}, job.name), own, roleMarks(job), el("span", { class: "label" }, job.label)));
  }
  grid.table.tHead.replaceChildren(head);
  grid.table.setAttribute("aria-colcount", String(shown.length + 1));
  grid.table.style.setProperty("--columns", String(shown.length));
}

/** Apply the filters and redraw. */
function refilter(keep = false) {
  grid.rows = filtered();
  grid.table.setAttribute("aria-rowcount", String(grid.rows.length + 1));
  if (!keep) {
    grid.focus = [0, Math.min(grid.focus[1], columns().length)];
    grid.scroller.scrollTop = 0;
  }
  const hadFocus = grid.table.contains(document.activeElement);
  forget();
  place();
  drawRows();
  if (hadFocus) (cellAt(...grid.focus) ?? grid.scroller).focus({ preventScroll: true });
  drawCount(grid.rows.length);
}

/** Remove all rows from the DOM, so that they are drawn again. */
function forget() {
  for (const row of grid.drawn.values()) row.remove();
  grid.drawn.clear();
}

function place() {
  const tops = new Float64Array(grid.rows.length + 1);
  grid.rows.forEach((input, at) => {
    tops[at + 1] = tops[at] + (grid.opened.get(input) ?? grid.height);
  });
  grid.tops = tops;
}

/** Return the row at an offset in pixels below the header. */
function rowAt(pixels) {
  let [low, high] = [0, grid.rows.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (grid.tops[middle] <= pixels) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

function queueRows() {
  if (grid.queued) return;
  grid.queued = true;
  requestAnimationFrame(() => {
    grid.queued = false;
    drawRows();
  });
}

function drawRows() {
  if (grid.printing) return;
  const { scroller, table, rows, tops } = grid;
  const view = scroller.clientHeight - table.tHead.offsetHeight;
  const first = Math.max(0, rowAt(scroller.scrollTop) - BEYOND);
  const last = Math.min(rows.length - 1, rowAt(scroller.scrollTop + view) + BEYOND);
  const hadFocus = table.contains(document.activeElement);
  for (const [at, row] of grid.drawn) {
    if (at < first || at > last) {
      row.remove();
      grid.drawn.delete(at);
    }
  }
  const body = table.tBodies[0];
  for (let at = first; at <= last; at++) {
    if (grid.drawn.has(at)) continue;
    const row = gridRow(at);
    grid.drawn.set(at, row);
    let next = null;
    for (let beyond = at + 1; beyond <= last && !next; beyond++) next = grid.drawn.get(beyond);
    body.insertBefore(row, next ?? null);
  }
  grid.above.style.height = `${tops[first] ?? 0}px`;
  grid.below.style.height = `${rows.length ? tops[rows.length] - tops[last + 1] : 0}px`;
  measure();
  if (!rows.length && !body.rows.length) {
    const text = isWhole ? "No matching inputs." : "Loading…";
    body.replaceChildren(el("tr", {}, el("td", { class: "none", colspan: columns().length + 1 }, text)));
  } else if (rows.length) for (const row of [...body.rows]) if (!row.dataset.row) row.remove();
  if (hadFocus && !table.contains(document.activeElement)) (cellAt(...grid.focus) ?? scroller).focus({ preventScroll: true });
}

/** Measure the heights of expanded rows after they are drawn. */
function measure() {
  let moved = false;
  for (const [at, row] of grid.drawn) {
    const input = grid.rows[at];
    if (!grid.opened.has(input)) continue;
    const height = row.offsetHeight;
    if (Math.abs(height - grid.opened.get(input)) > 1) {
      grid.opened.set(input, height);
      moved = true;
    }
  }
  if (!moved) return;
  place();
  queueRows(); // other rows may be in view now
  const last = Math.max(...grid.drawn.keys());
  grid.below.style.height = `${grid.tops[grid.rows.length] - grid.tops[last + 1]}px`;
}

function gridRow(at) {
  const input = inputs[grid.rows[at]];
  const isOpen = grid.opened.has(grid.rows[at]);
  const row = el("tr", { "aria-rowindex": at + 2, "data-row": at, class: isOpen ? "opened" : null });
  const open = el("button", { type: "button", class: "link", tabindex: "-1", "aria-expanded": String(isOpen), "data-open": at }, isOpen ? "collapse" : "expand");
  const text = visible(isOpen ? startOf(input.text, OPENED) : startOf(input.text, grid.preview), wanted());
  const head = el("th", { scope: "row", class: "input", "data-column": 0, tabindex: tabindex(at, 0) });
  head.append(el("div", { class: "cell" }, el("span", { class: "badges" }, `${input.index + 1} `, open), el("div", { class: "text", dir: "auto" }, text)));
  row.append(head);
  columns().forEach((job, column) => row.append(gridCell(input, job, at, column + 1, isOpen)));
  return row;
}

function gridCell(input, job, at, column, isOpen) {
  const cell = input.cells[job];
  const box = el("div", { class: "cell" });
  const made = el("td", { role: "gridcell", "data-column": column, "data-job": job, tabindex: tabindex(at, column), class: current(at, column) }, box);
  if (!cell) {
    box.append(el("span", { class: "quiet" }, "no answer"));
    return made;
  }
  box.append(el("span", { class: "badges" }, badges(cell, input, job)));
  if (cell.error) {
    box.append(el("div", { class: "text bad" }, visible(startOf(cell.error, isOpen ? OPENED : grid.preview), wanted())));
    return made;
  }
  const all = pieces(input, job);
  const some = isOpen ? preview(all, 0, OPENED) : withoutBlankStart(preview(all, firstSight(cell), grid.preview));
  const text = el("div", { class: "text", dir: "auto" }, drawn(some, wanted()));
  if (!cell.text.trim() && !cell.diff) text.replaceChildren(el("span", { class: "quiet" }, cell.text ? "(only whitespace)" : "(empty answer)"));
  box.append(text);
  return made;
}

/** Replace each blank line at the start of a preview with ⏎, as a preview has few lines. */
function withoutBlankStart(some) {
  const [[kind, text] = ["same", ""], ...others] = some;
  const blank = text.match(/^\s*\n/)?.[0];
  return blank ? [[kind, `${"⏎".repeat(blank.split("\n").length - 1)} ${text.slice(blank.length)}`], ...others] : some;
}

/** Return the offset that a preview should contain: the first search match, or the first difference. */
function firstSight(cell) {
  if (wanted()) {
    const found = low(cell).indexOf(wanted());
    if (found >= 0 && !cell.diff) return found;
  }
  return cell.diff?.[0] ?? 0;
}

function badges(cell, input, job) {
  const found = [];
  if (cell.error) found.push(el("span", { class: "tag bad" }, cell.interrupted ? "interrupted" : "failed"));
  else if (baseOf(input, job)?.error) found.push(el("span", { class: "tag differs" }, "baseline failed"));
  else if (!baseOf(input, job)) found.push(summary.jobs[job].is_baseline ? el("span", { class: "tag" }, "baseline") : null);
  else found.push(isDifferent(input, job) ? el("span", { class: "tag differs" }, "differs") : el("span", { class: "tag" }, "same"));
  if (cell.finish === "length") found.push(el("span", { class: "tag", title: "reached max_new_tokens" }, "truncated"));
  for (const [name, passed, why] of cell.checks ?? [])
    found.push(el("span", { class: `tag check ${passed ? "good" : "bad"}`, title: passed ? "passed" : `failed: ${why}` }, `${passed ? "✓" : "✗"} ${name}`));
  return found;
}

// ---------------------------------------------------------------- navigation
const isFocus = (at, column) => at === grid.focus[0] && column === grid.focus[1];
const tabindex = (at, column) => (isFocus(at, column) ? "0" : "-1");
const current = (at, column) => (grid.isUsed && isFocus(at, column) ? "current" : null);
const cellAt = (at, column) => grid.drawn.get(at)?.children[column] ?? null;

/** Move the keyboard focus to a cell, and scroll it into view. */
function focusOn(at, column, take = true) {
  if (!grid.rows.length) return;
  const row = Math.max(0, Math.min(at, grid.rows.length - 1));
  const place = Math.max(0, Math.min(column, columns().length));
  cellAt(...grid.focus)?.setAttribute("tabindex", "-1");
  cellAt(...grid.focus)?.classList.remove("current");
  grid.focus = [row, place];
  grid.isUsed = true;
  if (take) {
    bringIntoView(row);
    drawRows();
  }
  const cell = cellAt(row, place);
  cell?.setAttribute("tabindex", "0");
  cell?.classList.add("current");
  if (!take || !cell) return;
  if (!isInWindow(cell)) grid.scroller.scrollIntoView({ block: "start", behavior: "instant" });
  cell.focus({ preventScroll: true });
  const [left, right] = [cell.offsetLeft, cell.offsetLeft + cell.offsetWidth];
  const input = place ? grid.table.tHead.rows[0].cells[0].offsetWidth : 0;
  if (left - input < grid.scroller.scrollLeft) grid.scroller.scrollLeft = left - input;
  else if (right > grid.scroller.scrollLeft + grid.scroller.clientWidth) grid.scroller.scrollLeft = right - grid.scroller.clientWidth;
}

function isInWindow(cell) {
  const { top, bottom } = cell.getBoundingClientRect();
  return top >= 0 && (bottom <= innerHeight || top < innerHeight / 2);
}

function bringIntoView(row) {
  const view = grid.scroller.clientHeight - grid.table.tHead.offsetHeight;
  if (grid.tops[row] < grid.scroller.scrollTop) grid.scroller.scrollTop = grid.tops[row];
  else if (grid.tops[row + 1] > grid.scroller.scrollTop + view) grid.scroller.scrollTop = grid.tops[row + 1] - view;
}

function gridKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("button, input, select")) return;
  const [row, column] = grid.focus;
  const page = Math.max(1, Math.floor(grid.scroller.clientHeight / grid.height) - 1);
  const moves = {
    ArrowDown: [row + 1, column],
    ArrowUp: [row - 1, column],
    ArrowRight: [row, column + 1],
    ArrowLeft: [row, column - 1],
    PageDown: [row + page, column],
    PageUp: [row - page, column],
    Home: [row, 0],
    End: [row, columns().length],
  };
  if (moves[event.key]) focusOn(...moves[event.key]);
  else if (event.key === "Enter" || event.key === " ") act(row, column);
  else return;
  event.preventDefault();
}

function act(row, column) {
  if (column === 0) toggleRow(row);
  else openDrawer(grid.rows[row], columns()[column - 1]);
}

function gridClick(event) {
  const open = event.target.closest("[data-open]");
  if (open) return toggleRow(Number(open.dataset.open));
  const cell = event.target.closest("td[data-job]");
  if (!cell || getSelection().toString()) return;
  focusOn(Number(cell.parentElement.dataset.row), Number(cell.dataset.column), false);
  openDrawer(grid.rows[Number(cell.parentElement.dataset.row)], Number(cell.dataset.job));
}

/** Expand a row to show its answers in full, or collapse it. */
function toggleRow(at) {
  const input = grid.rows[at];
  if (grid.opened.has(input)) grid.opened.delete(input);
  else grid.opened.set(input, grid.height);
  grid.drawn.get(at)?.remove();
  grid.drawn.delete(at);
  place();
  drawRows();
  focusOn(at, 0);
}

/** Move to the next (way = 1) or previous (way = -1) cell that differs from its baseline. */
function step(way) {
  const shown = columns();
  const number = grid.rows.length * shown.length;
  let at = grid.focus[0] * shown.length + Math.max(0, grid.focus[1] - 1);
  if (grid.focus[1] === 0 && way > 0) at -= 1;
  for (at += way; at >= 0 && at < number; at += way) {
    const [row, job] = [Math.floor(at / shown.length), shown[at % shown.length]];
    if (!isDifferent(inputs[grid.rows[row]], job)) continue;
    focusOn(row, (at % shown.length) + 1);
    const text = `input ${inputs[grid.rows[row]].index + 1}, job ${summary.jobs[job].name} differs`;
    if ($("drawer").open) openDrawer(grid.rows[row], job);
    return say(text);
  }
  const none = way > 0 ? "no more differences" : "no previous differences";
  say(none);
  if ($("drawer-said")) $("drawer-said").textContent = none;
}
