// The table of jobs, which can be sorted, with a bar and an interval for each number and the best values marked.

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
  else $("jobs").append(el("p", { class: "quiet", id: "intervals" }, intervalsLine()), box);
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
  if (job.role) marks.push(roleMarks(job));
  if (job.pareto) marks.push(el("span", { class: "tag", title: summary.pareto }, "Pareto"));
  if (job.is_baseline) marks.push(el("span", { class: "tag" }, "baseline"));
  const why = job.why ?? (job.metrics.failed ? `${counted(job.metrics.failed, "sample")} failed` : null);
  const said = [
    why ? el("p", { class: "why bad" }, why) : null,
    job.refused && job.refused.join() !== job.why ? el("p", { class: "why" }, `not qualified: ${job.refused.join("; ")}`) : null,
    job.doubts ? el("p", { class: "why" }, `not confirmed: ${job.doubts.join("; ")}`) : null,
    job.notes.map((note) => el("p", { class: "why" }, note)),
  ];
  const again = el("button", { type: "button", class: "link", onclick: () => openAgain(place), title: "show how to run this job again" }, job.name);
  const settings = jobsTable.folded ? el("p", { class: "settings" }, summary.axes.map((axis) => job.axes[axis] ?? "-").join(", ")) : null;
  const row = el("tr", { class: [job.role, job.tied && "tied"].filter(Boolean).join(" ") || null }, el("th", { scope: "row" }, again, " ", marks, settings, said));
  if (!jobsTable.folded) for (const axis of summary.axes) row.append(el("td", {}, job.axes[axis] ?? "-"));
  for (const metric of summary.metrics) row.append(metricCell(job, metric));
  return row;
}

/** The tags of a job with a role in the decision; the recommended one may be in a tie with others. */
const ROLES = {
  recommended: ["good", "the job that the decision recommends"],
  tie: ["tie", "as good as the recommended job, as far as the margin of the decision distinguishes"],
  undecided: ["undecided", "may be the best job; the measurements do not show which of these is"],
};

/** Return the tags of a job's role in the decision, or null. */
function roleMarks(job) {
  if (!job.role) return null;
  const roles = [...new Set([job.role, ...(job.tied ? ["tie"] : [])])];
  return roles.flatMap((role) => [" ", el("span", { class: `tag ${ROLES[role][0]}`, title: ROLES[role][1] }, role)]);
}

function metricCell(job, metric) {
  const value = job.metrics[metric.name];
  if (value == null) return el("td", { class: "number none" }, el("span", { class: "unseen" }, "not available"));
  const interval = job.intervals[metric.name];
  const hasInterval = Array.isArray(interval);
  const spread = metric.name === "tokens_per_s" && job.spread && !hasInterval ? ` (${figure(job.spread[0], 1)} to ${figure(job.spread[1], 1)})` : "";
  metric.column ??= { best: best(metric), end: endOfBars(metric) };
  const isBest = metric.column.best.includes(job);
  return el(
    "td",
    { class: `number${isBest ? " best" : ""}`, title: hasInterval || !interval ? null : `no interval: ${interval}` },
    isBest ? el("span", { class: "star", "aria-hidden": "true" }, "★") : null,
    valueOf(metric, value),
    spread ? el("small", {}, spread) : null,
    isBest ? el("span", { class: "unseen" }, " best") : null,
    hasInterval ? el("small", { class: "interval", title: methodOf(interval) }, intervalOf(metric, interval)) : null,
    barOf(value, hasInterval ? interval : null, metric.column.end),
  );
}

/** Return a bar, with a line from one end of the interval to the other, both as a fraction of `end`. */
function barOf(value, interval, end) {
  const share = (one) => (end > 0 ? Math.min(100, Math.max(0, (100 * one) / end)) : 0);
  const bar = el("span", { class: "bar" });
  bar.style.width = `${share(value)}%`;
  if (!interval) return el("span", { class: "track" }, bar);
  const [low, high] = [share(interval[0] ?? 0), share(interval[1] ?? Infinity)];
  const line = el("span", { class: "whisker" });
  line.style.left = `${low}%`;
  line.style.width = `${high - low}%`;
  return el("span", { class: "track" }, bar, line);
}

/** Return the value at the end of the longest bar of a metric: the highest, or the end of an interval near it. */
function endOfBars(metric) {
  const most = Math.max(...summary.jobs.map((job) => job.metrics[metric.name] ?? 0));
  const ends = summary.jobs.map((job) => job.intervals[metric.name]).filter(Array.isArray).map(([, high]) => high ?? Infinity);
  return Math.min(1.5 * most, Math.max(most, ...ends));
}

function intervalOf(metric, [low, high]) {
  const [from, to] = [low ?? -Infinity, high ?? Infinity].map((end) => (Number.isFinite(end) ? valueOf(metric, end) : end > 0 ? "∞" : "-∞"));
  return `${from.replace(/%$/, "")}–${to}`;
}

function methodOf([, , method, units]) {
  const number = units ? `, ${counted(units, "independent value")}` : "";
  return `${percent(summary.about.confidence)} interval (${summary.methods[method] ?? method}${number})`;
}

const percent = (share) => `${Number((100 * share).toFixed(2))}%`;

/** Return the sentence that explains the intervals and names the metrics that have none. */
function intervalsLine() {
  const { confidence, without } = summary.about;
  const lacking = without.map(([titles, why]) => `${titles.join(", ")} (${why})`).join("; ");
  const hasAny = summary.jobs.some((job) => Object.values(job.intervals).some(Array.isArray));
  const level = percent(confidence);
  const explained = hasAny ? `The ${level} interval of a value is shown below it, and as a line on its bar. ★: the best value, if its interval does not overlap that of any other job. In columns that compare with the baseline, the baseline is not considered. ` : "";
  return `${explained}${lacking ? `No interval: ${lacking}.` : ""}`.trim();
}

/** Return whether a metric of a job is comparable: speed and energy are not if the GPU was shared. */
function isRanked(job, metric) {
  return !(metric.alone && job.is_shared);
}

/**
 * Return the jobs with the best value of a metric, as displayed. The list is empty if all are equal, if speeds come from
 * several machines, or if the interval of another job overlaps.
 */
function best(metric) {
  let known = summary.jobs.filter((job) => job.metrics[metric.name] != null && job.status !== "not run");
  if (metric.against) known = known.filter((job) => !job.is_baseline); // the baseline is always identical to itself
  known = known.filter((job) => isRanked(job, metric));
  const values = known.map((job) => job.metrics[metric.name]);
  if (new Set(values.map((value) => valueOf(metric, value))).size < 2 || (metric.speed && new Set(known.map((job) => job.site)).size > 1)) return [];
  const most = valueOf(metric, metric.better > 0 ? Math.max(...values) : Math.min(...values));
  const found = known.filter((job) => valueOf(metric, job.metrics[metric.name]) === most);
  const others = known.filter((job) => !found.includes(job));
  return others.some((other) => found.some((job) => overlap(ends(job, metric), ends(other, metric)))) ? [] : found;
}

/** Return the ends of a job's interval of a metric; without one, its value twice. */
function ends(job, metric) {
  const interval = job.intervals[metric.name];
  return Array.isArray(interval) ? [interval[0] ?? -Infinity, interval[1] ?? Infinity] : [job.metrics[metric.name], job.metrics[metric.name]];
}

const overlap = ([low, high], [from, to]) => low <= to && from <= high;
