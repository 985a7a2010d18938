// The table of jobs, which can be sorted, with bars behind numbers and the best value of each column marked.

/** The settings of the table: whether the settings of a job are in its first cell, and the width that was drawn for. */
const jobsTable = { folded: false, width: 0 };

function drawJobs() {
  const before = $("jobs").querySelector(".wide");
  const left = before?.querySelector(".scroll").scrollLeft ?? 0;
  const { jobs, metrics, axes } = summary;
  const [by, way] = state.sort.split(":");
  const table = el("table", { class: "jobs" }, el("caption", { class: "unseen" }, "Jobs and their metrics"), el("thead"), el("tbody"));
  const scroller = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of jobs" }, table);
  const box = wide(scroller, table);
  if (before) before.replaceWith(box);
  else $("jobs").append(box);
  const fill = (folded) => {
    jobsTable.folded = folded;
    table.classList.toggle("folded", folded);
    table.tHead.replaceChildren(jobsHead(by, way));
    table.tBodies[0].replaceChildren(...sorted(jobs, by, way).map(jobRow));
    return pin(scroller, table, folded ? 1 : 1 + axes.length);
  };
  if (fill(false) > MOST_PINNED && axes.length) fill(true);
  jobsTable.width = scroller.clientWidth;
  scroller.scrollLeft = left;
  if (before) return;
  new ResizeObserver(() => {
    if ($("jobs").querySelector(".scroll").clientWidth !== jobsTable.width) drawJobs();
  }).observe($("jobs"));
  const words = metrics.map((metric) => [el("dt", {}, metric.title, " ", el("code", {}, metric.name)), el("dd", {}, `${metric.says}; ${metric.better > 0 ? "higher is better" : "lower is better"}`)]); // wording: ok
  $("jobs").append(el("details", {}, el("summary", {}, "What the columns mean"), el("dl", { class: "words" }, words)));
}

/** Return the header: a column for the job and for each setting that differs, or one for both, and one for each metric. */
function jobsHead(by, way) {
  const own = ["job", ...summary.axes.map((axis) => `axis ${axis}`)];
  const buttons = own.map((key) => sorter(nameOf(key), key, by, way, 1));
  const head = el("tr");
  if (jobsTable.folded) head.append(heading(own, by, way, null, buttons.flatMap((one) => [one, " "])));
  else own.forEach((key, at) => head.append(heading([key], by, way, null, buttons[at])));
  for (const metric of summary.metrics) {
    const unit = metric.unit && metric.unit !== "%" ? el("small", {}, metric.unit) : null;
    const better = `${metric.name}: ${metric.says}; ${metric.better > 0 ? "higher is better" : "lower is better"}`; // wording: ok
    head.append(heading([metric.name], by, way, "number", sorter(metric.title, metric.name, by, way, metric.better > 0 ? -1 : 1, unit, better)));
  }
  return head;
}

function heading(keys, by, way, kind, ...content) {
  const sort = keys.includes(by) ? (Number(way) > 0 ? "ascending" : "descending") : "none";
  return el("th", { scope: "col", class: kind, "aria-sort": sort }, ...content);
}

function sorter(title, key, by, way, first, unit, better) {
  const is = by === key;
  const next = is ? -Number(way) : first;
  return el(
    "button",
    { type: "button", title: better, "data-key": key, onclick: () => sortBy(key, next) },
    title,
    unit ? " " : null,
    unit,
    el("span", { class: "way", "aria-hidden": "true" }, is ? (Number(way) > 0 ? " ▲" : " ▼") : ""),
  );
}

const nameOf = (key) => key.replace(/^axis /, "");

function sortBy(key, way) {
  set({ sort: `${key}:${way}` });
  const buttons = [...$("jobs").querySelectorAll("th button")];
  buttons.find((one) => one.dataset.key === key)?.focus({ preventScroll: true });
  const title = summary.metrics.find((metric) => metric.name === key)?.title ?? nameOf(key);
  say(`Table sorted by ${title}`);
}

function sorted(jobs, by, way) {
  if (!by) return jobs;
  const key = (job) => {
    if (by === "job") return jobs.indexOf(job);
    if (by.startsWith("axis ")) return job.axes[by.slice(5)] ?? null;
    return job.metrics[by] ?? null;
  };
  const isNumber = (one) => String(one).trim() !== "" && Number.isFinite(Number(one));
  const compared = (a, b) => (isNumber(a) && isNumber(b) ? Number(a) - Number(b) : String(a).localeCompare(String(b), "en", { numeric: true }));
  return [...jobs].sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a == null || b == null) return (a == null) - (b == null); // missing values come last
    return Number(way) * compared(a, b);
  });
}

function jobRow(job) {
  const place = summary.jobs.indexOf(job);
  const marks = [];
  if (job.winner) marks.push(winnerMark(job));
  if (job.pareto) marks.push(el("span", { class: "tag", title: "no other qualified job is at least as good in speed, memory and quality, and better in one" }, "Pareto"));
  if (job.is_baseline) marks.push(el("span", { class: "tag" }, "baseline"));
  const why = job.why ?? (job.metrics.failed ? `${counted(job.metrics.failed, "sample")} failed` : null);
  const said = [
    why ? el("p", { class: "why bad" }, why) : null,
    job.refused && job.refused.join() !== job.why ? el("p", { class: "why" }, `not qualified: ${job.refused.join("; ")}`) : null,
    job.notes.map((note) => el("p", { class: "why" }, note)),
  ];
  const again = el("button", { type: "button", class: "link", onclick: () => openAgain(place), title: "show how to run this job again" }, job.name);
  const settings = jobsTable.folded ? el("p", { class: "settings" }, summary.axes.map((axis) => job.axes[axis] ?? "-").join(", ")) : null;
  const row = el("tr", { class: job.winner ? "winner" : null }, el("th", { scope: "row" }, again, " ", marks, settings, said));
  if (!jobsTable.folded) for (const axis of summary.axes) row.append(el("td", {}, job.axes[axis] ?? "-"));
  for (const metric of summary.metrics) row.append(metricCell(job, metric));
  return row;
}

/** Return the mark of the recommended job, or null. */
const winnerMark = (job) => (job.winner ? [" ", el("span", { class: "tag good" }, "recommended")] : null);

function metricCell(job, metric) {
  const value = job.metrics[metric.name];
  if (value == null) return el("td", { class: "number none" }, el("span", { class: "unseen" }, "not available"));
  const error = job.metrics[`${metric.name}_se`];
  const spread = metric.name === "tokens_per_s" && job.spread ? ` (${figure(job.spread[0], 1)} to ${figure(job.spread[1], 1)})` : "";
  metric.best ??= [best(metric), Math.max(...summary.jobs.map((one) => one.metrics[metric.name] ?? 0))];
  const isBest = metric.best[0] === valueOf(metric, value) && isRanked(job, metric) && !(metric.against && job.is_baseline);
  const cell = el(
    "td",
    { class: `number${isBest ? " best" : ""}` },
    isBest ? el("span", { class: "star", "aria-hidden": "true" }, "★") : null,
    valueOf(metric, value),
    spread || error ? el("small", {}, spread || ` ±${valueOf(metric, error)}`) : null,
    isBest ? el("span", { class: "unseen" }, " best") : null,
  );
  const bar = el("span", { class: "bar" });
  const most = metric.best[1];
  bar.style.width = most > 0 && value > 0 ? `${(100 * value) / most}%` : "0";
  cell.append(bar);
  return cell;
}

/** Return whether a metric of a job is comparable: speed and energy are not if the GPU was shared. */
function isRanked(job, metric) {
  return !(metric.alone && job.is_shared);
}

/** Return the best value of a metric as displayed; null if all are equal, or if speeds come from several machines. */
function best(metric) {
  let known = summary.jobs.filter((job) => job.metrics[metric.name] != null && job.status !== "not run");
  if (metric.against) known = known.filter((job) => !job.is_baseline); // the baseline is always identical to itself
  known = known.filter((job) => isRanked(job, metric));
  const values = known.map((job) => job.metrics[metric.name]);
  if (new Set(values.map((value) => valueOf(metric, value))).size < 2 || (metric.speed && new Set(known.map((job) => job.site)).size > 1)) return null;
  return valueOf(metric, metric.better > 0 ? Math.max(...values) : Math.min(...values));
}
