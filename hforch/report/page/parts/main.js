// Draw the report: first the top, then the answers, then the charts.

const MOST_PRINTED = 100;

async function start() {
  readState();
  drawTheme();
  summary = await unpack("summary");
  drawAbout();
  drawJobs();
  drawFilters();
  drawGrid();
  drawAgain();
  listen();
  let isFirst = true;
  let last = 0;
  await unpackAll(() => {
    if (!isFirst && performance.now() - last < 250) return;
    refilter(true);
    last = performance.now();
    if (isFirst) ready("first");
    isFirst = false;
  });
  refilter(true);
  openAsked();
  ready("answers");
  await drawCharts();
  ready("whole");
}

/** Publish which parts are drawn, for tests and measurements. */
function ready(what) {
  document.documentElement.dataset.ready = what;
  performance.mark(`hforch-${what}`);
}

function listen() {
  $("theme").addEventListener("click", () => set({ theme: THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length] }));
  $("help").addEventListener("click", openKeys);
  $("skip").addEventListener("click", (event) => {
    event.preventDefault();
    go("answers");
  });
  document.addEventListener("keydown", globalKey);
  $("drawer").addEventListener("close", () => {
    set({ open: "" });
    cellAt(...grid.focus)?.focus({ preventScroll: true });
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    let began = false; // a click outside closes the dialog, but a text selection that ends outside does not
    const isBeside = (event) => {
      const { left, right, top, bottom } = dialog.getBoundingClientRect();
      return event.target === dialog && (event.clientX < left || event.clientX > right || event.clientY < top || event.clientY > bottom);
    };
    dialog.addEventListener("pointerdown", (event) => (began = isBeside(event)));
    dialog.addEventListener("click", (event) => began && isBeside(event) && dialog.close());
  }
  changed.push((names, isAnother) => {
    if (names.has("theme")) drawTheme();
    if (names.has("sort")) drawJobs();
    if (names.has("cols")) drawHead();
    if (["q", "differs", "failures", "finish", "check", "cols"].some((name) => names.has(name))) {
      showFilters();
      refilter();
    }
    if (isAnother) openAsked();
  });
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
}

/** Open the drawer for the input and job in the URL fragment, or close it. */
function openAsked() {
  const [number, job] = state.open.split(".").map(Number);
  if (!state.open || !inputs[number] || !summary.jobs[job]) return $("drawer").close();
  const row = grid.rows.indexOf(number);
  const column = columns().indexOf(job);
  if (row >= 0 && column >= 0) focusOn(row, column + 1);
  openDrawer(number, job);
}

function beforePrint() {
  grid.printing = true;
  const shown = grid.rows.slice(0, MOST_PRINTED);
  forget();
  const before = new Map(grid.opened);
  for (const input of shown) grid.opened.set(input, grid.height);
  shown.forEach((input, at) => {
    const row = gridRow(at);
    grid.drawn.set(at, row);
    grid.table.tBodies[0].append(row);
  });
  grid.opened = before;
  grid.above.style.height = grid.below.style.height = "0px";
  const left = grid.rows.length - shown.length;
  const of = grid.rows.length < inputs.length ? `${$("count").textContent} (filtered). ` : "";
  $("printed").textContent = of + (left > 0 ? `${counted(left, "more input", "more inputs")} not printed.` : "");
  for (const one of document.querySelectorAll("#about details, #jobs details")) one.open = true;
}

function afterPrint() {
  grid.printing = false;
  forget();
  $("printed").textContent = "";
  place();
  drawRows();
}

start().catch((error) => {
  $("about").append(el("p", { class: "missing" }, `Cannot display this report (${error.message}). It requires a browser released in 2024 or later.`));
  ready("failed");
  throw error;
});
