// The table: only the rows in sight are in the document, so that it is as fast with a hundred thousand as with ten.

const ROW = 34, SPARE = 6;
const LATER = new Set(["family", "prototype", "in_domain"]); // what a phone leaves to the card
const WIDTHS = { rank: 5.3, material_id: 9.4, formula: 8.5, family: 7, prototype: 7.5, band_center_mev: 8.5, in_domain: 6.6, t_ion: 9.4 };

class Grid {
  constructor(table, { open }) {
    this.table = table;
    this.open = open;
    const narrow = matchMedia("(max-width: 44rem)").matches;
    this.columns = table.columns.filter((column) => column.shown && !(narrow && LATER.has(column.key)));
    this.rows = [];
    this.active = 0;
    this.drawn = "";
    [this.key, this.down] = table.header.sorted;
    this.layout();
    this.heading();
    this.listen();
  }

  layout() {
    const longest = ({ label }) => Math.max(...label.split(/\s+/).map((part) => part.length)); // a heading breaks between words alone
    const widths = this.columns.map((c) => Math.max(WIDTHS[c.key] ?? (c.kind === "text" ? 9 : c.kind === "choice" ? 7 : 6.2), 1.5 + 0.55 * longest(c)));
    $("grid").style.setProperty("--cells", widths.map((w) => `minmax(${w}em, ${w}fr)`).join(" "));
    $("grid").style.setProperty("--row-width", `${widths.reduce((a, b) => a + b, 0)}em`);
    $("grid").setAttribute("aria-colcount", this.columns.length);
  }

  heading() {
    const cells = this.columns.map((column, i) => {
      const button = el("button", { type: "button", tabindex: "-1", title: column.hint || undefined, on: { click: () => this.sortBy(column) } },
        el("span", { class: "name" }, column.label), el("span", { class: "unit" }, column.unit || "\u00a0"));
      return el("div", { class: `cell ${column.kind === "number" ? "right" : ""}`, role: "columnheader", "aria-colindex": i + 1 }, button);
    });
    $("head").replaceChildren(el("div", { class: "row", role: "row", "aria-rowindex": 1 }, cells));
    cells[0].firstChild.tabIndex = 0;
    $("head").addEventListener("keydown", (event) => {
      const buttons = cells.map((cell) => cell.firstChild), at = buttons.indexOf(document.activeElement);
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "ArrowDown") $("grid").focus();
      else if (step === undefined || at < 0) return;
      else {
        const next = buttons[Math.min(Math.max(at + step, 0), buttons.length - 1)];
        for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
        next.focus();
      }
      event.preventDefault();
      event.stopPropagation();
    });
  }

  listen() {
    const scroller = $("scroller");
    scroller.addEventListener("scroll", () => { this.draw(); $("head").scrollLeft = scroller.scrollLeft; }, { passive: true });
    new ResizeObserver(() => this.draw(true)).observe(scroller);
    $("window").addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) { this.active = Number(row.dataset.at); this.draw(true); this.open(this.rows[this.active]); }
    });
    $("grid").addEventListener("keydown", (event) => this.keyed(event));
  }

  keyed(event) {
    if (event.target !== $("grid") || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.floor($("scroller").clientHeight / ROW) - 1;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.go(this.active + steps[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && this.rows.length) this.open(this.rows[this.active], { focus: true });
    else return;
    event.preventDefault();
  }

  /** Makes a place in the table the active one, and brings it into sight. */
  go(at) {
    this.active = Math.max(0, Math.min(at, this.rows.length - 1));
    const scroller = $("scroller"), top = this.active * ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + ROW > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + ROW - scroller.clientHeight;
    this.draw(true);
  }

  /** Makes a row of the table active, if it is shown. */
  show(row) {
    const at = this.rows.indexOf(row);
    if (at >= 0) this.go(at);
  }

  sortBy(column) {
    this.down = this.key === column.key ? !this.down : false;
    this.key = column.key;
    this.sort();
    $("scroller").scrollTop = 0;
    this.go(0);
  }

  /** Rows with a value first, whichever way; equals stay in the order of the run. */
  sort() {
    const column = this.table.of.get(this.key), sign = this.down ? -1 : 1;
    if (column.kind === "number") {
      const values = column.order;
      this.rows.sort((a, b) => {
        const x = values[a], y = values[b];
        if (x === y) return a - b;
        if (x !== x || y !== y) return (x !== x) - (y !== y) || a - b;
        return sign * (x - y);
      });
    } else {
      const places = this.places(column);
      this.rows.sort((a, b) => sign * (places[a] - places[b]) || a - b);
    }
    for (const [i, shown] of this.columns.entries()) {
      const cell = $("head").firstChild.children[i];
      if (shown.key === this.key) cell.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  }

  /** The place of each row in the alphabet, worked out once for each column. */
  places(column) {
    if (column.kind === "flag") return column.array;
    if (column.places) return column.places;
    const collator = new Intl.Collator("en", { numeric: true });
    const names = [...new Set(column.kind === "choice" ? column.choices : column.values)].sort(collator.compare);
    const place = new Map(names.map((name, i) => [name, i]));
    column.places = Uint32Array.from({ length: this.table.n }, (_, row) => place.get(this.table.text(column.key, row)));
    return column.places;
  }

  fill(rows) {
    this.rows = rows;
    this.sort();
    this.active = Math.max(0, Math.min(this.active, rows.length - 1));
    $("space").style.height = `${rows.length * ROW}px`;
    $("grid").setAttribute("aria-rowcount", rows.length + 1);
    this.draw(true);
  }

  draw(anew = false) {
    const scroller = $("scroller");
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW) + SPARE);
    if (!anew && this.drawn === `${first} ${last}`) return;
    this.drawn = `${first} ${last}`;
    const drawn = [];
    for (let at = first; at < last; at++) drawn.push(this.drawRow(at));
    if (!drawn.length) drawn.push(el("div", { class: "nothing", role: "row" }, el("span", { role: "gridcell" }, "Nothing fits. Clear the filters, or search for less.")));
    $("window").style.transform = `translateY(${first * ROW}px)`;
    $("window").replaceChildren(...drawn);
    if (this.rows.length) $("grid").setAttribute("aria-activedescendant", `row-${this.rows[this.active]}`);
    else $("grid").removeAttribute("aria-activedescendant");
  }

  drawRow(at) {
    const row = this.rows[at], active = at === this.active;
    const out = this.table.flag("passes", row) === 0;
    const cells = this.columns.map((column, i) =>
      el("div", { class: `cell ${column.kind === "number" ? "right" : ""}`, role: "gridcell", "aria-colindex": i + 1, title: column.kind === "text" ? this.table.text(column.key, row) : undefined }, this.content(column, row)));
    return el("div", { class: `row${active ? " active" : ""}${out ? " out" : ""}`, role: "row", id: `row-${row}`, "data-at": at, "aria-rowindex": at + 2, "aria-selected": String(active) }, cells);
  }

  content(column, row) {
    const { table } = this;
    if (column.kind === "flag") return el("span", { class: table.flag(column.key, row) === 0 ? "no" : "" }, said(column, column.array[row]));
    const text = table.text(column.key, row);
    if (column.key === "formula") return text.length > 60 ? text : formula(text);
    if (column.key === "rank" && text === "–") return "";
    if (column.key !== "band_center_mev" || !table.has("lower_mev") || text === "–") return text;
    const [low, high] = ["lower_mev", "upper_mev"].map((key) => Math.round(table.number(key, row)));
    return [text, el("span", { class: "span" }, `${low}–${high}`)];
  }
}
