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
  if (about.reason) section.append(el("p", { class: about.qualified ? "decision" : "decision none" }, el("strong", {}, "Decision "), about.reason));
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
