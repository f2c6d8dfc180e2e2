// Colors of elements: those that chemists know, changed where two of a crystal would look alike.

const ION_COLOR = "#8b3dff";
const SPARE_COLORS = ["#1f9e89", "#2f6fde", "#c2185b", "#8d6e3f", "#e07b00", "#5b8c00", "#37474f", "#f08fb4", "#00b8d4", "#b9a200", "#6d4c41", "#90a4ae", "#d9c7a0", "#0b3d91"];
const APART = 32;

/** Lightness and the two axes of color (CIE L*a*b*, D65) of #rrggbb. */
function labOf(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255).map((c) => (c > 0.04045 ? ((c + 0.055) / 1.055) ** 2.4 : c / 12.92));
  const [x, y, z] = [(0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b, (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089]
    .map((t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const colorDistance = (one, other) => Math.hypot(...labOf(one).map((x, k) => x - labOf(other)[k]));

/** Color of each element of a crystal by its symbol: the mobile ion's own, then the usual ones, none near another or near white. */
function colorsOf(elements, ion) {
  const colors = new Map(), taken = ["#ffffff"];
  const nearest = (color) => Math.min(...taken.map((other) => colorDistance(color, other)));
  const order = [...elements].sort((a, b) => (b.symbol === ion) - (a.symbol === ion) || b.pull - a.pull);
  for (const { symbol, color } of order) {
    const usual = symbol === ion ? ION_COLOR : color;
    const chosen = nearest(usual) >= APART ? usual : [usual, ...SPARE_COLORS].reduce((best, each) => (nearest(each) > nearest(best) ? each : best));
    colors.set(symbol, chosen);
    taken.push(chosen);
  }
  return colors;
}
