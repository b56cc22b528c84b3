// What stands over the page: the lines that were read, the leads' names and borders, and what a hand is drawing.
import {draw, pathOf} from "./dom.js";
import {borders, heightAt, level} from "./lines.js";

export function lines(view, picked) {
  const parts = [];
  for (const lead of view.leads) {
    const pieces = clipped(view.rows[lead.row].line, lead.left, lead.right);
    const isPicked = picked?.row === lead.row && picked?.place === lead.place;
    const kind = isPicked ? "picked" : lead.title !== lead.lead ? "r" : lead.place % 2 ? "b" : "a";
    for (const piece of pieces) {
      parts.push(draw("path", {class: `trace ${kind}`, d: pathOf(piece)}));
    }
  }
  return draw("g", {}, ...parts);
}

function clipped(pieces, left, right) {
  return pieces.map((piece) => piece.filter(([x]) => x >= left && x <= right)).filter((piece) => piece.length > 1);
}

export function marks(app) {
  const {state, viewer} = app;
  const {view, draft, cross} = state;
  const unit = 1 / viewer.scale;
  const parts = [];
  if (app.tool().of !== "picture") {
    for (const lead of view.leads) parts.push(tag(app, lead, unit));
    if (state.tool === "borders") parts.push(...borders(view).map((edge) => grip(app, edge, unit)));
  }
  if (draft) parts.push(...drafted(app, draft, unit));
  parts.push(draw("path", {id: "moment", transform: "scale(0)", d: "M0 -26V-5M0 5V26M-4 0H4"}));
  if (cross && app.tool().points) {
    const [x, y] = cross, r = 14 * unit;
    parts.push(draw("line", {class: "cross", x1: x - r, x2: x + r, y1: y, y2: y}), draw("line", {class: "cross", x1: x, x2: x, y1: y - r, y2: y + r}));
  }
  return draw("g", {}, ...parts);
}

function tag(app, lead, unit) {
  const row = app.state.view.rows[lead.row];
  const high = (heightAt(row, lead.left + 14 * unit) ?? level(row)) - 46 * unit;
  const picked = app.state.picked;
  const kind = picked?.row === lead.row && picked?.place === lead.place ? " picked" : lead.confirmed ? " sure" : "";
  const text = lead.title + (lead.confirmed ? " ✓" : lead.guessed ? " ?" : "");
  const wide = text.length * 8 + 10;
  const press = () => (app.state.tool === "names" ? app.name(lead) : app.pick(lead));
  return draw("g", {class: `tag${kind}`, transform: `translate(${lead.left} ${Math.max(high, 0)}) scale(${unit})`, onclick: press},
    draw("line", {class: "edge", x1: 0, x2: 0, y1: 0, y2: 58}),
    draw("rect", {width: wide, height: 20, rx: 4}), draw("text", {x: 5, y: 15}, text));
}

function grip(app, edge, unit) {
  const half = 26 * unit;
  const shown = app.state.moving?.key === keyOf(edge) ? app.state.moving.x : edge.x;
  return draw("g", {
    class: "grip", tabindex: 0, role: "slider", "data-key": keyOf(edge),
    "aria-label": `Border of ${edge.titles.join(" and ")}, row ${edge.row + 1}`, "aria-orientation": "horizontal",
    "aria-valuemin": 0, "aria-valuemax": app.state.view.page.width, "aria-valuenow": Math.round(shown), "aria-valuetext": `${shown.toFixed(1)} pixels`,
    onpointerdown: (event) => app.takeBorder(event, edge), onkeydown: (event) => app.nudgeBorder(event, edge),
  },
  draw("line", {x1: shown, x2: shown, y1: edge.y - half, y2: edge.y + half}),
  draw("circle", {class: "dot", cx: shown, cy: edge.y + half, r: 7 * unit}));
}

// Where on the page the moment is that is pointed at in the recording.
export function showPlace(app, lead, share) {
  const mark = document.getElementById("moment");
  if (!mark) return;
  const x = lead && lead.left + share * (lead.right - lead.left);
  const y = lead && heightAt(app.state.view.rows[lead.row], x);
  mark.setAttribute("transform", lead && y !== null ? `translate(${x} ${y}) scale(${1 / app.viewer.scale})` : "scale(0)");
}

export const keyOf = (edge) => edge.ends.map((end) => `${end.row}.${end.place}.${end.side}`).join("+");

function drafted(app, draft, unit) {
  const parts = [];
  const dot = ([x, y], index) => draw("circle", {class: "grip", cx: x, cy: y, r: (draft.held === index ? 10 : 7) * unit});
  if (draft.begin) {
    const row = app.state.view.rows[draft.row];
    const y = level(row), high = 9 * (app.state.view.calibration?.px_per_mm_y ?? 8);
    parts.push(draw("rect", {class: "band", x: Math.min(draft.begin[0], draft.end[0]), width: Math.abs(draft.end[0] - draft.begin[0]), y: y - high, height: 2 * high}));
  }
  if (app.state.tool === "rows") {
    for (const [, y] of draft.points) parts.push(draw("line", {class: "draft", x1: 0, x2: app.state.view.page.width, y1: y, y2: y}));
  } else if (draft.points?.length > 1) {
    const closed = app.state.tool === "corners" ? "Z" : "";
    parts.push(draw("path", {class: "draft", d: pathOf(draft.points) + closed}));
  }
  if (["corners", "scale"].includes(app.state.tool)) parts.push(...draft.points.map(dot));
  if (draft.clicks) parts.push(...draft.clicks.map(dot));
  if (draft.keys) parts.push(...draft.points.map(dot));
  return parts;
}
