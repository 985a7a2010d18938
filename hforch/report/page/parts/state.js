// The state of the report: filters, columns, sort order and theme. It is stored in the URL fragment, so views can be linked.

const USUAL = { q: "", differs: "", failures: "", finish: "", check: "", cols: "", sort: "", at: "", open: "", theme: "" };
const state = { ...USUAL };
const changed = []; // called with the changed keys, and whether the URL fragment was changed by navigation

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(USUAL)) state[name] = given.get(name) ?? USUAL[name];
  if (!THEMES.includes(state.theme)) state.theme = "";
  if (!/^.+:-?1$/.test(state.sort)) state.sort = "";
}

/** Change the state, and call the listeners with the changed keys. */
function set(changes) {
  const names = Object.keys(changes).filter((name) => state[name] !== String(changes[name]));
  if (!names.length) return;
  for (const name of names) state[name] = String(changes[name]);
  const told = new URLSearchParams();
  for (const name of Object.keys(USUAL)) if (state[name] !== USUAL[name]) told.set(name, state[name]);
  const fragment = told.toString();
  try {
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  } catch {
    // Some viewers do not allow the URL to be changed.
  }
  for (const work of changed) work(new Set(names));
}

addEventListener("hashchange", () => {
  readState();
  for (const work of changed) work(new Set(Object.keys(USUAL)), true);
});

/** The indices of the jobs whose answers are shown, in the order chosen by the user. */
const MOST_COLUMNS = 12;
function columns() {
  const asked = state.cols.split(",").filter(Boolean).map(Number);
  const there = [...new Set(asked)].filter((job) => summary.jobs[job]);
  return there.length ? there : usualColumns();
}

/** The default columns: the first jobs that were run, and the recommended one. */
function usualColumns() {
  const all = summary.jobs.map((job, at) => at);
  const answered = all.filter((at) => summary.jobs[at].status !== "not run");
  const shown = answered.length ? answered : all;
  const late = shown.slice(MOST_COLUMNS).filter((at) => summary.jobs[at].role === "recommended");
  return [...shown.slice(0, MOST_COLUMNS - late.length), ...late];
}

const THEMES = ["", "light", "dark"];
function drawTheme() {
  document.documentElement.dataset.theme = state.theme;
  $("theme").textContent = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" }[state.theme] ?? "";
}
