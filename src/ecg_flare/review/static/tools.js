// What a hand does on the page with each tool. A tool takes places in pixels of what is shown, by pointer or by keys:
// down, move and up are a pointer's; step is Space at the cross; apply is Enter.
import * as api from "./api.js";
import {bent, leadAt, level, nearestRow} from "./lines.js";

export const TOOLS = [
  {id: "look", key: "V", label: "Look", hint: "Drag to move, wheel or + and - to zoom, click a lead to pick it. Arrow keys move the page."},
  {id: "turn", key: "T", label: "Turn", hint: "Turn the page until it stands upright."},
  {id: "corners", key: "C", label: "Corners", of: "picture", points: true, hint: "Drag the corners of the page; Space picks up the nearest one at the cross. Enter applies."},
  {id: "scale", key: "S", label: "Scale", points: true, hint: "Lay a ruler over a length that you know, as 50 mm of grid; type its millimetres. Enter applies."},
  {id: "measures", key: "M", label: "Measures", hint: "Set or confirm layout, speed and gain. Empty is measured."},
  {id: "rows", key: "R", label: "Rows", points: true, hint: "Click where a row is missing, or on one that is none. Space does the same at the cross. Enter applies."},
  null,
  {id: "names", key: "N", label: "Names", points: true, needs: true, hint: "Click a lead, or pick it with [ and ] and press Enter, to name it. A name that stands elsewhere is swapped."},
  {id: "borders", key: "B", label: "Borders", needs: true, hint: "Drag a border. Tab goes to the next one, arrow keys move it, Enter applies."},
  null,
  {id: "drag", key: "D", label: "Drag", points: true, needs: true, hint: "Drag a line up or down. Space picks it up at the cross, Enter applies."},
  {id: "redraw", key: "W", label: "Redraw", points: true, needs: true, hint: "Draw the line anew from left to right. Space sets points, Enter applies."},
  {id: "follow", key: "F", label: "Follow", points: true, needs: true, hint: "Click along the line; the tracer follows the ink between. Enter applies, Backspace takes a point back."},
  {id: "unreadable", key: "U", label: "Unreadable", points: true, needs: true, hint: "Drag over what nobody can read. Space sets its begin and its end."},
];

export const toolOf = (id) => TOOLS.find((tool) => tool?.id === id) ?? TOOLS[0];

export function hands(app) {
  const {state} = app;
  const rowOf = (place) => nearestRow(state.view.rows, place);
  const reach = () => (Number(document.getElementById("reach")?.value) || 3) * (state.view.calibration?.px_per_mm_x ?? 8);
  const line = (row, points, how) => app.decide("line", {row, points, how});

  return {
    look: {click: (place) => app.pick(leadAt(state.view, place))},
    names: {
      click: (place) => app.name(leadAt(state.view, place)),
      apply: () => app.name(app.picked()),
    },
    scale: {
      down: (place) => app.draft({points: [place, place]}),
      move: (place) => state.draft?.points && app.draft({points: [state.draft.points[0], place]}),
      up: () => document.getElementById("mm")?.focus(),
      step: (place) => app.draft({points: [...(state.draft?.points ?? []).slice(-1), place]}),
      apply: () => {
        const [first, second] = state.draft?.points ?? [];
        const mm = Number(document.getElementById("mm")?.value);
        if (!second || !(mm > 0)) return app.tell("Lay the ruler from one place to another, and type its millimetres.");
        return app.decide("ruler", {first, second, mm});
      },
    },
    corners: {
      begin: () => {
        const {width, height} = state.view.picture;
        app.draft({points: state.view.corrections.corners ?? [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]});
      },
      down: (place) => app.draft({...state.draft, held: nearest(state.draft.points, place)}),
      move: (place) => {
        if (state.draft?.held === undefined) return;
        app.draft({...state.draft, points: state.draft.points.map((point, index) => (index === state.draft.held ? place : point))});
      },
      up: () => app.draft({points: state.draft.points}),
      step: (place) => (state.draft.held === undefined ? app.draft({...state.draft, held: nearest(state.draft.points, place)}) : app.draft({points: state.draft.points})),
      apply: () => app.decide("corners", state.draft.points),
    },
    rows: {
      begin: () => app.draft({points: state.view.rows.map((row) => [state.view.page.width / 2, level(row)])}),
      click: (place) => hands(app).rows.step(place),
      step: (place) => {
        const points = state.draft?.points ?? [];
        const near = points.findIndex(([, y]) => Math.abs(y - place[1]) * app.viewer.scale < 9);
        app.draft({points: near < 0 ? [...points, place] : points.filter((_, index) => index !== near)});
      },
      apply: () => (state.draft?.points?.length ? app.decide("rows", [...state.draft.points].sort((a, b) => a[1] - b[1])) : app.tell("Click on at least one row.")),
    },
    drag: {
      down: (place) => app.draft({row: rowOf(place), from: place, points: []}),
      move: (place) => {
        if (!state.draft?.from) return;
        const {row, from} = state.draft;
        app.draft({row, from, points: bent(state.view.rows[row], from[0], place[1] - from[1], reach())});
      },
      up: () => hands(app).drag.apply(),
      step: (place) => (state.draft?.from ? hands(app).drag.apply() : hands(app).drag.down(place)),
      apply: () => (state.draft?.points?.length > 1 ? line(state.draft.row, state.draft.points, "dragged") : app.draft(null)),
    },
    redraw: {
      down: (place) => app.draft({row: rowOf(place), points: [place]}),
      move: (place) => state.draft?.points && !state.draft.keys && app.draft({...state.draft, points: [...state.draft.points, place]}),
      up: () => hands(app).redraw.apply(),
      step: (place) => app.draft({row: state.draft?.row ?? rowOf(place), points: [...(state.draft?.points ?? []), place], keys: true}),
      apply: () => (state.draft?.points?.length > 1 ? line(state.draft.row, state.draft.points, "redrawn") : app.draft(null)),
    },
    follow: {
      click: (place) => hands(app).follow.step(place),
      step: (place) => {
        const clicks = [...(state.draft?.clicks ?? []), place].sort((a, b) => a[0] - b[0]);
        state.following = preview(app, clicks, state.draft?.row ?? rowOf(place));
      },
      back: () => {
        const clicks = (state.draft?.clicks ?? []).slice(0, -1);
        state.following = clicks.length ? preview(app, clicks, state.draft.row) : app.draft(null);
      },
      apply: async () => {
        await state.following;
        return state.draft?.points?.length > 1 ? line(state.draft.row, state.draft.points, "followed") : app.tell("Click at least two places on the line.");
      },
    },
    unreadable: {
      down: (place) => app.draft({row: rowOf(place), begin: place, end: place}),
      move: (place) => state.draft?.begin && app.draft({...state.draft, end: place}),
      up: () => hands(app).unreadable.apply(),
      step: (place) => (state.draft?.begin ? (app.draft({...state.draft, end: place}), hands(app).unreadable.apply()) : hands(app).unreadable.down(place)),
      apply: () => {
        const {row, begin, end} = state.draft ?? {};
        if (!begin || Math.abs(begin[0] - end[0]) < 1) return app.draft(null);
        return app.decide("unreadable", {row, begin, end: [end[0], begin[1]]});
      },
    },
    turn: {}, measures: {}, borders: {},
  };
}

async function preview(app, clicks, row) {
  app.draft({row, clicks, points: []});
  if (clicks.length < 2) return;
  try {
    const {points} = await api.follow(app.state.name, clicks);
    if (app.state.draft?.clicks === clicks) app.draft({row, clicks, points});
  } catch (error) {
    app.tell(error.message);
  }
}

function nearest(points, [x, y]) {
  const distances = points.map(([px, py]) => Math.hypot(px - x, py - y));
  return distances.indexOf(Math.min(...distances));
}
