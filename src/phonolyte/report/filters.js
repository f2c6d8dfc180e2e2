// Which rows are shown: search, choices, flags, ranges, and what was selected in the scatter.

class Filters {
  constructor(table, changed) {
    this.table = table;
    this.changed = changed;
    this.words = [];
    this.ranges = new Map();
    this.selected = null;
    this.haystack = this.texts();
    this.build();
  }

  /** Everything that the search looks at, once, in small letters. */
  texts() {
    const keys = this.table.columns.filter((c) => c.kind === "text" || c.kind === "choice").map((c) => c.key)
      .filter((key) => !["reason", "rejected_by", "duplicate_of", "stopped", "path", "level", "sure", "sure_of"].includes(key));
    return Array.from({ length: this.table.n }, (_, row) => keys.map((key) => this.table.text(key, row)).join("\n").toLowerCase());
  }

  build() {
    const { table } = this;
    for (const key of table.header.choosable) {
      const column = table.of.get(key);
      const names = [...column.choices.keys()].filter((i) => column.choices[i] !== "").sort((a, b) => column.choices[a].localeCompare(column.choices[b]));
      const select = el("select", { "data-key": key, "aria-label": column.label, on: { change: () => this.apply() } },
        el("option", { value: "" }, `Any ${column.label}`), names.map((i) => el("option", { value: i }, column.choices[i])));
      $("choices").append(select);
    }
    for (const [key, label, on] of table.header.toggles) {
      const box = el("input", { type: "checkbox", "data-flag": key, on: { change: () => this.apply() } });
      box.checked = box.defaultChecked = on;
      $("choices").append(el("label", { class: "toggle" }, box, label));
    }
    for (const column of table.columns.filter((c) => c.kind === "number" && c.shown && c.key !== "rank")) {
      const name = named(column);
      const input = (end) => el("input", { type: "number", step: "any", placeholder: end, "aria-label": `${name}, ${end}`, "data-range": column.key, "data-end": end, on: { input: () => this.apply() } });
      $("range-list").append(el("div", {}, el("span", {}, name), input("from"), input("to")));
    }
    $("search").addEventListener("input", () => this.apply());
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("reset", () => {
      for (const box of document.querySelectorAll("[data-flag]")) box.defaultChecked = false;
      this.selected = null;
      setTimeout(() => this.apply());
    });
    document.addEventListener("click", (event) => { if (!$("ranges").contains(event.target)) $("ranges").open = false; });
    $("ranges").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !$("ranges").open) return;
      $("ranges").open = false;
      $("ranges").querySelector("summary").focus();
      event.stopPropagation();
    });
  }

  /** Shows only these rows besides; null for all. */
  select(rows) {
    this.selected = rows;
    this.apply();
  }

  apply() {
    this.words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    this.choices = [...document.querySelectorAll("[data-key]")].filter((s) => s.value !== "").map((s) => [this.table.of.get(s.dataset.key).array, Number(s.value)]);
    this.flags = [...document.querySelectorAll("[data-flag]")].filter((box) => box.checked).map((box) => this.table.of.get(box.dataset.flag).array);
    this.ranges = [...document.querySelectorAll("[data-range]")].filter((i) => i.value !== "" && !Number.isNaN(i.valueAsNumber))
      .map((i) => {
        const column = this.table.of.get(i.dataset.range), from = i.dataset.end === "from";
        const limit = column.array instanceof Float32Array ? Math.fround(i.valueAsNumber) : i.valueAsNumber; // as the values are
        const bounds = column.bound?.[0] === (from ? "≥" : "≤"); // at least 5 is surely from 3 on, and maybe up to 9
        return [bounds ? column.order : column.array, from, limit];
      });
    $("ranges").classList.toggle("used", this.ranges.length > 0);
    this.changed();
  }

  shows(row) {
    if (this.selected && !this.selected.has(row)) return false;
    for (const array of this.flags) if (array[row] !== 1) return false;
    for (const [array, code] of this.choices) if (array[row] !== code) return false;
    for (const [array, from, limit] of this.ranges) if (!(from ? array[row] >= limit : array[row] <= limit)) return false;
    return this.words.every((word) => this.haystack[row].includes(word));
  }

  /** The rows that are shown, in the order of the table. */
  rows() {
    const found = [];
    for (let row = 0; row < this.table.n; row++) if (this.shows(row)) found.push(row);
    return found;
  }
}
