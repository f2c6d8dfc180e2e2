// The card of a measurement: its result in large letters, tables of values, notes; what is drawn stands between them.

class Measured {
  constructor(table) {
    this.table = table;
    this.cards = table.header.measured;
  }

  parts(row) {
    const card = this.cards[row];
    return [this.result(card), ...this.drawings(row), ...card.tables.map((listing) => this.listing(listing)), this.notes(card)];
  }

  /** What is drawn from the points of the measurement. */
  drawings() { return []; }

  /** Draws it; returns what lets it go. */
  draw() { return () => {}; }

  result({ value, words }) { return value ? el("div", { class: "big" }, el("b", {}, value), words) : null; }

  listing({ title, heads, rows }) {
    const content = (cell) => (typeof cell === "string" ? cell : [cell[0], cell[1] ? el("span", { class: "lost" }, cell[1]) : null]);
    return el("div", {}, el("h3", {}, title), el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell, i) => el(i ? "td" : "th", i ? {} : { scope: "row" }, content(cell)))))))));
  }

  notes({ notes }) {
    return notes.length ? el("div", {}, el("h3", {}, "Notes"), el("ul", { class: "notes" }, notes.map((note) => el("li", {}, note)))) : null;
  }
}
