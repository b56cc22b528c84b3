// The recording on clean paper: 25 mm a second, 10 mm a millivolt, in the page's own rows.
import {draw, pathOf} from "./dom.js";

const MM_PER_S = 25, MM_PER_MV = 10, MARGIN = 3;

// The moment of a lead that is pointed at on the page, as a share of it; nothing without a lead.
export function showMoment(lead, share = 0) {
  const line = document.querySelector("#wave .moment"), area = lead && document.querySelector(`#wave [data-place="${keyOf(lead)}"]`);
  if (!line) return;
  const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(area?.getAttribute(name) ?? 0));
  for (const [name, value] of Object.entries({x1: x + share * width, x2: x + share * width, y1: y, y2: y + height})) line.setAttribute(name, value);
}

const keyOf = (lead) => `${lead.row}/${lead.place}`;

export function wave(leads, before, picked, fs, pick, point) {
  const rows = [...new Set(leads.map((lead) => lead.row))].sort((a, b) => a - b);
  const old = new Map((before ?? []).map((lead) => [keyOf(lead), lead]));
  const parts = [];
  let top = MARGIN, width = 60;
  for (const row of rows) {
    const own = leads.filter((lead) => lead.row === row);
    const known = own.flatMap((lead) => lead.samples_uv.filter((each) => each !== null)).map((each) => (each / 1000) * MM_PER_MV);
    const above = Math.min(45, Math.max(9, percentile(known, 1) + 5)), below = Math.min(45, Math.max(7, -percentile(known, 0) + 2));
    const zero = top + above;
    let left = MARGIN;
    for (const lead of own) {
      const long = (lead.end_s - lead.start_s) * MM_PER_S;
      const isPicked = picked && picked.row === lead.row && picked.place === lead.place;
      parts.push(draw("rect", {class: `area${isPicked ? " picked" : ""}`, x: left, y: top, width: long, height: above + below, "data-place": keyOf(lead), onclick: () => pick(lead),
        onpointermove: (event) => { const box = event.target.getBoundingClientRect(); point(lead, (event.clientX - box.left) / box.width); },
        onpointerleave: () => point(null)}));
      parts.push(draw("line", {class: "edge", x1: left, x2: left, y1: zero - 4, y2: zero + 4}));
      const was = old.get(keyOf(lead));
      if (was && was.samples_uv !== lead.samples_uv) parts.push(...lines(was, left, zero, fs, "ghost"));
      parts.push(...lines(lead, left, zero, fs, "ecg"));
      const name = draw("text", {class: `name${lead.gaps ? " gap" : ""}`, x: left + 0.8, y: top + 3.4}, lead.title + (lead.confirmed ? " ✓" : ""));
      parts.push(name);
      left += long;
    }
    width = Math.max(width, left + MARGIN);
    top += above + below;
  }
  parts.push(draw("line", {class: "moment"}));
  const height = top + MARGIN;
  const grid = draw("defs", {},
    draw("pattern", {id: "mm", width: 1, height: 1, patternUnits: "userSpaceOnUse"}, draw("path", {class: "mm", d: "M1 0H0V1"})),
    draw("pattern", {id: "cm", width: 5, height: 5, patternUnits: "userSpaceOnUse"},
      draw("rect", {width: 5, height: 5, fill: "url(#mm)"}), draw("path", {class: "cm", d: "M5 0H0V5"})));
  return draw("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Recording as read: ${leads.map((lead) => lead.title).join(", ")}`},
    grid, draw("rect", {width: "100%", height: "100%", fill: "url(#cm)"}), ...parts);
}

function percentile(values, share) {
  if (!values.length) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))];
}

function lines(lead, left, zero, fs, kind) {
  const pieces = [];
  let piece = [];
  lead.samples_uv.forEach((value, index) => {
    if (value === null) {
      if (piece.length > 1) pieces.push(piece);
      piece = [];
    } else piece.push([left + (index / fs) * MM_PER_S, zero - (value / 1000) * MM_PER_MV]);
  });
  if (piece.length > 1) pieces.push(piece);
  return pieces.map((points) => draw("path", {class: kind, d: pathOf(points)}));
}
