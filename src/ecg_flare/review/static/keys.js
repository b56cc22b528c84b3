// Every key of the app, and the buttons that do the same.
import {$} from "./dom.js";
import * as panels from "./panels.js";
import {TOOLS} from "./tools.js";

const THEME = "theme";
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

export function keyboard(app) {
  const press = {
    previous: () => app.step(-1), next: () => app.step(1), pages: () => app.list(), undo: () => app.decide("undo", null), redo: () => app.decide("redo", null),
    confirm: () => app.confirmPage(), help: () => panels.keysDialog(), stop: () => app.stop(), theme: () => theme(shown() === "dark" ? "light" : "dark"),
    in: () => app.viewer.zoom(1.4), out: () => app.viewer.zoom(1 / 1.4), fit: () => app.viewer.fit(),
  };
  for (const [id, action] of Object.entries(press)) $(id).addEventListener("click", action);
  $("bar").addEventListener("submit", (event) => { event.preventDefault(); app.apply(); });
  addEventListener("pagehide", () => app.leave());
  tabs();
  theme(localStorage.getItem(THEME) ?? shown());
  toolbar(app);

  addEventListener("keydown", (event) => {
    if ($("dialog").open) return;
    const typing = event.target.matches("input, select, textarea");
    if ((event.ctrlKey || event.metaKey) && !typing) {
      const redo = event.key === "y" || (event.key === "Z" && event.shiftKey);
      if (redo && !$("redo").disabled) act(event, press.redo);
      else if (event.key === "z" && !$("undo").disabled) act(event, press.undo);
      return;
    }
    if (event.ctrlKey || event.metaKey || !app.state.view && !["j", "J", "k", "p", "?"].includes(event.key)) return;
    if (event.key === "Escape") { event.target.blur?.(); $("viewer").focus(); return act(event, () => app.discard()); }
    if (typing) return;
    if (event.key === "Enter" && event.shiftKey) return act(event, press.confirm);
    if (onViewer(app, event)) return;
    const tool = TOOLS.find((each) => each?.key === event.key.toUpperCase());
    if (tool && !event.altKey) return act(event, () => app.use(tool.id));
    const plain = {J: () => app.stepToDo(), j: press.next, k: press.previous, p: press.pages, "?": press.help, "+": press.in, "=": press.in, "-": press.out, 0: press.fit, h: () => $("viewer").classList.toggle("bare"), x: () => app.confirmLead(), "[": () => app.pickNext(-1), "]": () => app.pickNext(1)};
    if (plain[event.key]) act(event, plain[event.key]);
  });
}

function act(event, action) {
  event.preventDefault();
  action();
}

// Keys that mean something only where the page has the focus.
function onViewer(app, event) {
  if (event.target !== $("viewer")) return false;
  const {state, viewer} = app;
  const hand = app.hands[state.tool];
  if (ARROWS[event.key]) {
    const [dx, dy] = ARROWS[event.key];
    const far = event.shiftKey ? 40 : event.altKey ? 1 : 6;
    event.preventDefault();
    if (!app.tool().points) { viewer.pan(-dx * far * 4, -dy * far * 4); return true; }
    state.cross ??= middle(viewer);
    state.cross = [state.cross[0] + (dx * far) / viewer.scale, state.cross[1] + (dy * far) / viewer.scale];
    if (state.tool !== "redraw" || !state.draft?.keys) hand.move?.(state.cross);
    app.mark();
    return true;
  }
  if (state.busy) return false;
  if (event.key === " " && hand.step) {
    state.cross ??= middle(viewer);
    act(event, () => hand.step(state.cross));
    return true;
  }
  if (event.key === " " && hand.click) { state.cross ??= middle(viewer); act(event, () => hand.click(state.cross)); return true; }
  if (event.key === "Enter") { act(event, () => app.apply()); return true; }
  if (event.key === "Backspace" && hand.back) { act(event, () => hand.back()); return true; }
  return false;
}

const middle = (viewer) => [(viewer.width / 2 - viewer.x) / viewer.scale, (viewer.height / 2 - viewer.y) / viewer.scale];

function toolbar(app) {
  $("tools").addEventListener("keydown", (event) => {
    const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const buttons = [...$("tools").querySelectorAll("button:not(:disabled)")];
    buttons[(buttons.indexOf(document.activeElement) + by + buttons.length) % buttons.length].focus();
  });
}

function tabs() {
  const all = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const each of all) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      $(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
  };
  all.forEach((tab, index) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const next = all[(index + by + all.length) % all.length];
      choose(next);
      next.focus();
    });
  });
}

const shown = () => document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

function theme(name) {
  document.documentElement.dataset.theme = name;
  document.documentElement.style.colorScheme = name;
  localStorage.setItem(THEME, name);
}
