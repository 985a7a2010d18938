// The top of the report: settings that differ, machines, dates, failures and the decision.

function drawAbout() {
  const { about, jobs, rows } = summary;
  const axes = Object.entries(about.axes);
  const swept = axes.map(([name, values]) => `${name}: ${values.slice(0, 8).join(", ")}${values.length > 8 ? ", …" : ""}`);
  $("swept").replaceChildren(visible(swept.join(" · ") || "one job"));
  const name = about.recipe ? `: ${about.recipe}` : "";
  $("title").textContent = plain(`hforch report${name}`);
  document.title = plain(`hforch report${name || `: ${axes.map(([axis]) => axis).join(" x ") || jobs[0]?.name || ""}`}`);
  const links = { about: "Top", jobs: "Jobs", charts: "Charts", answers: "Answers", again: "Run again" };
  for (const [id, name] of Object.entries(links))
    $("nav").append(el("button", { type: "button", onclick: () => go(id) }, name));
  const section = $("about");
  if (about.reason) section.append(el("div", { class: `decision ${about.qualified ? about.outcome : "refused"}` }, el("p", {}, el("strong", {}, "Decision "), about.reason), about.remark ? el("p", { class: "remark" }, about.remark) : null, evidenceTable(about), doubtsList(about)));
  const failed = about.failures + about.unfinished;
  const interrupted = about.interrupted + about.interrupted_jobs;
  const started = [...new Set(about.started.map(moment))];
  const facts = [
    ["Jobs", figure(jobs.length, 0)],
    ["Samples", figure(about.samples, 0)],
    ["Failures", failed ? both(about.failures, about.unfinished, "unfinished job") : "none", failed ? "bad" : ""],
    ...(interrupted ? [["Interrupted", both(about.interrupted, about.interrupted_jobs, "job"), ""]] : []),
    [jobs.length > 1 ? "Jobs started" : "Started", started.join(" to ") || "unknown"],
    ["Machine", about.machines.join("; ") || "unknown"],
    ["hforch", about.hforch],
  ];
  const list = el("dl", { class: "facts" });
  for (const [name, value, kind] of facts) list.append(el("div", { class: kind || null }, el("dt", {}, name), el("dd", {}, value)));
  section.append(list);
  const alike = Object.entries(about.alike).map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, value)));
  section.append(el("h3", {}, jobs.length > 1 ? "Common settings" : "Settings"), el("dl", { class: "facts" }, alike));
  const versions = [...about.systems, ...Object.entries(about.packages).map(([name, version]) => `${name} ${version}`)];
  if (versions.length) section.append(el("details", {}, el("summary", {}, "System and versions"), el("p", {}, versions.join(", "))));
  if (about.decision)
    section.append(el("details", {}, el("summary", {}, "Decision details"), el("ul", {}, about.decision.map((line) => el("li", {}, line.trim())))));
  const notes = [...about.notes];
  if (rows.shown < rows.of) {
    const failedToo = rows.failed ? `, plus ${figure(rows.failed, 0)} inputs for which a job failed` : "";
    notes.unshift(
      `The answers below cover ${figure(rows.shown, 0)} of ${figure(rows.of, 0)} inputs: a deterministic sample${failedToo}. ` +
        "Metrics cover all samples. To show more inputs: hforch report --inputs N.",
    );
  }
  if (about.repeats > 1) notes.push(`Each input was run ${about.repeats} times; the answers below are from the first run.`);
  if (notes.length) section.append(el("ul", { class: "notes" }, notes.map((note) => el("li", {}, note))));
  if (about.missing.length)
    section.append(
      el("div", { class: "missing", role: "note" }, el("h3", {}, "Omitted from this report"), el("ul", {}, about.missing.map((line) => el("li", {}, line)))),
    );
}

/** Return the comparison of the best job with the others, or null. */
function evidenceTable({ evidence, confidence }) {
  if (!evidence) return null;
  const { best, metric, rivals, of, floor } = evidence;
  const heads = ["compared with", evidence.is_by_value ? "difference" : `difference, ${percent(confidence)} interval`, "p", "conclusion"];
  const rows = rivals.map((one) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, `job ${one.job}`, one.label === one.job ? null : el("small", {}, ` ${one.label}`)),
      el("td", {}, one.effect, one.why ? el("small", {}, ` no interval: ${one.why}`) : null),
      el("td", {}, one.p ?? "-"),
      el("td", {}, one.says),
    ),
  );
  const notes = [
    of > rivals.length ? `The table shows ${rivals.length} of ${of} jobs.` : "",
    floor ? `Noise floor: repeated measurements of a job differ by about ${floor} in this sweep; smaller differences do not count.` : "",
    rivals.length > 1 && rivals.some((one) => one.p) ? "p-values are adjusted for the number of jobs (Holm)." : "",
  ];
  const table = el(
    "table",
    { class: "evidence" },
    el("caption", {}, `${metric} of job ${best}`),
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows),
  );
  const scroller = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Evidence of the decision" }, table);
  return [scroller, el("p", { class: "quiet" }, notes.filter(Boolean).join(" "))];
}

/** Return the requirements that are met, but not confirmed, or null. */
function doubtsList({ doubts, confidence }) {
  if (!doubts.of) return null;
  const items = doubts.jobs.map(([title, ...some]) => el("li", {}, el("strong", {}, `job ${title}`), `: ${some.join("; ")}`));
  const left = doubts.of - doubts.jobs.length;
  if (left) items.push(el("li", {}, `${counted(left, "more job")} in the decision details`));
  return [el("p", { class: "doubts" }, `Met, but not confirmed at ${percent(confidence)} confidence:`), el("ul", {}, items)];
}

function both(samples, jobs, noun) {
  const parts = [];
  if (samples) parts.push(counted(samples, "sample"));
  if (jobs) parts.push(counted(jobs, noun));
  return parts.join(", ");
}

function moment(text) {
  return text.replace("T", " ").replace(/\.\d+/, "").replace("+00:00", " UTC");
}

function go(id) {
  const title = $(`${id}-title`);
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
  $(id).scrollIntoView();
}
