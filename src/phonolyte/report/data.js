// What the page carries: compressed blocks, read into typed arrays; and the little that every part needs.

const $ = (id) => document.getElementById(id);

/** An element with attributes and children; text is only ever set as text. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** The text of a block, decompressed. */
async function inflated(id) {
  const block = $(id);
  if (!block) return null;
  const text = atob(block.textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  block.remove();
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const KINDS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };

/** A block as its header and named arrays. */
async function unpacked(id) {
  const buffer = await inflated(id);
  if (!buffer) return null;
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const start = 8 + length;
  for (const [name, [kind, offset, size]] of Object.entries(header.arrays))
    header.arrays[name] = new KINDS[kind](buffer, start + offset, size);
  return header;
}

/** Runs a library that came as a block; the policy of the page allows it by its hash. */
async function library(id) {
  const buffer = await inflated(id);
  if (!buffer) return false;
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(buffer);
  document.head.append(script);
  return true;
}

/** A table: columns by key, the value of each in each row. */
class Table {
  constructor(header) {
    this.header = header;
    this.n = header.n;
    this.columns = header.columns;
    this.of = new Map(header.columns.map((column) => [column.key, column]));
    for (const column of this.columns) column.array = header.arrays[column.key];
    for (const column of this.columns) column.order = this.order(column);
  }
  /** What a column of numbers is sorted by: values, and bounds where there are none. */
  order({ array, bound }) {
    const bounds = bound && this.of.get(bound[1])?.array;
    return bounds ? array.map((value, row) => (Number.isNaN(value) ? bounds[row] : value)) : array;
  }
  has(key) { return this.of.has(key); }
  number(key, row) { return this.of.get(key)?.array?.[row] ?? NaN; }
  text(key, row) {
    const column = this.of.get(key);
    if (!column) return "";
    if (column.kind === "choice") return column.choices[column.array[row]];
    if (column.kind === "text") return column.values[row];
    const value = column.array[row], limit = column.order[row];
    return Number.isNaN(value) && !Number.isNaN(limit) ? bounded(column, limit) : said(column, value);
  }
  /** What a row is called: its formula, else its name as it is. */
  title(row) { return this.has("formula") ? formula(this.text("formula", row)) : [this.text("material_id", row)]; }
  flag(key, row) { return this.of.get(key)?.array?.[row]; }
}

/** A number in the column's decimals; a dash where there is none. */
function said(column, value) {
  if (column.kind === "flag") return value === 2 ? "–" : value ? "yes" : "no";
  if (Number.isNaN(value)) return "–";
  if (column.digits < 0) {
    const number = Number(Number(value).toPrecision(-column.digits)), size = Math.abs(number);
    if (!size) return "0";
    if (size < 1e-3 || size >= 1e5) return number.toExponential(-column.digits - 1);
    return size < 10 ** -column.digits ? number.toPrecision(-column.digits) : number.toLocaleString("en");
  }
  const text = value.toLocaleString("en", { minimumFractionDigits: column.digits, maximumFractionDigits: column.digits });
  return /^-0[.0]*$/.test(text) ? text.slice(1) : text.replace("-", "−");
}

/** A column in plain words, with its unit. */
const named = ({ words, label, unit }) => (unit ? `${words || label} (${unit})` : words || label);

/** A bound with its sign; a lower one that has decimals is rounded down. */
function bounded(column, value) {
  const [sign] = column.bound, scale = 10 ** column.digits;
  return `${sign} ${said(column, sign === "≥" && column.digits >= 0 ? Math.floor(value * scale) / scale : value)}`;
}

/** A formula with its numbers set low. */
function formula(text) {
  const parts = text.split(/(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)/);
  return parts.map((part, i) => (i % 2 ? el("sub", {}, part) : part));
}

const counted = (n) => n.toLocaleString("en");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
