// Brings the parts together: what is filtered goes to table and scatter, what is chosen in one is shown in the others.

document.documentElement.classList.add("js");

function themed(changed) {
  const button = $("theme"), root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const apply = (dark) => {
    root.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark));
    changed();
  };
  apply(system.matches);
  system.addEventListener("change", () => apply(system.matches));
  button.addEventListener("click", () => apply(root.dataset.theme !== "dark"));
}

/** The best few, as buttons that open their cards. */
function best(table, open) {
  const rows = table.header.best;
  if (!rows.length) return;
  const value = (row) => {
    const low = table.number("lower_mev", row), center = table.text("band_center_mev", row);
    if (!Number.isNaN(table.number("p_conductor", row))) return [el("b", {}, `${table.text("sigma_predicted_s_cm", row)}`), ` S/cm, P ${table.text("p_conductor", row)}`];
    if (table.header.best_by) return [el("b", {}, `${table.text(table.header.best_by, row)} `), table.of.get(table.header.best_by).unit];
    if (!Number.isNaN(table.number("barrier_ev", row))) return [el("b", {}, center), ` meV, barrier ${table.text("barrier_ev", row)} eV`];
    return [el("b", {}, center), Number.isNaN(low) ? " meV" : ` meV, ${Math.round(low)} to ${Math.round(table.number("upper_mev", row))}`];
  };
  $("best-list").replaceChildren(...rows.map((row, i) => el("li", {}, el("button", { type: "button", on: { click: () => open(row, { focus: true }) } },
    el("span", { class: "formula" }, table.title(row)),
    el("span", { class: "name" }, [table.has("formula") ? table.text("material_id", row) : "", table.has("family") ? table.text("family", row) : ""].filter(Boolean).join(" · ")),
    el("span", { class: "value" }, value(row)),
    table.header.marks[i].length ? el("span", { class: "marks" }, table.header.marks[i].map(([level, text]) => el("span", { class: `chip ${level}` }, text))) : null))));
  $("best").hidden = false;
}

/** Figures open in full size. */
function enlargeable() {
  const box = $("enlarged");
  box?.addEventListener("click", () => box.close());
  for (const button of document.querySelectorAll(".enlarge"))
    button.addEventListener("click", () => {
      const { src, alt } = button.firstElementChild;
      box.replaceChildren(el("img", { src, alt }), el("p", {}, alt));
      box.showModal();
    });
}

/** The rows that are shown as CSV; a cell that a spreadsheet would take for a formula becomes text. */
function csvOf(table, rows) {
  const quoted = (text) => (/^[=+@\t\r]/.test(text) ? `'${text}` : text);
  const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const columns = table.columns.filter((column) => !["level", "sure", "mobile_ion"].includes(column.key));
  const value = (column, row) => {
    if (column.kind === "number") return Number.isNaN(column.array[row]) ? "" : String(Number(column.array[row].toPrecision(column.digits > 6 ? 12 : 7)));
    if (column.kind === "flag") return ["False", "True", ""][column.array[row]];
    return cell(quoted(table.text(column.key, row)));
  };
  return [columns.map((column) => column.key).join(","), ...rows.map((row) => columns.map((column) => value(column, row)).join(","))].join("\n") + "\n";
}

/** What stands for the scatter on a page without one. */
const NO_SCATTER = { fill() {}, mark() {}, draw() {}, async start() {} };

async function start() {
  let redraw = () => {};
  themed(() => redraw());
  enlargeable();
  const header = await unpacked("data");
  if (!header) return;
  const table = new Table(header);
  let crystals = null, orderings = null, viewer = null;
  table.plot = () => plot;
  table.viewer = () => (viewer ??= library("lib-3dmol"));
  let scatter, filters;
  const card = new Card(table, {
    crystals: () => crystals,
    orderings: () => orderings,
    closed: () => scatter.mark(-1),
    step: (by) => {
      grid.go(grid.rows.indexOf(card.row) + by);
      open(grid.rows[grid.active]);
    },
  });
  const open = (row, how) => {
    if (row === undefined) return;
    card.open(row, how);
    scatter.mark(row);
    grid.show(row);
  };
  const grid = new Grid(table, { open });
  scatter = $("scatter") ? new Scatter(table, { open, select: (rows) => filters.select(rows) }) : NO_SCATTER;
  filters = new Filters(table, () => {
    const rows = filters.rows();
    grid.fill(rows);
    scatter.fill(grid.rows);
    $("count").textContent = `${counted(rows.length)} of ${counted(table.n)} shown${filters.selected ? ", selected in the scatter" : ""}`;
  });
  filters.apply();
  best(table, open);
  $("save").addEventListener("click", () => save("phonolyte.csv", csvOf(table, grid.rows), "text/csv"));
  redraw = () => { scatter.draw(); if (card.row >= 0) card.open(card.row); };
  const crystalsRead = Promise.all([unpacked("crystals"), unpacked("orderings")]).then(([block, ordered]) => {
    if (block) crystals = new Crystals(block);
    if (ordered) orderings = new Crystals(ordered);
    if (card.row >= 0) card.open(card.row);
  });
  const plot = new Promise((done) => setTimeout(done, 30)).then(() => scatter.start()); // the table is painted first
  await Promise.all([crystalsRead, plot]);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  const said = el("p", { class: "no", role: "alert" }, `This page could not be drawn: ${error.message}. A browser of 2023 or later can; ranked.csv has the same table.`);
  document.querySelector("main").prepend(said);
  throw error;
});
