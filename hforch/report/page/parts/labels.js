// Labels of points in charts, placed so that they overlap neither each other, nor points, nor the edge of the chart.

const SVG = "http://www.w3.org/2000/svg";
const NEAR = [10, 24]; // distances in pixels from a point to its label; farther ones have a leader line
const FAR = [...NEAR, 38, 52, 68, 86, 106, 128, 152, 178, 206, 236];
const DIRECTIONS = 16;
const MARK = 8; // half the size of a point, in pixels
const GAP = 2; // pixels between labels
const MOST_NAMES = 4; // maximum number of jobs in the label of equal points
const MOST_LISTED = 12; // with more points, the list of their names is collapsed

/** Label the points of a chart with names and settings, or only names and a list below if these do not fit. */
function labelPoints(chart, view) {
  const svg = chart.place.querySelector("svg");
  svg.querySelector("g.labels")?.remove();
  const layer = svgElement("g", { class: "labels", transform: svg.querySelector("g").getAttribute("transform") });
  svg.append(layer);
  const ranked = chart.points.filter((one) => one.labelled).sort((a, b) => a.rank - b.rank); // the first get a place if there is little space
  const points = grouped(ranked.map((one) => ({ ...one, left: view.scale("x")(one.x), top: view.scale("y")(one.y) })));
  const marks = chart.points.map((one) => box(view.scale("x")(one.x), view.scale("y")(one.y), 2 * MARK, 2 * MARK));
  const drawn = [...chart.points.flatMap((one) => intervalLines(one, view)), ...frontLines(chart.front, view)];
  const area = { left: 0, top: 0, right: view.width(), bottom: view.height() };
  let left = placeAll(layer, points, (group) => group.map((one) => one.short).join("; "), NEAR, marks, drawn, area);
  const isShort = left > 0;
  if (isShort) left = placeAll(layer, points, names, FAR, marks, drawn, area);
  chart.names.hidden = !isShort;
  chart.names.open = chart.points.length <= MOST_LISTED;
  const omitted = left ? el("li", {}, `${counted(left, "label")} omitted for lack of space; hover over a point to see its job`) : null;
  chart.names.replaceChildren(el("summary", {}, "Jobs in this chart"), el("ul", {}, chart.points.map((one) => el("li", {}, one.short)), omitted));
}

/** Return the boxes of the lines that show the intervals of a point. */
function intervalLines(one, view) {
  const [x, y] = [view.scale("x"), view.scale("y")];
  return [
    ...(one.x_low == null ? [] : [spanned(x(one.x_low), x(one.x_high), y(one.y), y(one.y))]),
    ...(one.y_low == null ? [] : [spanned(x(one.x), x(one.x), y(one.y_low), y(one.y_high))]),
  ];
}

/** Return the boxes of the steps through the points at the front. */
function frontLines({ points, isStepAfter }, view) {
  const at = points.map(([x, y]) => [view.scale("x")(x), view.scale("y")(y)]);
  return at.slice(1).flatMap(([right, below], number) => {
    const [left, above] = at[number];
    const [corner, level] = isStepAfter ? [right, above] : [left, below];
    return [spanned(left, right, level, level), spanned(corner, corner, above, below)];
  });
}

/** Return groups of points that cover each other and share a label. */
function grouped(points) {
  const groups = [];
  for (const point of points) {
    const own = groups.find(([one]) => Math.hypot(one.left - point.left, one.top - point.top) < MARK / 2);
    if (own) own.push(point);
    else groups.push([point]);
  }
  return groups;
}

/** Return the names of a group's jobs, at most MOST_NAMES. */
function names(group) {
  const shown = group.slice(0, MOST_NAMES).map((one) => one.name);
  return shown.join(", ") + (group.length > MOST_NAMES ? ` +${group.length - MOST_NAMES}` : "");
}

/** Place a label for each group of points, clear of the lines in the chart if possible; return how many did not fit. */
function placeAll(layer, points, text, distances, marks, drawn, area) {
  layer.replaceChildren();
  const taken = [];
  const lines = [];
  let left = 0;
  for (const group of points) {
    const [point] = group;
    const label = svgElement("text", { "dominant-baseline": "central" });
    label.textContent = plain(text(group));
    layer.append(label);
    const { width, height } = label.getBBox();
    const place = (others) => freePlace(point, width + 2 * GAP, height, distances, [...marks, ...taken, ...others], lines, area);
    const found = place(drawn) ?? place([]);
    if (!found) {
      label.remove();
      left += 1;
      continue;
    }
    label.setAttribute("x", found.x - width / 2);
    label.setAttribute("y", found.y);
    taken.push(found.box);
    if (found.distance === NEAR[0]) continue;
    const end = [clamp(point.left, found.box.left, found.box.right), clamp(point.top, found.box.top, found.box.bottom)];
    lines.push(...dots(point, end));
    layer.prepend(svgElement("line", { x1: point.left, y1: point.top, x2: end[0], y2: end[1] }));
  }
  return left;
}

/** Return the nearest free place for a label, or null. */
function freePlace(point, width, height, distances, taken, lines, area) {
  for (const distance of distances) {
    for (let turn = 0; turn < DIRECTIONS; turn++) {
      // above, below, right, left, and then between them
      const step = [12, 4, 0, 8, 14, 10, 2, 6, 13, 11, 15, 9, 3, 5, 1, 7][turn];
      const angle = (2 * Math.PI * step) / DIRECTIONS;
      const x = point.left + Math.cos(angle) * (distance + width / 2);
      const y = point.top + Math.sin(angle) * (distance + height / 2);
      const own = box(x, y, width, height);
      if (own.left < area.left || own.right > area.right || own.top < area.top || own.bottom > area.bottom) continue;
      if (taken.some((one) => meets(own, one)) || lines.some(([a, b]) => contains(own, a, b))) continue;
      const end = [clamp(point.left, own.left, own.right), clamp(point.top, own.top, own.bottom)];
      if (distance > NEAR[0] && dots(point, end).some(([a, b]) => taken.some((one) => !contains(one, point.left, point.top) && contains(one, a, b)))) continue;
      return { x, y, box: own, distance };
    }
  }
  return null;
}

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const box = (x, y, width, height) => ({ left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 });
const spanned = (a, b, c, d) => ({ left: Math.min(a, b) - 1, right: Math.max(a, b) + 1, top: Math.min(c, d) - 1, bottom: Math.max(c, d) + 1 });
const meets = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
const contains = (one, x, y) => x > one.left && x < one.right && y > one.top && y < one.bottom;

/** Return points on a leader line, a few pixels apart. */
function dots(point, [x, y]) {
  const number = Math.ceil(Math.hypot(x - point.left, y - point.top) / 3);
  return Array.from({ length: number }, (_, at) => [point.left + ((x - point.left) * at) / number, point.top + ((y - point.top) * at) / number]);
}

function svgElement(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
