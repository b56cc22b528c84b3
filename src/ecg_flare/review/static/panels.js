// Everything around the page: figures, the tool's bar, the recording, leads, doubts, decisions, dialogs.
import {$, make} from "./dom.js";
import {TOOLS} from "./tools.js";
import {wave} from "./wave.js";

const LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "V3R", "V4R", "V5R", "V6R", "V7", "V8", "V9"];
const percent = (share) => `${Math.round(100 * share)} %`;

export function figures(view) {
  const {checks, calibration: measures} = view;
  const rows = [];
  if (checks) {
    const sure = view.confidence >= 0.75 ? "good" : view.confidence >= 0.5 ? "warn" : "bad";
    rows.push(["Confidence", percent(view.confidence), sure], ["Layout", view.layout.name, ""]);
    rows.push(["Speed", `${+measures.speed.toFixed(2)} mm/s`, assumed(measures.speed_source)]);
    const chest = measures.chest_gain === measures.gain ? "" : ` / ${+measures.chest_gain.toFixed(2)}`;
    rows.push(["Gain", `${+measures.gain.toFixed(2)}${chest} mm/mV`, assumed(measures.gain_source)]);
    rows.push(["Heart rate", checks.heart_rate_bpm ? `${checks.heart_rate_bpm}/min` : "–", ""]);
    rows.push(["I + III − II", ...ratio(checks.einthoven, checks.allowed_einthoven)]);
    rows.push(["aVR + aVL + aVF", ...ratio(checks.goldberger, checks.allowed_goldberger)]);
    rows.push(["Rhythm", ...(checks.rhythm === null ? ["–", ""] : [checks.rhythm.toFixed(2), checks.rhythm >= 0.97 ? "good" : "bad"])]);
  }
  $("figures").replaceChildren(...rows.map(([name, value, kind]) => make("div", {}, make("dt", {}, name), make("dd", {class: kind}, value + mark(kind)))));
}

// Not by colour alone.
const mark = (kind) => ({good: " ✓", bad: " ✗", warn: " !"})[kind] ?? "";
const assumed = (source) => (source === "assumed" ? "warn" : "");
const ratio = (value, allowed) => (value === null ? ["–", ""] : [percent(value), value <= allowed ? "good" : "bad"]);

export function tools(app) {
  const readable = app.state.view?.leads.length > 0 && !app.state.view.offered;
  $("tools").replaceChildren(...TOOLS.map((tool) => (tool === null ? make("hr") : make("button", {
    "data-tool": tool.id, "aria-pressed": String(app.state.tool === tool.id), "aria-keyshortcuts": tool.key, title: `${tool.label} (${tool.key})`,
    "aria-label": tool.label, tabindex: app.state.tool === tool.id ? 0 : -1,
    disabled: Boolean(app.state.view?.offered && tool.id !== "look") || (tool.needs && !readable), onclick: () => app.use(tool.id),
  }, make("span", {}, tool.label), make("kbd", {"aria-hidden": "true"}, tool.key)))));
}

export function bar(app) {
  const {view, tool} = app.state;
  const measures = view.calibration ?? {}, said = view.corrections;
  const number = (what, label, shown, values, source) => {
    const list = `values-${what}`;
    return make("label", {}, label, make("input", {
      type: "number", step: "any", min: 1, name: what, value: said[what] ?? "", placeholder: shown === undefined ? "" : `${+shown.toFixed(2)}`, list,
      title: source ? `${source}: ${shown}` : "",
      onchange: (event) => app.decide(what, event.target.value === "" ? null : Number(event.target.value)),
    }), make("datalist", {id: list}, ...values.map((value) => make("option", {value}))));
  };
  const button = (text, action, more = {}) => make("button", {type: "button", onclick: action, ...more}, text);
  const apply = make("button", {class: "main"}, "Apply");  // Enter in any field of the bar is this, too
  const turned = view.page.turned_deg ?? 0;
  const parts = {
    turn: () => [
      button("⟲ 90° left", () => app.decide("turn", {deg: (turned + 270) % 360})), button("⟳ 90° right", () => app.decide("turn", {deg: (turned + 90) % 360})),
      button("180°", () => app.decide("turn", {deg: (turned + 180) % 360})), button("Measure", () => app.decide("turn", null), {disabled: said.turn === null})],
    corners: () => [apply, button("Measure", () => app.decide("corners", null), {disabled: said.corners === null})],
    scale: () => [
      make("label", {}, "The ruler is", make("input", {id: "mm", type: "number", step: "any", min: 0.1, value: 50}), "mm"), apply,
      button("Measure", () => app.decide("ruler", null), {disabled: !said.ruler}),
      make("span", {}, measures.px_per_mm_x ? `${measures.px_per_mm_x.toFixed(2)} × ${measures.px_per_mm_y.toFixed(2)} px/mm, ${measures.method}` : "")],
    measures: () => [
      make("label", {}, "Layout", make("select", {name: "layout", onchange: (event) => app.decide("layout", event.target.value || null)},
        make("option", {value: "", selected: said.layout === null}, view.layout ? `measured (${view.layout.name})` : "measured"),
        ...view.layouts.map((name) => make("option", {value: name, selected: said.layout === name}, name)))),
      number("speed", "Speed, mm/s", measures.speed, [12.5, 25, 50], measures.speed_source), number("gain", "Gain, mm/mV", measures.gain, [5, 10, 20], measures.gain_source),
      number("chest_gain", "V1–V6", measures.chest_gain, [2.5, 5, 10, 20], measures.chest_gain_source),
      button("Confirm as read", () => app.confirmMeasures(), {disabled: !view.calibration})],
    rows: () => [apply, button("Measure", () => app.decide("rows", null), {disabled: !said.rows})],
    names: () => [make("span", {}, app.picked() ? `${app.picked().title} is picked` : "No lead is picked"), button("Name…", () => app.name(app.picked()), {disabled: !app.picked()})],
    borders: () => [make("label", {}, make("input", {id: "column", type: "checkbox", checked: app.state.column, onchange: (event) => { app.state.column = event.target.checked; }}), "in all rows of the column")],
    drag: () => [make("label", {}, "Reach", make("input", {id: "reach", type: "number", min: 0.5, max: 40, step: 0.5, value: app.state.reach, onchange: (event) => { app.state.reach = event.target.value; }}), "mm")],
    redraw: () => [apply], follow: () => [apply, button("Take a point back", () => app.hands.follow.back()), button("Discard", () => app.draft(null))], unreadable: () => [apply], look: () => [
      button("Confirm lead", () => app.confirmLead(), {disabled: !app.picked(), title: "X", "aria-keyshortcuts": "X"}),
      make("span", {}, app.picked() ? `${app.picked().title}: ${percent(app.picked().coverage)} found, ${app.picked().gaps} gap${app.picked().gaps === 1 ? "" : "s"}` : "Pick a lead, or a tool")],
  };
  const why = make("label", {class: "why"}, make("input", {id: "why", placeholder: "Why (optional)", "aria-label": "Why, for the next decision", maxlength: 1000, value: $("why")?.value ?? ""}));
  $("bar").replaceChildren(...parts[tool](), why);
}

export function recording(app) {
  const {view, before, picked} = app.state;
  const legend = before?.length ? "25 mm/s, 10 mm/mV; grey: before the last decision" : "25 mm/s, 10 mm/mV";
  const shown = view.leads.length ? [wave(view.leads, before, picked, view.fs_hz, (lead) => app.pick(lead, true), (lead, share) => app.point(lead, share)), make("p", {}, legend)] : [make("p", {}, "No recording was read.")];
  $("wave").replaceChildren(...shown);
}

export function details(app) {
  const {view, picked} = app.state;
  const head = make("tr", {}, ...["Lead", "Row", "Found", "Gaps", "Sure", ""].map((text, index) => make("th", {scope: "col", class: index > 0 && index < 5 ? "n" : ""}, text || make("span", {class: "hidden"}, "Confirmed"))));
  const rows = view.leads.map((lead) => make("tr", {class: picked?.row === lead.row && picked?.place === lead.place ? "picked" : "", onclick: () => app.pick(lead, true)},
    make("td", {}, make("button", {onclick: (event) => { event.stopPropagation(); app.name(lead); }, title: "Name this lead"}, lead.title + (lead.guessed ? " ?" : ""))),
    ...[lead.row + 1, percent(lead.coverage), lead.gaps, percent(lead.confidence)].map((value, index) => make("td", {class: `n${index === 2 && value ? " bad" : ""}`}, String(value))),
    make("td", {}, make("button", {"aria-pressed": String(lead.confirmed), disabled: Boolean(view.offered), onclick: (event) => { event.stopPropagation(); app.confirmLead(lead); }}, lead.confirmed ? "✓ right" : "right?"))));
  $("leads").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  const doubts = [...(view.error ? [view.error] : []), ...(view.withheld ? [view.withheld] : []), ...view.warnings];
  $("doubts").replaceChildren(doubts.length ? make("ul", {}, ...doubts.map((text) => make("li", {}, text))) : make("p", {}, "Nothing was doubted."));
  $("tab-doubts").textContent = doubts.length ? `Doubts (${doubts.length})` : "Doubts";
  const past = [...view.history].reverse();
  $("history").replaceChildren(past.length ? make("ol", {reversed: true}, ...past.map((each) => make("li", {class: each.stands || ["undo", "redo", "again", "set_aside"].includes(each.what) ? "" : "gone"}, `${each.says} — ${each.who}, ${each.when.replace("T", " ").replace("+00:00", " UTC")}${each.why ? `: ${each.why}` : ""}`))) : make("p", {}, "Nothing was decided about this page."));
}

export function nameDialog(app, lead) {
  open(`Which lead is ${lead.title} in row ${lead.row + 1}?`, make("div", {class: "names"}, ...LEADS.map((name) => make("button", {type: "button", class: name === lead.lead ? "main" : "", onclick: () => { $("dialog").close(); app.nameAs(lead, name); }}, name))));
}

export function pagesDialog(app) {
  const row = (page) => make("li", {}, make("button", {type: "button", "aria-current": page.name === app.state.name ? "page" : null, onclick: () => { $("dialog").close(); app.open(page.name); }},
    make("span", {}, page.title), make("span", {class: page.confidence === null || page.confidence < 0.5 ? "bad" : ""}, page.problem || (page.confidence === null ? "not read" : percent(page.confidence))),
    make("span", {}, page.layout ?? ""), make("span", {}, page.confirmed ? "✓ confirmed" : page.decisions ? `${page.decisions} decided` : "")));
  const done = app.state.pages.filter((page) => page.confirmed).length;
  open(`Pages, the worst first: ${done} of ${app.state.pages.length} confirmed`, make("ul", {class: "list"}, ...app.state.pages.map(row)));
}

export function keysDialog() {
  const keys = [...TOOLS.filter(Boolean).map((tool) => [tool.key, tool.label]), ["J / K", "next, previous page"], ["Shift+J", "next page that is not confirmed"], ["P", "all pages"], ["[ / ]", "pick the lead before, after"],
    ["arrows", "move the cross (Shift far, Alt fine)"], ["Space", "set a point, pick up, drop"], ["Enter", "apply"], ["Esc", "discard"], ["Backspace", "take a point back"], ["+ / - / 0", "larger, smaller, fit"], ["H", "hide or show what was read"],
    ["X", "confirm the picked lead"], ["Shift+Enter", "confirm the page"], ["Ctrl+Z / Ctrl+Y", "undo, redo"], ["?", "these keys"]];
  open("Keys", make("dl", {class: "keys"}, ...keys.map(([key, text]) => make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, text)))));
}

function open(title, body) {
  $("dialog-title").textContent = title;
  $("dialog-body").replaceChildren(body);
  if (!$("dialog").open) $("dialog").showModal();
}

export function notice(kind, text, ...buttons) {
  $("notice").hidden = !text;
  $("notice").className = kind;
  $("notice").replaceChildren(make("p", {}, text), ...buttons.map(([label, action, main]) => make("button", {type: "button", class: main ? "main" : "", onclick: action}, label)));
}
