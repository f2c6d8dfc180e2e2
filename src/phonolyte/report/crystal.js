// Crystals: out of the block, drawn in 3D, and written as CIF.

class Crystals {
  constructor(block) {
    this.block = block;
    this.arrays = block.arrays;
    this.coords = new Uint16Array(this.arrays.high.length);
    for (let i = 0; i < this.coords.length; i++) this.coords[i] = (this.arrays.high[i] << 8) | this.arrays.low[i];
  }

  /** Cell (a, b, c, alpha, beta, gamma), vectors and ions of a row; null where the page has none. */
  of(row) {
    const { ends, cells, numbers, shares } = this.arrays;
    const [start, end] = [row ? ends[row - 1] : 0, ends[row]];
    if (!(end > start)) return null;
    const { length, angle } = this.block.steps;
    const cell = [...cells.subarray(6 * row, 6 * row + 6)].map((step, i) => step * (i < 3 ? length : angle));
    const sites = [];
    for (let i = start; i < end; i++)
      sites.push({ element: this.block.elements[numbers[i]], share: (shares?.[i] ?? 255) / 255, at: [0, 1, 2].map((k) => this.coords[3 * i + k] / 65536) });
    return { cell, vectors: vectorsOf(cell), sites };
  }
}

/** Lattice vectors as rows, a along x, b in the plane of x and y. */
function vectorsOf([a, b, c, ...angles]) {
  const [alpha, beta, gamma] = angles.map((angle) => (angle * Math.PI) / 180);
  const x = c * Math.cos(beta), y = (c * (Math.cos(alpha) - Math.cos(beta) * Math.cos(gamma))) / Math.sin(gamma);
  return [[a, 0, 0], [b * Math.cos(gamma), b * Math.sin(gamma), 0], [x, y, Math.sqrt(Math.max(c * c - x * x - y * y, 0))]];
}

const placed = (at, vectors) => [0, 1, 2].map((k) => at[0] * vectors[0][k] + at[1] * vectors[1][k] + at[2] * vectors[2][k]);

const FEW = 8;

/** The atoms of the cell, of eight cells where it has few, with those on the outer faces repeated, and their bonds. */
function drawing({ vectors, sites }) {
  const atoms = [], cells = sites.length <= FEW ? [0, 1] : [0], end = cells.length;
  for (const { at, held } of joined(sites)) {
    const element = held[0].element, full = held.reduce((sum, { share }) => sum + share, 0);
    const copies = at.map((x) => [...cells.map((n) => x + n), ...(x < 0.02 ? [x + end] : x > 0.98 ? [x - 1] : [])]);
    for (const x of copies[0]) for (const y of copies[1]) for (const z of copies[2]) atoms.push({ element, held, full, xyz: placed([x, y, z], vectors) });
  }
  const bonds = [];
  if (atoms.length < 1500)
    for (let i = 0; i < atoms.length; i++)
      for (let j = 0; j < i; j++) {
        const [one, other] = [atoms[i], atoms[j]];
        const most = 1.15 * (one.element.radius + other.element.radius);
        const d = Math.hypot(...one.xyz.map((x, k) => x - other.xyz[k]));
        if (d > 0.4 && d < most && Math.min(one.full, other.full) > 0.6 && bonded(one.element, other.element)) bonds.push([i, j]);
      }
  return { atoms, bonds };
}

/** Sites with the ions that share them, the most of them first. */
function joined(sites) {
  const near = (a, b) => a.every((x, k) => Math.abs(x - b[k] - Math.round(x - b[k])) < 1e-3), found = [];
  for (const { element, share, at } of sites) {
    const same = share < 0.999 ? found.find((site) => site.held[0].share < 0.999 && near(site.at, at)) : null;
    if (same) same.held.push({ element, share });
    else found.push({ at, held: [{ element, share }] });
  }
  for (const { held } of found) held.sort((a, b) => b.share - a.share);
  return found;
}

/** Metals are bonded to no metal: lines between cations would hide the lattice. */
const bonded = (one, other) => Math.max(one.pull, other.pull) >= 2.0 && (one.pull < 2.2 || other.pull < 2.2 || one.symbol === other.symbol);

const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];
const corners = (vectors) => Array.from({ length: 8 }, (_, i) => placed([i & 1, (i >> 1) & 1, i >> 2], vectors));

/** Draws a crystal with 3Dmol.js; gives what lets go of it again. */
function drawCrystal(box, crystal) {
  const { atoms, bonds } = drawing(crystal);
  const viewer = $3Dmol.createViewer(box, { backgroundColor: color("--wash"), antialias: true, disableFog: true, orthographic: true });
  if (!viewer) { box.append(el("p", {}, "This browser has no WebGL.")); return () => {}; }
  const vector = ([x, y, z]) => ({ x, y, z });
  const tint = (element) => parseInt(element.color.slice(1), 16);
  for (const [i, j] of bonds) {
    const middle = atoms[i].xyz.map((x, k) => (x + atoms[j].xyz[k]) / 2);
    for (const end of [i, j]) viewer.addCylinder({ start: vector(atoms[end].xyz), end: vector(middle), radius: 0.11, color: tint(atoms[end].element) });
  }
  const slices = new Map();
  for (const { element, held, full, xyz } of atoms) {
    const radius = 0.25 + 0.25 * element.radius;
    if (full > 0.98 && held.length === 1) viewer.addSphere({ center: vector(xyz), radius, color: tint(element), quality: 3 });
    else slice(slices, xyz, radius, [...held.map(({ element: each, share }) => [tint(each), share]), [0xffffff, Math.max(1 - full, 0)]]);
  }
  for (const [color, mesh] of slices) viewer.addCustom({ ...mesh, color });
  const ends = corners(crystal.vectors);
  for (const [i, j] of EDGES) viewer.addCylinder({ start: vector(ends[i]), end: vector(ends[j]), radius: 0.03, color: tint({ color: color("--faint") }) });
  viewer.zoomTo();
  for (const [angle, axis] of [[-80, "x"], [-18, "y"], [8, "x"]]) viewer.rotate(angle, axis);
  viewer.zoom(1.5);
  viewer.render();
  const first = viewer.getView();
  box.reset = () => { viewer.setView(first); viewer.render(); };
  box.turn = (angle, axis) => { viewer.rotate(angle, axis); viewer.render(); };
  return () => { viewer.clear(); box.querySelector("canvas")?.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext(); };
}

/** Adds a sphere that is cut as an orange is: a slice of each color by its share, its axis upright on the screen. */
function slice(slices, center, radius, shares) {
  let angle = -Math.PI / 2;
  for (const [color, share] of shares) {
    if (share < 0.005) continue;
    if (!slices.has(color)) slices.set(color, { vertexArr: [], normalArr: [], faceArr: [] });
    const { vertexArr, normalArr, faceArr } = slices.get(color), steps = Math.max(2, Math.ceil(20 * share)), rings = 10, first = vertexArr.length;
    for (let i = 0; i <= steps; i++)
      for (let j = 0; j <= rings; j++) {
        const phi = angle + (2 * Math.PI * share * i) / steps, theta = (Math.PI * j) / rings;
        const [x, y, z] = [Math.sin(theta) * Math.cos(phi), Math.sin(theta) * Math.sin(phi), Math.cos(theta)];
        normalArr.push({ x, y, z });
        vertexArr.push({ x: center[0] + radius * x, y: center[1] + radius * y, z: center[2] + radius * z });
      }
    for (let i = 0; i < steps; i++)
      for (let j = 0; j < rings; j++) {
        const a = first + i * (rings + 1) + j, b = a + rings + 1;
        faceArr.push(a, a + 1, b, b, a + 1, b + 1);
      }
    angle += 2 * Math.PI * share;
  }
}

/** A crystal as CIF, every atom of the cell listed. */
function cifOf(name, { cell, sites }) {
  const labels = ["_cell_length_a", "_cell_length_b", "_cell_length_c", "_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma"];
  const isPartial = sites.some(({ share }) => share < 0.998);
  const atoms = sites.map(({ element, share, at }, i) => `${element.symbol}${i + 1} ${element.symbol} ${at.map((x) => x.toFixed(5)).join(" ")}${isPartial ? ` ${share.toFixed(3)}` : ""}`);
  return [
    `data_${name.replace(/[^\w.+-]/g, "_").slice(0, 60)}`, ...labels.map((label, i) => `${label} ${cell[i].toFixed(4)}`),
    "_symmetry_space_group_name_H-M 'P 1'", "_symmetry_Int_Tables_number 1", "loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'",
    "loop_", "_atom_site_label", "_atom_site_type_symbol", "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", ...(isPartial ? ["_atom_site_occupancy"] : []), ...atoms, "",
  ].join("\n");
}
