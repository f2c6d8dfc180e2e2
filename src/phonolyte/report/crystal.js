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
    const standard = this.arrays.standard?.subarray(12 * row, 12 * row + 12);
    return { cell, vectors: vectorsOf(cell), sites, standard: standard?.[0] || standard?.[1] || standard?.[2] ? [...standard] : null };
  }
}

/** Lattice vectors as rows, a along x, b in the plane of x and y. */
function vectorsOf([a, b, c, ...angles]) {
  const [alpha, beta, gamma] = angles.map((angle) => (angle * Math.PI) / 180);
  const x = c * Math.cos(beta), y = (c * (Math.cos(alpha) - Math.cos(beta) * Math.cos(gamma))) / Math.sin(gamma);
  return [[a, 0, 0], [b * Math.cos(gamma), b * Math.sin(gamma), 0], [x, y, Math.sqrt(Math.max(c * c - x * x - y * y, 0))]];
}

const placed = (at, vectors) => [0, 1, 2].map((k) => at[0] * vectors[0][k] + at[1] * vectors[1][k] + at[2] * vectors[2][k]);

const product = (a, b, c) => a.flatMap((x) => b.flatMap((y) => c.map((z) => [x, y, z])));
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** The conventional cell, where the page has its vectors; else the cell as it is. */
function conventional(crystal) {
  if (!crystal.standard) return crystal;
  const axes = [0, 3, 6].map((at) => crystal.standard.slice(at, at + 3)), shift = crystal.standard.slice(9), inverse = inverted(axes);
  const bounds = [0, 1, 2].map((k) => {
    const start = -placed(shift, axes)[k], ends = axes.map((axis) => axis[k]);
    return range(Math.floor(start + ends.reduce((sum, x) => sum + Math.min(x, 0), 0)) - 1, Math.ceil(start + ends.reduce((sum, x) => sum + Math.max(x, 0), 0)));
  });
  const within = (x) => x > -1e-4 && x < 1 - 1e-4, sites = [], seen = new Set();
  crystal.sites.forEach((site, i) => {
    for (const cell of product(...bounds)) {
      const at = placed(site.at.map((x, k) => x + cell[k]), inverse).map((x, k) => x + shift[k]);
      const key = [site.element.symbol, site.share, ...at.map((x) => Math.round(200 * x))].join(" ");
      if (!at.every(within) || seen.has(key)) continue;
      seen.add(key);
      sites.push({ ...site, at });
    }
  });
  if (sites.length !== Math.round(crystal.sites.length * Math.abs(determinant(axes)))) return crystal;
  return { vectors: vectorsOf(parametersOf(axes.map((axis) => placed(axis, crystal.vectors)))), sites };
}

const cross = ([a, b, c], [x, y, z]) => [b * z - c * y, c * x - a * z, a * y - b * x];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const determinant = ([a, b, c]) => dot(a, cross(b, c));
function inverted([a, b, c]) {
  const volume = determinant([a, b, c]), columns = [cross(b, c), cross(c, a), cross(a, b)];
  return [0, 1, 2].map((k) => columns.map((column) => column[k] / volume));
}
function parametersOf([a, b, c]) {
  const angle = (u, v) => (180 / Math.PI) * Math.acos(dot(u, v) / Math.hypot(...u) / Math.hypot(...v));
  return [...[a, b, c].map((axis) => Math.hypot(...axis)), angle(b, c), angle(a, c), angle(a, b)];
}

const EDGE = 0.02, MOST_CLOSED = 800;

/** The atoms of the cell, those on its faces at all their images, what completes the coordination of these, and the bonds. */
function drawing({ vectors, sites }) {
  const held = joined(sites), atoms = [], bonds = [], places = new Map();
  const add = (site, shift) => {
    const key = [site, ...shift].join(" ");
    if (!places.has(key)) {
      const { at, held: ions, full } = held[site];
      places.set(key, atoms.length);
      atoms.push({ site, shift, element: ions[0].element, held: ions, full, xyz: placed(at.map((x, k) => x + shift[k]), vectors) });
    }
    return places.get(key);
  };
  held.forEach(({ at }, site) => { for (const shift of product(...at.map((x) => [0, ...(x < EDGE ? [1] : x > 1 - EDGE ? [-1] : [])]))) add(site, shift); });
  const inside = atoms.length, bonded = held.length > MOST_CLOSED ? () => [] : bondsOf(held, vectors);
  for (let i = 0; i < inside; i++)
    for (const { site, shift, closes } of bonded(atoms[i].site)) {
      const at = shift.map((n, k) => n + atoms[i].shift[k]), there = places.get([site, ...at].join(" "));
      if (there === undefined && !closes) continue;
      const j = there ?? add(site, at);
      if (j > i) bonds.push([i, j]);
    }
  return { atoms, bonds };
}

const METALLOID = 1, ANION = 2;

/**
 * Gives the bonds of a site: to which site, in which cell, and whether its coordination lacks something without.
 * Metals are bonded to anions, to metalloids where there are no anions, and never to each other.
 */
function bondsOf(held, vectors) {
  const volume = Math.abs(determinant(vectors)), known = new Map();
  const least = held.some(({ held: [{ element }] }) => element.bonds === ANION) ? ANION : METALLOID;
  const heights = [0, 1, 2].map((k) => volume / Math.hypot(...cross(vectors[(k + 1) % 3], vectors[(k + 2) % 3])));
  const find = (site) => {
    const own = held[site], one = own.held[0].element, found = [];
    if (own.full > 0.6)
      held.forEach((another, other) => {
        const two = another.held[0].element, most = 1.15 * (one.radius + two.radius);
        if (another.full <= 0.6 || !(Math.max(one.bonds, two.bonds) >= least || (one === two && one.bonds >= METALLOID))) return;
        const near = own.at.map((x, k) => { const reach = most / heights[k], apart = x - another.at[k]; return range(Math.ceil(apart - reach), Math.floor(apart + reach)); });
        for (const shift of product(...near)) {
          const d = Math.hypot(...placed(another.at.map((x, k) => x + shift[k] - own.at[k]), vectors));
          if (d > 0.4 && d < most) found.push({ site: other, shift, closes: isCenter(one, two) });
        }
      });
    return found;
  };
  return (site) => known.get(site) ?? known.set(site, find(site)).get(site);
}

/** Whether the first of two bonded elements is the one that is coordinated: the cation, and never hydrogen. */
const isCenter = (one, other) => one.symbol === other.symbol || other.symbol === "H" || (one.symbol !== "H" && one.pull < other.pull);

/** Sites with the ions that share them, the most of them first. */
function joined(sites) {
  const near = (a, b) => a.every((x, k) => Math.abs(x - b[k] - Math.round(x - b[k])) < 1e-3), found = [];
  for (const { element, share, at } of sites) {
    const same = share < 0.999 ? found.find((site) => site.held[0].share < 0.999 && near(site.at, at)) : null;
    if (same) same.held.push({ element, share });
    else found.push({ at, held: [{ element, share }] });
  }
  for (const site of found) {
    site.held.sort((a, b) => b.share - a.share);
    site.full = site.held.reduce((sum, { share }) => sum + share, 0);
  }
  return found;
}

const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];
const corners = (vectors) => Array.from({ length: 8 }, (_, i) => placed([i & 1, (i >> 1) & 1, i >> 2], vectors));

/** Draws a crystal with 3Dmol.js; gives what lets go of it again. */
function drawCrystal(box, crystal, colors) {
  const shown = conventional(crystal), { vectors } = shown, { atoms, bonds } = drawing(shown);
  const viewer = $3Dmol.createViewer(box, { backgroundColor: color("--wash"), antialias: true, disableFog: true, orthographic: true });
  if (!viewer) { box.append(el("p", {}, "This browser has no WebGL.")); return () => {}; }
  const vector = ([x, y, z]) => ({ x, y, z });
  const number = (text) => parseInt(text.slice(1), 16), tint = ({ symbol }) => number(colors.get(symbol));
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
  const ends = corners(vectors);
  for (const [i, j] of EDGES) viewer.addCylinder({ start: vector(ends[i]), end: vector(ends[j]), radius: 0.045, color: number(color("--soft")) });
  viewer.zoomTo();
  for (const [angle, axis] of [[-90, "vx"], [16, "vy"], [10, "vx"]]) viewer.rotate(angle, axis); // c upright, a little from the right and above
  viewer.render();
  viewer.zoom(filling(box, viewer.modelToScreen(atoms.map(({ xyz }) => vector(xyz)))));
  viewer.render();
  const first = viewer.getView();
  box.reset = () => { viewer.setView(first); viewer.render(); };
  box.turn = (angle, axis) => { viewer.rotate(angle, `v${axis}`); viewer.render(); };
  return () => { viewer.clear(); box.querySelector("canvas")?.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext(); };
}

/** The factor by which points on the screen fill a box, a margin left for the spheres around them. */
function filling(box, points) {
  const { left, top, width, height } = box.getBoundingClientRect();
  const reach = Math.max(...points.map(({ x, y }) => Math.max(Math.abs(x - scrollX - left - width / 2) / width, Math.abs(y - scrollY - top - height / 2) / height)));
  return reach > 0 ? Math.min(Math.max(0.43 / reach, 0.5), 4) : 1;
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
