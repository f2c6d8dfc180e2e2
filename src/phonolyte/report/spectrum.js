// What is drawn on the card of a measured spectrum: its circuit, Nyquist and Bode plots, residuals.

const PRINT = { "--ink": "#22272e", "--soft": "#56606b", "--faint": "#6b7580", "--line": "#dfe3e8", "--wash": "#f4f6f8", "--raised": "#ffffff", "--accent": "#0067a3", "--warm": "#b34700", "--good": "#00704f" };
const PREFIXES = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"]];
const BESIDE = { top: "top center", left: "middle left", bottom: "bottom center", right: "middle right" };
const WIDE_PX = 520, SIDE_PX = 58, GAP_PX = 62, MARGIN = 1.12, BODE_PX = 170, RESIDUALS_PX = 130;

/** A node of an SVG drawing. */
function drawn(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

class Spectra extends Measured {
  constructor(table) {
    super(table);
    this.header = table.header.spectra;
    this.arrays = table.header.arrays;
  }

  /** A part of an array that holds all spectra behind each other. */
  part(name, ends, row) { return this.arrays[name].subarray(row ? this.arrays[ends][row - 1] : 0, this.arrays[ends][row]); }

  /** Points and fitted curve of a spectrum. */
  points(row) {
    const point = (key) => this.part(`points ${key}`, "points ends", row);
    return {
      f: point("frequency_hz"), re: point("z_real_ohm"), im: point("z_imag_ohm"), fitRe: point("fit_real_ohm"), fitIm: point("fit_imag_ohm"),
      kkRe: point("kk_real"), kkIm: point("kk_imag"), off: point("kk_off"), curveRe: this.part("curve real", "curve ends", row), curveIm: this.part("curve imag", "curve ends", row),
    };
  }

  drawings(row) { return [this.circuit(this.header.rows[row]), this.plotBox(row)]; }

  circuit({ circuit, values }) {
    const known = this.header.circuits[circuit];
    if (!known) return null;
    const name = (text) => { const [, letters, number] = /^(\D+)(\d*)$/.exec(text); return [letters, number ? drawn("tspan", { dy: 3, "font-size": 9.5 }, number) : ""]; };
    const label = ([element, x, y, inside]) => [
      drawn("text", { x, y: y - 17, "text-anchor": "middle" }, ...name(element)),
      ...(inside ? [drawn("text", { x, y: y + 4, "text-anchor": "middle" }, inside)] : []),
      ...values[element].map((text, i) => drawn("text", { x, y: y + 26 + 14 * i, class: "value", "text-anchor": "middle" }, text)),
    ];
    const svg = drawn("svg", { viewBox: `0 0 ${known.width} ${known.height}`, role: "img", "aria-label": `Circuit ${circuit}` },
      drawn("path", { d: known.path, fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linejoin": "round", "stroke-linecap": "round" }), ...known.labels.flatMap(label));
    svg.style.maxWidth = `${1.1 * known.width}px`;
    svg.style.minWidth = `${0.72 * known.width}px`;
    return el("div", {}, el("h3", {}, "Circuit"), el("div", { class: "circuit" }, svg), el("p", { class: "hint" }, el("code", {}, circuit)));
  }

  plotBox(row) {
    if (!this.part("points frequency_hz", "points ends", row).length) return null;
    this.box = el("div", { class: "plots", role: "img", "aria-label": "Nyquist plot, Bode plot and residuals of the spectrum; the CSV file has the same values" });
    const name = this.file(row);
    return el("div", {}, el("h3", {}, "Spectrum"), this.box, el("p", {}, this.quality(row)), el("div", { class: "legend" },
      el("button", { type: "button", style: "margin-left:0", on: { click: () => save(`${name}.csv`, this.csv(row), "text/csv") } }, "Save CSV"),
      el("button", { type: "button", style: "margin-left:0", on: { click: () => this.savePicture(row, name) } }, "Save PNG")));
  }

  /** What test and fit leave over. */
  quality(row) {
    const { table } = this, percent = (key) => { const share = 100 * table.number(key, row); return share < 0.01 ? "less than 0.01 %" : `${share.toPrecision(2)} %`; };
    return `Kramers-Kronig test ${table.text("kramers_kronig", row)}: ${percent("kramers_kronig_rms")} of |Z| is left over, by the fit ${percent("fit_rms")}`;
  }

  file(row) { return this.table.text("material_id", row).replace(/[^\p{L}\p{N}_.()+-]/gu, "_").slice(0, 80).replace(/^[.-]+/, "") || "spectrum"; }

  csv(row) {
    const p = this.points(row), head = "frequency_hz,z_real_ohm,z_imag_ohm,fit_real_ohm,fit_imag_ohm,kk_real,kk_imag,kk_off";
    const number = (value) => (Number.isNaN(value) ? "" : String(Number(value.toPrecision(7))));
    return [head, ...Array.from(p.f, (f, i) => [f, p.re[i], p.im[i], p.fitRe[i], p.fitIm[i], p.kkRe[i], p.kkIm[i]].map(number).join(",") + (p.off[i] ? ",True" : ",False"))].join("\n") + "\n";
  }

  async savePicture(row, name) {
    if (!window.Plotly) return;
    const { data, layout } = this.figure(row, 640, (key) => PRINT[key]);
    layout.title = { text: this.table.text("material_id", row).replaceAll("<", "‹").slice(0, 90), font: { size: 13 }, x: 0.02, y: 0.985, yanchor: "top" };
    layout.margin.t += 30;
    layout.height += 30;
    await Plotly.downloadImage({ data, layout }, { format: "png", filename: name, scale: 3, width: layout.width, height: layout.height });
  }

  /** Draws the plots; returns what lets them go. */
  draw(row) {
    if (!this.box || !window.Plotly || !this.part("points frequency_hz", "points ends", row).length) return () => {};
    const { box } = this, touch = matchMedia("(pointer: coarse), (max-width: 44rem)").matches;
    const { data, layout } = this.figure(row, box.clientWidth, color);
    Plotly.newPlot(box, data, { ...layout, dragmode: touch ? false : "zoom" }, { displayModeBar: false, doubleClick: "reset", scrollZoom: false });
    return () => Plotly.purge(box);
  }

  /** Traces and layout of all plots of a spectrum, one below the other; arcs beside the whole where there is room. */
  figure(row, width, ink) {
    const p = this.points(row), { window: arcs, decades } = this.header.rows[row], wide = width >= WIDE_PX;
    const beside = arcs && wide, inner = width - SIDE_PX - (beside ? GAP_PX : 0) - 14, across = beside ? inner / 2 : inner;
    const tall = Math.round(across / (beside || !wide ? 1.2 : 1.7));
    const rows = [tall, ...(arcs && !wide ? [tall] : []), BODE_PX, RESIDUALS_PX];
    const height = rows.reduce((a, b) => a + b, 0) + GAP_PX * (rows.length - 1), left = SIDE_PX;
    let top = height;
    const domains = rows.map((size) => { const domain = [Math.max(top - size, 0) / height, top / height]; top -= size + GAP_PX; return domain; });
    const half = across / (width - left - 14), [bode, rest] = domains.slice(-2);
    const data = [], layout = this.base(width, height, ink);
    this.nyquist({ data, layout, p, ink, at: "", size: [across, tall], x: [0, beside ? half : 1], y: domains[0], decades: decades[beside || !wide ? "small" : "wide"] });
    if (arcs) this.nyquist({ data, layout, p, ink, at: "2", size: [across, tall], x: beside ? [1 - half, 1] : [0, 1], y: domains[beside ? 0 : 1], window: arcs, decades: decades.arcs });
    this.bode(data, layout, p, ink, bode);
    this.residuals(data, layout, p, ink, rest);
    return { data, layout };
  }

  base(width, height, ink) {
    return {
      width, height: height + 76, margin: { l: SIDE_PX, r: 14, t: 28, b: 48 }, showlegend: true, hovermode: "closest", paper_bgcolor: ink("--raised"), plot_bgcolor: ink("--raised"),
      font: { family: "system-ui, sans-serif", size: 12, color: ink("--soft") }, shapes: [], annotations: [],
      legend: { orientation: "h", x: 0.005, y: 1, xanchor: "left", yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", font: { size: 11 } },
    };
  }

  axis(ink, title, more) {
    return { title: { text: title, standoff: 5, font: { size: 12 } }, gridcolor: ink("--line"), linecolor: ink("--faint"), tickcolor: ink("--line"), ticks: "outside", ticklen: 3, zeroline: false, showline: true, automargin: false, exponentformat: "power", tickfont: { size: 11 }, nticks: 6, ...more };
  }

  /** A Nyquist plot with equal axes. */
  nyquist({ data, layout, p, ink, at, size: [across, tall], x, y, window: arcs, decades }) {
    const inside = (re) => !arcs || (re >= arcs[0] && re <= arcs[1]);
    const pairs = [...Array.from(p.re, (re, i) => [re, -p.im[i]]), ...Array.from(p.curveRe, (re, i) => [re, -p.curveIm[i]])].filter(([re]) => inside(re));
    const ends = (k) => pairs.reduce(([a, b], pair) => [Math.min(a, pair[k]), Math.max(b, pair[k])], [Infinity, -Infinity]);
    const re = arcs ?? ends(0), im = ends(1).map((value, k) => (k ? value : Math.min(value, 0)));
    const perPixel = MARGIN * Math.max((re[1] - re[0]) / across, (arcs ? 0 : im[1] - im[0]) / tall) || 1;
    const [unit, prefix] = PREFIXES.find(([scale]) => scale <= Math.max(Math.abs(re[1]), im[1]) * 1.001) ?? PREFIXES.at(-1);
    const span = perPixel * across, left = re[0] - Math.min(0.12 * span, (span - re[1] + re[0]) / 2), bottom = Math.min(im[0] - 0.05 * perPixel * tall, arcs ? -0.05 * perPixel * tall : (im[0] + im[1]) / 2 - perPixel * tall / 2);
    const scaled = (values) => Array.from(values, (value) => value / unit), minus = (values) => Array.from(values, (value) => -value / unit);
    const axes = { xaxis: `x${at}`, yaxis: `y${at}` }, hover = `%{customdata}<br>Z′ %{x:.4g}, −Z″ %{y:.4g} ${prefix}Ω<extra></extra>`;
    const kept = (which) => [...p.f.keys()].filter((i) => Boolean(p.off[i]) === which), pick = (values, rows) => rows.map((i) => values[i]);
    const x_ = scaled(p.re), y_ = minus(p.im), names = Array.from(p.f, (f) => `${said({ digits: -4 }, f)} Hz`), on = kept(false), off = kept(true);
    data.push({ type: "scatter", mode: "lines", x: scaled(p.curveRe), y: minus(p.curveIm), line: { color: ink("--warm"), width: 1.6 }, name: "fit", hoverinfo: "skip", showlegend: !at, ...axes });
    data.push({ type: "scatter", mode: "markers", x: pick(x_, on), y: pick(y_, on), customdata: pick(names, on), hovertemplate: hover, marker: { color: ink("--accent"), size: 6 }, name: "measured", showlegend: !at, ...axes });
    if (off.length) data.push({ type: "scatter", mode: "markers", x: pick(x_, off), y: pick(y_, off), customdata: pick(names, off), hovertemplate: hover, marker: { color: ink("--ink"), size: 8, symbol: "x-thin", line: { width: 1.5, color: ink("--ink") } }, name: "left out", showlegend: !at, ...axes });
    const seen = (decades ?? []).filter(([i]) => inside(p.re[i]));
    data.push({ type: "scatter", mode: "markers+text", x: seen.map(([i]) => x_[i]), y: seen.map(([i]) => y_[i]), text: seen.map(([, name, side]) => (side ? name : "")), textposition: seen.map(([, , side]) => BESIDE[side] ?? "top center"), textfont: { size: 10.5, color: ink("--ink") }, cliponaxis: true, marker: { color: ink("--ink"), size: 7 }, hoverinfo: "skip", showlegend: false, ...axes });
    const range = (from, span) => [from / unit, (from + span) / unit];
    layout[`xaxis${at}`] = this.axis(ink, `Z′ (${prefix}Ω)${at ? ", the arcs" : ""}`, { domain: x, anchor: `y${at}`, range: range(left, span) });
    layout[`yaxis${at}`] = this.axis(ink, `−Z″ (${prefix}Ω)`, { domain: y, anchor: `x${at}`, scaleanchor: `x${at}`, scaleratio: 1, range: range(bottom, perPixel * tall) });
  }

  bode(data, layout, p, ink, domain) {
    const modulus = (re, im) => Array.from(re, (value, i) => Math.hypot(value, im[i])), phase = (re, im) => Array.from(re, (value, i) => (-180 / Math.PI) * Math.atan2(im[i], value));
    const f = Array.from(p.f), n = p.curveRe.length, between = Array.from({ length: n }, (_, i) => f[0] * (f.at(-1) / f[0]) ** (i / (n - 1)));
    const line = (y, color, yaxis) => ({ type: "scatter", mode: "lines", x: between, y, line: { color, width: 1.2 }, hoverinfo: "skip", showlegend: false, xaxis: "x3", yaxis });
    const dots = (y, color, yaxis, text) => ({ type: "scatter", mode: "markers", x: f, y, marker: { color, size: 5, symbol: yaxis === "y4" ? "square" : "circle" }, hovertemplate: `%{x:.4g} Hz<br>${text}<extra></extra>`, showlegend: false, xaxis: "x3", yaxis });
    data.push(line(modulus(p.curveRe, p.curveIm), ink("--warm"), "y3"), dots(modulus(p.re, p.im), ink("--accent"), "y3", "|Z| %{y:.4g} Ω"));
    data.push(line(phase(p.curveRe, p.curveIm), ink("--warm"), "y4"), dots(phase(p.re, p.im), ink("--good"), "y4", "−phase %{y:.1f}°"));
    const range = [Math.log10(f.at(-1)) - 0.15, Math.log10(f[0]) + 0.15];
    layout.xaxis3 = this.axis(ink, "Frequency (Hz)", { type: "log", range, domain: [0, 0.9], anchor: "y3", dtick: 1 + (decades(p.f) > 8) });
    layout.yaxis3 = this.axis(ink, "|Z| (Ω)", { type: "log", domain, anchor: "x3", ...(decades(modulus(p.re, p.im)) < 2 ? { dtick: "D2" } : { dtick: Math.ceil(decades(modulus(p.re, p.im)) / 5) }) });
    layout.yaxis3.title.font.color = ink("--accent");
    layout.yaxis4 = this.axis(ink, "−phase (°)", { overlaying: "y3", side: "right", anchor: "x3", showgrid: false, nticks: 5 });
    layout.yaxis4.title.font.color = ink("--good");
  }

  residuals(data, layout, p, ink, domain) {
    const f = Array.from(p.f), size = Array.from(p.re, (re, i) => Math.hypot(re, p.im[i]));
    const trace = (y, name, color, dash) => ({ type: "scatter", mode: "lines", x: f, y, name, line: { color, dash, width: 1.2 }, hovertemplate: `%{x:.4g} Hz<br>${name} %{y:.2f} %<extra></extra>`, showlegend: false, xaxis: "x5", yaxis: "y5" });
    const share = (values, fit) => Array.from(values, (value, i) => (100 * (value - fit[i])) / size[i]), percent = (values) => Array.from(values, (value) => 100 * value);
    data.push(trace(share(p.re, p.fitRe), "fit, real", ink("--warm"), "solid"), trace(share(p.im, p.fitIm), "fit, imaginary", ink("--warm"), "dot"));
    data.push(trace(percent(p.kkRe), "Kramers-Kronig, real", ink("--accent"), "solid"), trace(percent(p.kkIm), "Kramers-Kronig, imaginary", ink("--accent"), "dot"));
    layout.shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 0.9, yref: "y5", y0: -1, y1: 1, fillcolor: ink("--wash"), line: { width: 0 }, layer: "below" });
    layout.xaxis5 = this.axis(ink, "Frequency (Hz)", { type: "log", range: [...layout.xaxis3.range], domain: [0, 0.9], anchor: "y5", dtick: 1 + (decades(p.f) > 8) });
    layout.yaxis5 = this.axis(ink, "Residual (%)", { domain, anchor: "x5", nticks: 5 });
    const text = `<span style="color:${ink("--warm")}">fit</span>, <span style="color:${ink("--accent")}">Kramers-Kronig</span>: — real, ··· imaginary`;
    layout.annotations.push({ text, showarrow: false, xref: "paper", yref: "paper", x: 0, y: domain[1], xanchor: "left", yanchor: "bottom", font: { size: 11 } });
  }
}
