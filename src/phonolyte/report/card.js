// The card of one material: prediction, crystal, what it was learned from, what was computed, how sure, what next.

const NOT_FACTS = new Set(["p_conductor", "sigma_predicted_s_cm", "sigma_lower_s_cm", "sigma_upper_s_cm", "measured_sigma_s_cm", "measured_at_most", "measured_n", "measured_doi", "sigma_basis", "material_id", "formula", "rank", "band_center_mev", "lower_mev", "upper_mev", "center_by", "passes", "reason", "rejected_by", "in_domain", "level", "sure", "sure_of", "mobile_ion", "steps"]);

class Card {
  constructor(table, { crystals, orderings, closed, step }) {
    this.table = table;
    this.crystals = crystals;
    this.orderings = orderings;
    this.closed = closed;
    this.step = step;
    this.row = -1;
    this.letGo = () => {};
    this.measured = table.header.spectra ? new Spectra(table) : table.header.measured ? new Measured(table) : null;
    this.box = $("card");
    this.box.classList.toggle("measured", this.measured !== null);
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && this.row >= 0 && !event.defaultPrevented) this.close(); });
  }

  open(row, { focus = false } = {}) {
    if (this.row < 0) this.before = document.activeElement;
    this.row = row;
    this.letGo();
    this.letGo = () => {};
    this.box.hidden = false;
    this.box.replaceChildren(...this.parts(row).filter(Boolean));
    this.box.scrollTop = 0;
    if (focus || matchMedia("(max-width: 44rem)").matches) this.box.querySelector("#close").focus();
    this.drawn = this.draw(row);
  }

  close() {
    if (this.row < 0) return;
    this.letGo();
    this.letGo = () => {};
    this.row = -1;
    this.box.hidden = true;
    this.closed();
    (this.before?.isConnected && this.before !== document.body ? this.before : $("grid")).focus({ preventScroll: true });
  }

  parts(row) {
    const { table } = this;
    return [this.head(row), this.conductivity(row), this.prediction(row), ...(this.measured?.parts(row) ?? []), this.crystalBox(row), this.sure(row), this.nearest(row), ...this.computed(row), this.facts(row), this.next(row), ...this.images(row)];
  }

  head(row) {
    const { table } = this;
    const name = table.text("material_id", row), text = table.has("formula") ? table.text("formula", row) : name;
    const rank = table.number("rank", row), reason = table.has("reason") ? table.text("reason", row) : "";
    const place = table.flag("passes", row) === 0 ? `rejected: ${reason}` : Number.isNaN(rank) ? "" : `${table.header.noun} ${counted(rank)}`;
    const move = (by, sign, label) => el("button", { class: "plain", type: "button", "aria-label": label, title: label, on: { click: () => this.step(by) } }, sign);
    return el("header", {},
      el("div", {}, el("h2", { id: "card-title" }, table.title(row)), el("p", { class: "who" }, [name === text ? "" : name, place].filter(Boolean).join(" · "))),
      move(-1, "↑", "The one before"), move(1, "↓", "The next one"),
      el("button", { class: "plain", type: "button", id: "close", "aria-label": "Close the card", title: "Close (Escape)", on: { click: () => this.close() } }, "✕"));
  }

  /** The predicted conductivity, with what was measured, where there is one. */
  conductivity(row) {
    const { table } = this;
    if (Number.isNaN(table.number("p_conductor", row))) return null;
    const text = (key) => table.text(key, row), measured = text("measured_sigma_s_cm"), doi = text("measured_doi");
    const n = table.has("measured_n") ? table.number("measured_n", row) : 1, several = n > 1 ? ` (the middle one of ${n} measurements)` : "";
    return el("div", {},
      el("div", { class: "big" }, el("b", {}, `${text("sigma_predicted_s_cm")} S/cm`), `predicted, ${text("sigma_lower_s_cm")} to ${text("sigma_upper_s_cm")} nine times out of ten`),
      el("p", {}, el("b", {}, text("p_conductor")), " is the probability of 1e-4 S/cm or more at room temperature."),
      measured === "–" ? null : el("p", {}, "Measured: ", el("b", {}, `${table.flag("measured_at_most", row) === 1 ? "at most " : ""}${measured} S/cm`), several, ", ", el("a", { href: `https://doi.org/${encodeURI(doi)}`, rel: "noopener" }, doi)));
  }

  prediction(row) {
    const { table } = this;
    const center = table.number("band_center_mev", row);
    if (!table.has("band_center_mev") || Number.isNaN(center)) return null;
    const has = table.has("lower_mev"), level = table.has("level") ? table.text("level", row) : "";
    const [low, high] = has ? [table.number("lower_mev", row), table.number("upper_mev", row)] : [NaN, NaN];
    const by = table.has("center_by") && table.text("center_by", row) === "computed" ? " computed from phonons" : "";
    return el("div", {},
      el("div", { class: "big" }, el("b", {}, `${center.toFixed(1)} meV`), has ? `band center${by}, ${low.toFixed(1)} to ${high.toFixed(1)} nine times out of ten` : table.header.center),
      has ? this.interval(center, low, high) : null,
      level ? el("p", {}, el("span", { class: `chip ${level}` }, `confidence in the ${table.text("sure_of", row)}: ${level}`)) : null);
  }

  /** Where the prediction stands among all of the run: their histogram, the interval, the limit. */
  interval(center, low, high) {
    const { histogram, limits } = this.table.header;
    const most = histogram.end, width = 420, at = (value) => (Math.min(value, most) / most) * width;
    const top = Math.max(...histogram.counts), bar = width / histogram.counts.length;
    const svg = (name, attributes, ...children) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      node.append(...children);
      return node;
    };
    const path = histogram.counts.map((n, i) => `V${30 - (26 * n) / top}H${(i + 1) * bar}`).join("");
    const limit = limits.band_center_mev;
    return svg("svg", { class: "interval", viewBox: `0 0 ${width} 48`, preserveAspectRatio: "none", role: "img", "aria-label": `${center.toFixed(1)} meV, interval ${low.toFixed(1)} to ${high.toFixed(1)} meV, among all compounds of the run` },
      svg("path", { d: `M0,30${path}V30Z`, fill: color("--line") }),
      ...(limit === undefined ? [] : [svg("line", { x1: at(limit), x2: at(limit), y1: 2, y2: 34, stroke: color("--faint"), "stroke-dasharray": "3 3" }), svg("text", { x: at(limit) + 4, y: 11 }, `${limit} meV`)]),
      svg("line", { x1: at(low), x2: at(high), y1: 34, y2: 34, stroke: color("--accent"), "stroke-width": 5, "stroke-linecap": "round", opacity: 0.45 }),
      svg("circle", { cx: at(center), cy: 34, r: 5, fill: color("--accent") }),
      svg("text", { x: 0, y: 47 }, "0"), svg("text", { x: width, y: 47, "text-anchor": "end" }, `${Math.round(most)} meV`));
  }

  crystalBox(row) {
    const refined = this.crystals()?.of(row), ordered = this.orderings()?.of(row);
    this.crystal = refined;
    this.ion = this.table.has("mobile_ion") ? this.table.text("mobile_ion", row) : "";
    if (!refined) return this.table.header.crystals ? el("p", { class: "hint" }, this.table.header.no_crystal) : null;
    const text = this.table.has("formula") ? this.table.text("formula", row) : this.table.text("material_id", row);
    const turns = { ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"] };
    this.canvas = el("div", { class: "crystal", role: "img", tabindex: "0", on: {
      keydown: (event) => { if (turns[event.key] && this.canvas.turn) { this.canvas.turn(...turns[event.key]); event.preventDefault(); } } } });
    this.canvas.setAttribute("aria-label", this.label(text));
    const legend = el("div", { class: "legend" }, this.legend(),
      el("button", { type: "button", on: { click: () => this.canvas.reset?.() } }, "Reset"),
      el("button", { type: "button", id: "cif", title: "The cell as it was given, in P1", style: "margin-left:0", on: { click: () => save(this.file(row), cifOf(text, this.crystal), "chemical/x-cif") } }, "Save CIF"));
    return el("div", {}, el("h3", {}, "Crystal"), ordered ? this.choice(row, text, refined, ordered) : null, this.canvas, legend);
  }

  /** Which of the two crystals of a disordered material is shown: as it was refined, or the ordering that stands for it. */
  choice(row, text, refined, ordered) {
    const { table } = this, n = table.has("n_orderings") ? table.number("n_orderings", row) : NaN;
    const choose = (crystal, button) => {
      this.crystal = crystal;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      this.letGo();
      this.letGo = () => {};
      this.canvas.replaceChildren();
      this.canvas.setAttribute("aria-label", this.label(text));
      this.draw(row);
    };
    const buttons = [["As refined", refined], ["Ordered", ordered]].map(([name, crystal], i) =>
      el("button", { type: "button", "aria-pressed": String(i === 0), on: { click: (event) => choose(crystal, event.currentTarget) } }, name));
    const of = n > 1 ? `the lowest in energy of ${n} orderings; the prediction is their mean` : "its ordering";
    return el("div", {}, el("div", { class: "choice", role: "group", "aria-label": "Crystal that is shown" }, buttons),
      el("p", { class: "hint" }, "Disordered: sites are shared, or partly empty (white). ", formula(table.text("ordered_as", row) || "Ordered"), ` is ${of}.`));
  }

  label(text) { return `Crystal of ${text}, ${this.crystal.sites.length} ions in the cell as it was given; arrow keys turn it`; }

  colors() { return colorsOf(new Set(this.crystal.sites.map(({ element }) => element)), this.ion); }

  legend() {
    return [...this.colors()].map(([symbol, color]) => el("span", {}, el("i", { style: `background:${color}` }), symbol === this.ion ? `${symbol}, mobile` : symbol));
  }

  async draw(row) {
    if (this.measured) await this.drawMeasured(row);
    const crystal = this.crystal;
    if (!crystal) return;
    await this.table.viewer();
    if (this.row === row && this.crystal === crystal) this.letGo = drawCrystal(this.canvas, crystal, this.colors());
  }

  async drawMeasured(row) {
    await this.table.plot();
    if (this.row === row) this.letGo = this.measured.draw(row);
  }

  sure(row) {
    const text = this.table.has("sure") ? this.table.text("sure", row) : "";
    return text ? el("div", {}, el("h3", {}, "Confidence"), el("p", {}, text), el("p", {}, this.table.header.caveat)) : null;
  }

  nearest(row) {
    const { header } = this.table, { learned, arrays } = header;
    if (!learned) return null;
    const k = learned.per_row, rows = [];
    for (let i = k * row; i < k * (row + 1); i++) {
      const which = arrays["nearest"][i];
      if (which === 65535) continue;
      rows.push(el("tr", {}, el("td", {}, formula(learned.formulas[which])), el("td", {}, learned.names[which]), el("td", {}, learned.centers[which].toFixed(1)), el("td", {}, (arrays["distance"][i] / 100).toFixed(1))));
    }
    if (!rows.length) return null;
    const head = ["compound", "name", "center, meV", "distance"].map((name) => el("th", { scope: "col" }, name));
    return el("div", {}, el("h3", {}, "Nearest compounds with known phonons"), el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)),
      el("p", { class: "hint" }, learned.from, `  Distances are in standard deviations of the features; the median in this run is ${learned.usual.toFixed(1)}.`));
  }

  computed(row) {
    const found = this.table.header.computed[this.table.text("material_id", row)];
    return Object.entries(found ?? {}).map(([title, { facts, dos, window }]) =>
      el("div", {}, el("h3", {}, title), dos ? this.dos(dos) : null, ...(window ? this.window(window) : []), el("dl", {}, facts.map(([label, value]) => [el("dt", {}, label), el("dd", {}, value)]))));
  }

  /** The electrochemical window as a bar, with the intervals of its ends, and in words. */
  window({ low, high, ends, most, ion, words }) {
    const node = (name, attributes, ...children) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      made.append(...children);
      return made;
    };
    const width = 420, at = (voltage) => (voltage / most) * width, [from, to] = [low, high].map(at);
    const whisker = (a, b) => a === null || b === null || b <= a ? [] : [node("line", { x1: at(a), x2: at(b), y1: 22, y2: 22, stroke: color("--ink"), "stroke-width": 1.2 })];
    const label = (x, text, anchor) => node("text", { x, y: 8, "text-anchor": anchor }, text);
    const wide = to - from > 90;
    return [node("svg", { class: "dos window", viewBox: `0 0 ${width} 46`, role: "img", "aria-label": `Electrochemical window from ${low.toFixed(2)} to ${high.toFixed(2)} V against ${ion}` },
      node("rect", { x: 0, y: 14, width, height: 16, fill: color("--line") }),
      node("rect", { x: from, y: 14, width: Math.max(to - from, 2), height: 16, fill: color("--accent") }),
      ...whisker(ends[0], ends[1]), ...whisker(ends[2], ends[3]),
      ...(wide ? [label(from, `${low.toFixed(2)} V`, from < 30 ? "start" : "middle"), label(to, `${high.toFixed(2)} V`, to > width - 30 ? "end" : "middle")]
        : [label(Math.min(Math.max((from + to) / 2, 50), width - 50), `${low.toFixed(2)} to ${high.toFixed(2)} V`, "middle")]),
      node("text", { x: 0, y: 43 }, "0"), node("text", { x: width, y: 43, "text-anchor": "end" }, `${most} V against ${ion}`)),
    ...words.map((text) => el("p", {}, formula(text)))];
  }

  /** The density of states, with its center. */
  dos({ energies: [first, last], total, ion, symbol, center }) {
    const node = (name, attributes, ...children) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      made.append(...children);
      return made;
    };
    const width = 420, height = 120, x = (e) => ((e - first) / (last - first)) * width;
    const line = (values) => values.map((value, i) => `${((i / (values.length - 1)) * width).toFixed(1)},${(height - 18 - (height - 26) * value).toFixed(1)}`).join(" ");
    const svg = node("svg", { class: "dos", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Phonon density of states, its center at ${center.toFixed(1)} meV` },
      node("polygon", { points: `0,${height - 18} ${line(total)} ${width},${height - 18}`, fill: color("--line") }),
      node("polyline", { points: line(total), fill: "none", stroke: color("--soft"), "stroke-width": 1.3 }));
    if (ion) svg.append(node("polyline", { points: line(ion), fill: "none", stroke: color("--warm"), "stroke-width": 1.6 }), node("text", { x: width, y: 12, "text-anchor": "end", style: `fill:${color("--warm")}` }, symbol));
    svg.append(node("line", { x1: x(center), x2: x(center), y1: 4, y2: height - 18, stroke: color("--accent"), "stroke-width": 1.5, "stroke-dasharray": "4 3" }),
      node("text", { x: x(center) + 5, y: 12, style: `fill:${color("--accent")}` }, `${center.toFixed(1)} meV`),
      node("text", { x: 0, y: height - 4 }, `${first.toFixed(0)}`), node("text", { x: width, y: height - 4, "text-anchor": "end" }, `${last.toFixed(0)} meV`));
    return svg;
  }

  facts(row) {
    if (this.measured) return null; // its tables have all
    const { table } = this;
    const facts = table.columns.filter((column) => !NOT_FACTS.has(column.key)).map((column) => [column, table.text(column.key, row)])
      .filter(([, text]) => text !== "" && text !== "–");
    if (!facts.length) return null;
    return el("div", {}, el("h3", {}, "Further values"), el("dl", {}, facts.map(([column, text]) => [el("dt", { title: column.hint || undefined }, column.words || column.label), el("dd", {}, column.kind === "number" && column.unit ? `${text} ${column.unit}` : text)])));
  }

  file(row) { return this.table.text("material_id", row).replace(/[^\p{L}\p{N}_.()+-]/gu, "_").slice(0, 80).replace(/^[.-]+/, "") + ".cif"; }

  next(row) {
    const { table } = this;
    const steps = table.header.steps[table.header.arrays.steps?.[row] ?? 0] ?? [];
    if (!steps.length) return null;
    const ion = table.has("mobile_ion") ? table.text("mobile_ion", row) : "", run = table.header.run, id = table.text("material_id", row);
    const quote = (text) => /^[\w@%+=:,.\/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
    const folder = id.replace(/[^A-Za-z0-9_.+-]/g, "_").slice(0, 60).replace(/^[.-]+/, "") || "crystal";
    const command = (text) => (ion ? text.replace("{ion}", ion) : text.replace(" --ion {ion}", ""))
      .replace("{input}", () => quote(`${run}#${id}`)).replace(/\{run\}(\S*)\{name\}/, (_, tier) => quote(`${run}${tier}${folder}`));
    return el("div", {}, el("h3", {}, "What to do next"), el("ul", { class: "steps" }, steps.map(([why, text]) => el("li", {}, why, text ? el("code", {}, command(text)) : null))));
  }

  /** Figures, one that begins with # from among those of the page. */
  images(row) {
    const found = this.table.header.images[this.table.text("material_id", row)] ?? [];
    const source = (data) => (data.startsWith("#") ? $(data.slice(1))?.src : data);
    return found.filter(([, data]) => source(data)).map(([caption, data]) => el("div", {}, el("h3", {}, caption), el("img", { src: source(data), alt: caption })));
  }
}

/** Offers a text as a file. */
function save(name, text, type) {
  const link = el("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
