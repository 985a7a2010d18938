// Charts, drawn by Vega-Lite with its interpreter, because the content security policy forbids compiling code.

const tip = () => $("tip");

function showTip(handler, event, item, value) {
  if (value == null || value === "") {
    tip().hidden = true;
    return;
  }
  const told = typeof value === "object" ? Object.entries(value) : [["", value]];
  const list = el("dl");
  for (const [name, one] of told) list.append(el("div", {}, el("dt", {}, name), el("dd", {}, String(one))));
  tip().replaceChildren(list);
  tip().hidden = false;
  const { width, height } = tip().getBoundingClientRect();
  tip().style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  tip().style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
}

/** Draw the charts one at a time while the browser is idle, so that the report stays responsive. */
async function drawCharts() {
  const section = $("charts");
  if (!summary.charts.length) {
    section.append(el("p", { class: "quiet" }, "No charts: there is only one job, or the metrics do not differ between jobs."));
    return;
  }
  const groups = new Map();
  for (const chart of summary.charts) {
    if (!groups.has(chart.group)) {
      const grid = el("div", { class: "charts" });
      section.append(el("h3", {}, chart.group), grid);
      groups.set(chart.group, grid);
    }
    const place = el("div", { class: "chart", role: "img", "aria-label": `${chart.title}. ${chart.says} The table of jobs contains the numbers.` }); // wording: ok
    chart.place = place;
    chart.names = chart.points && el("details", { class: "names", hidden: true });
    groups.get(chart.group).append(el("figure", {}, el("figcaption", {}, el("strong", {}, chart.title), " ", chart.says), place, chart.names));
  }
  for (const chart of summary.charts) {
    await new Promise((done) => (window.requestIdleCallback ?? setTimeout)(done));
    const spec = JSON.parse(JSON.stringify(chart.spec), (key, value) => (typeof value === "string" ? plain(value) : value));
    const { view } = await vegaEmbed(chart.place, spec, {
      ast: true,
      renderer: "svg",
      actions: false,
      defaultStyle: false,
      tooltip: showTip,
      config: { font: "inherit", text: { font: "system-ui, sans-serif" }, axis: { labelFont: "system-ui, sans-serif", titleFont: "system-ui, sans-serif" } },
    });
    if (chart.points) {
      labelPoints(chart, view);
      view.addSignalListener("width", () => view.runAfter(() => labelPoints(chart, view)));
    }
    for (const svg of chart.place.querySelectorAll("svg")) svg.setAttribute("aria-hidden", "true");
  }
  section.dataset.ready = "true";
}
