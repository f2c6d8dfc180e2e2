// The scatter: what is shown in color, the rest faint, the chosen one marked; a click opens a card, a box selects rows.

/** Powers of ten between the smallest and the largest positive value. */
function decades(values) {
  let low = Infinity, high = 0;
  for (const value of values) if (value > 0) { low = Math.min(low, value); high = Math.max(high, value); }
  return high ? Math.log10(high / low) : 0;
}

/** Trace of the known conductors. */
const YARDSTICKS = 4;

/** Symbols of points of which a bound is known, by its sign: the value lies where they point. */
const ALONG_X = { "≤": "triangle-left", "≥": "triangle-right" }, ALONG_Y = { "≤": "triangle-down", "≥": "triangle-up" };

class Scatter {
  constructor(table, { open, select }) {
    this.table = table;
    this.open = open;
    this.select = select;
    this.numbers = table.columns.filter((column) => column.kind === "number" && column.key !== "rank");
    [this.x, this.y] = table.header.axes;
    this.shown = [];
    this.chosen = -1;
    this.ready = false;
    this.tip = el("div", { id: "tip", hidden: true });
    document.body.append(this.tip);
    for (const [name, id] of [["x", "x-axis"], ["y", "y-axis"]]) {
      $(id).append(...this.numbers.map((column) => el("option", { value: column.key, selected: column.key === this[name] }, column.words || column.label)));
      $(id).addEventListener("change", () => { this[name] = $(id).value; this.draw(); });
    }
  }

  /** Points of some rows, without those that lack a value and a bound of it. */
  points(rows) {
    const across = this.table.of.get(this.x), up = this.table.of.get(this.y), x = across.order, y = up.order;
    const complete = rows.filter((row) => x[row] === x[row] && y[row] === y[row]);
    const points = { rows: complete, x: complete.map((row) => x[row]), y: complete.map((row) => y[row]), symbol: "circle" };
    if (!across.bound && !up.bound) return points;
    const symbolOf = (row) => {
      if (Number.isNaN(up.array[row])) return ALONG_Y[up.bound[0]];
      return Number.isNaN(across.array[row]) ? ALONG_X[across.bound[0]] : "circle";
    };
    return { ...points, symbol: complete.map(symbolOf) };
  }

  trace(points, style) {
    const marker = { symbol: points.symbol, ...style };
    return { type: "scattergl", mode: "markers", x: points.x, y: points.y, hoverinfo: "none", marker, showlegend: false };
  }

  traces() {
    const shown = new Uint8Array(this.table.n);
    for (const row of this.shown) shown[row] = 1;
    const others = [];
    for (let row = 0; row < this.table.n; row++) if (!shown[row]) others.push(row);
    const parts = [this.points(others), this.points(this.shown), this.points(this.chosen < 0 ? [] : [this.chosen])];
    this.rowsOf = [null, ...parts.map((part) => part.rows)];
    const small = this.table.n > 3000 ? 4 : 6;
    return [
      this.trace(this.background(), { size: 3, color: color("--others"), opacity: 0.35 }),
      this.trace(parts[0], { size: small, color: color("--others"), opacity: 0.5 }),
      this.trace(parts[1], { size: small + 1, color: color("--accent"), opacity: 0.75 }),
      this.trace(parts[2], { symbol: "circle", size: 15, color: "rgba(0,0,0,0)", line: { color: color("--warm"), width: 3 } }),
      this.trace(this.yardsticks(), { size: 10, symbol: "diamond", color: color("--warm"), line: { color: color("--paper"), width: 1 } }),
    ];
  }

  /** Known conductors, in the input or not. */
  yardsticks() {
    const of = (key) => this.table.header.arrays[`yardstick ${key}`];
    return of(this.x) && of(this.y) ? { x: of(this.x), y: of(this.y) } : { x: [], y: [] };
  }

  /** A sample of what is not in the table, where the run has more. */
  background() {
    const { cloud } = this.table.header;
    const of = (key) => this.table.header.arrays[`cloud ${key}`];
    return cloud && of(this.x) && of(this.y) ? { x: of(this.x), y: of(this.y) } : { x: [], y: [] };
  }

  axis(key) {
    const column = this.table.of.get(key), range = this.table.header.views[key];
    return {
      title: { text: named(column), font: { size: 13 }, standoff: 8 },
      type: column.digits < 0 ? "log" : "linear",
      ...(column.digits < 0 && decades(column.order) < 2 ? { dtick: "D2" } : {}), // 1, 2, 5: all nine digits overlap
      ...(range ? { range: [...range] } : { autorange: true }),
      gridcolor: color("--line"), linecolor: color("--faint"), zeroline: false, ticks: "outside", exponentformat: "power", tickcolor: color("--line"), automargin: true,
    };
  }

  layout() {
    const line = (key, along) => {
      const limit = this.table.header.limits[key];
      const ends = along === "x" ? { x0: limit, x1: limit, y0: 0, y1: 1, yref: "paper" } : { y0: limit, y1: limit, x0: 0, x1: 1, xref: "paper" };
      return limit === undefined ? [] : [{ type: "line", ...ends, line: { color: color("--faint"), width: 1, dash: "dash" } }];
    };
    return {
      autosize: true, margin: { l: 55, r: 12, t: 8, b: 46 }, dragmode: "pan", hovermode: "closest", hoverdistance: 12,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: color("--soft") },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--faint"), activecolor: color("--accent"), orientation: "v" },
      xaxis: this.axis(this.x), yaxis: this.axis(this.y), shapes: [...line(this.x, "x"), ...line(this.y, "y")],
      uirevision: `${this.x} ${this.y}`, selectionrevision: String(this.select.size),
    };
  }

  async start() {
    if (!(await library("lib-plotly")) || !window.Plotly) return;
    const config = {
      responsive: true, displaylogo: false, scrollZoom: true, doubleClick: "reset+autosize",
      modeBarButtons: [["zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d", "toImage"]],
      toImageButtonOptions: { filename: "phonolyte", scale: 3 },
    };
    await Plotly.newPlot("scatter", this.traces(), this.layout(), config);
    this.ready = true;
    this.note();
    $("scatter").on("plotly_click", (event) => this.clicked(event.points[0]));
    $("scatter").on("plotly_hover", (event) => this.hovered(event));
    $("scatter").on("plotly_unhover", () => { this.tip.hidden = true; });
    $("scatter").on("plotly_selected", (event) => { if (event) this.select(this.rowsIn(event)); });
    $("scatter").on("plotly_deselect", () => this.select(null));
    $("scatter").dataset.ready = "yes";
  }

  rowAt(point) { return this.rowsOf[point.curveNumber]?.[point.pointNumber]; }
  clicked(point) {
    const row = this.rowAt(point);
    if (row !== undefined) this.open(row);
  }

  rowsIn(event) {
    const rows = event.points.map((point) => this.rowAt(point)).filter((row) => row !== undefined);
    return rows.length ? new Set(rows) : null;
  }

  hovered({ event, points: [point] }) {
    const lines = point.curveNumber === YARDSTICKS ? this.ofYardstick(point) : this.ofRow(this.rowAt(point));
    if (!lines || !event) return;
    this.tip.replaceChildren(el("strong", {}, lines[0]), ...lines.slice(1).map((line) => [el("br"), line]).flat());
    this.tip.hidden = false;
    const { clientX: x, clientY: y } = event;
    this.tip.style.left = `${Math.min(x + 14, innerWidth - this.tip.offsetWidth - 8)}px`;
    this.tip.style.top = `${Math.max(8, Math.min(y + 14, innerHeight - this.tip.offsetHeight - 8))}px`;
  }

  ofRow(row) {
    if (row === undefined) return null;
    const { table } = this;
    const value = (key) => `${table.of.get(key).label} ${table.text(key, row)} ${table.of.get(key).unit}`;
    return [table.has("formula") ? formula(table.text("formula", row).slice(0, 80)) : "", table.text("material_id", row).slice(0, 80), value(this.x), value(this.y)];
  }

  ofYardstick({ pointNumber, x, y }) {
    const [name, measured] = this.table.header.yardsticks[pointNumber];
    const value = (key, number) => { const column = this.table.of.get(key); return `${column.label} ${said(column, number)} ${column.unit}`; };
    return [formula(name), "known conductor, not a row of the table", measured, value(this.x, x), value(this.y, y)];
  }

  fill(rows) {
    this.shown = rows;
    clearTimeout(this.later); // the table answers first, the scatter when typing pauses
    this.later = setTimeout(() => this.draw(), 150);
  }

  mark(row) {
    this.chosen = row;
    if (this.ready) {
      const point = this.points(row < 0 ? [] : [row]);
      this.rowsOf[3] = point.rows;
      Plotly.restyle("scatter", { x: [point.x], y: [point.y] }, [3]);
    }
  }

  draw() {
    if (this.ready) Plotly.react("scatter", this.traces(), this.layout());
    this.note();
  }

  note() {
    const { rows, symbol } = this.points(this.shown);
    const missing = this.shown.length - rows.length;
    const cloud = this.background().x.length;
    $("scatter-note").textContent = [
      "Click a point for its card; drag a box (□ in the tools) to select.",
      missing ? `${counted(missing)} of the rows shown ${missing === 1 ? "lacks" : "lack"} one of the two values.` : "",
      Array.isArray(symbol) && symbol.some((each) => each !== "circle") ? "Triangles: bounds; the value lies where they point." : "",
      this.yardsticks().x.length ? "Diamonds: known conductors, whether or not they are in the input." : "",
      cloud ? `Faint: ${counted(cloud)} of all ${counted(this.table.header.cloud)} compounds, taken at random.` : "",
    ].join(" ");
  }
}
