// Commands and recipes for running the jobs again, with copy buttons.

function copyButton(title, text) {
  const button = el("button", { type: "button", class: "copy" }, title);
  button.addEventListener("click", async () => {
    const done = await copy(text());
    button.textContent = done ? "Copied" : "Copy failed: select the text and copy it";
    say(button.textContent);
    setTimeout(() => (button.textContent = title), 1500);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    const host = document.querySelector("dialog[open]") ?? document.body;
    host.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function drawAgain() {
  const section = $("again");
  for (const sweep of summary.about.sweeps) {
    section.append(el("h3", {}, "Entire sweep"), code(sweep.command, "the command of the sweep"), sweep.cwd ? el("p", { class: "quiet" }, `working directory: ${sweep.cwd}`) : "", sweep.note ? el("p", { class: "why" }, sweep.note) : "");
  }
  section.append(el("h3", {}, "Individual jobs"));
  summary.jobs.forEach((job, at) => {
    const one = el("details", { id: `again-${at}` }, el("summary", {}, el("strong", {}, job.name), job.label === job.name ? "" : ` ${job.label}`, roleMarks(job)));
    one.addEventListener("toggle", () => one.open && fill(one, job));
    const quick = [copyButton("Copy command", () => job.again.command), copyButton("Copy recipe", () => job.again.recipe)];
    for (const button of quick) button.setAttribute("aria-label", `${button.textContent} of job ${plain(job.name)}`);
    section.append(el("div", { class: "again" }, one, quick));
  });
}

function fill(one, job) {
  if (one.dataset.filled) return;
  one.dataset.filled = "true";
  const { command, cwd, recipe, freeze, note } = job.again;
  one.append(
    el("p", {}, `Command${cwd ? ` (working directory: ${cwd})` : ""}`),
    code(command, `the command of job ${job.name}`),
    note ? el("p", { class: "why" }, note) : "",
    el("p", {}, "Recipe: save it as recipe.yaml, and run it: hforch run recipe.yaml"),
    code(recipe, `the recipe of job ${job.name}`),
    el("p", {}, "To create a recipe for hforch verify:"),
    code(freeze, `the command that freezes job ${job.name}`),
  );
}

function code(text, name) {
  return el("div", { class: "code" }, el("pre", { tabindex: "0", role: "region", "aria-label": name }, el("code", {}, visible(text))), copyButton("Copy", () => text));
}

function openAgain(at) {
  const one = $(`again-${at}`);
  one.open = true;
  fill(one, summary.jobs[at]);
  one.scrollIntoView();
  one.querySelector("summary").focus({ preventScroll: true });
}
