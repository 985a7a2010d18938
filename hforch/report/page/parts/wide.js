// Tables wider than the page: columns that stay in place, and shadows and a hint while columns are out of view.

const MOST_PINNED = 0.5; // maximum share of the width that columns in place may cover

/** Return a scrolling box with shadows at the sides where columns are out of view, and a hint with their number. */
function wide(scroller, table) {
  const hint = el("p", { class: "hint quiet", "aria-hidden": "true" });
  const box = el("div", { class: "wide" }, hint, el("div", { class: "shadows" }, scroller));
  const update = () => {
    const right = scroller.getBoundingClientRect().left + scroller.clientLeft + scroller.clientWidth;
    const hidden = [...(table.tHead.rows[0]?.cells ?? [])].filter((cell) => cell.getBoundingClientRect().right > right + 1).length;
    box.classList.toggle("more-left", scroller.scrollLeft > 1);
    box.classList.toggle("more-right", hidden > 0);
    hint.hidden = scroller.scrollWidth <= scroller.clientWidth + 1;
    hint.textContent = hidden ? `${counted(hidden, "more column")} to the right: scroll the table →` : "← scroll the table back";
  };
  scroller.addEventListener("scroll", update, { passive: true });
  const observer = new ResizeObserver(update);
  observer.observe(scroller);
  observer.observe(table);
  return box;
}

/** Keep the first columns of a table in place while it scrolls; return the share of the width that they cover. */
function pin(scroller, table, number) {
  const widths = [...table.tHead.rows[0].cells].slice(0, number).map((cell) => cell.getBoundingClientRect().width);
  for (const row of table.rows) {
    let left = 0;
    for (let at = 0; at < number; at++) {
      row.cells[at].classList.add("pinned");
      row.cells[at].classList.toggle("last", at === number - 1);
      row.cells[at].style.left = `${left}px`;
      left += widths[at];
    }
  }
  return widths.reduce((sum, one) => sum + one, 0) / scroller.clientWidth;
}
