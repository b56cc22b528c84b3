// The app: what is shown, what is decided, and which keys do what.
import * as api from "./api.js";
import {$} from "./dom.js";
import {keyboard} from "./keys.js";
import {borders} from "./lines.js";
import {keyOf, lines, marks, showPlace} from "./overlay.js";
import * as panels from "./panels.js";
import {pointer} from "./pointer.js";
import {hands, toolOf} from "./tools.js";
import {Viewer} from "./viewer.js";
import {showMoment} from "./wave.js";

const SAVE_AFTER_MS = 800;
const DRAFT = "draft", PAGE = "page";

class App {
  constructor() {
    this.state = {pages: [], name: null, view: null, before: null, tool: "look", picked: null, draft: null, cross: null, moving: null, column: true, reach: 3, busy: false};
    this.viewer = new Viewer(() => this.mark());
    this.hands = hands(this);
  }

  tool() { return toolOf(this.state.tool); }
  picked() { return this.state.view?.leads.find((lead) => lead.row === this.state.picked?.row && lead.place === this.state.picked?.place) ?? null; }
  tell(text) { $("status").textContent = text; }

  async start() {
    try {
      const {pages, reviewer} = await api.pages();
      this.state.pages = pages;
      this.state.reviewer = reviewer;
      const last = sessionStorage.getItem(PAGE);
      await this.open(pages.some((page) => page.name === last) ? last : pages[0].name);
    } catch (error) {
      panels.notice("bad", error.message);
    }
  }

  async open(name) {
    if (this.state.busy) return;
    this.leave();
    const index = this.state.pages.findIndex((page) => page.name === name);
    const {title} = this.state.pages[index];
    $("title").textContent = title;
    $("position").textContent = `${index + 1} of ${this.state.pages.length}`;
    $("previous").disabled = index === 0;
    $("next").disabled = index === this.state.pages.length - 1;
    document.title = `${title} – ECG review`;
    panels.notice("", "");
    this.busy(true, `Reading ${title} …`);
    try {
      const view = await api.page(name);
      Object.assign(this.state, {name, picked: null, draft: null, before: null, cross: null});
      sessionStorage.setItem(PAGE, name);
      this.show(view);
      this.restore();
      if (!view.saved && !view.offered) this.saveSoon();
      this.tell(view.error ? `${title} could not be read` : `${title}: ${view.leads.length} leads`);
    } catch (error) {
      Object.assign(this.state, {name, view: null});
      $("overlay").replaceChildren();
      panels.notice("bad", error.message, ["Try again", () => this.open(name)]);
    } finally {
      this.busy(false);
    }
  }

  async list() {
    // The order stays that of the start; what was decided since, here or by others, is asked anew.
    try {
      const now = new Map((await api.pages()).pages.map((page) => [page.name, page]));
      this.state.pages = this.state.pages.map((page) => now.get(page.name) ?? page);
    } catch (error) {
      panels.notice("bad", error.message);
    }
    panels.pagesDialog(this);
  }

  step(by) {
    const index = this.index() + by;
    if (this.state.pages[index]) this.open(this.state.pages[index].name);
  }

  stepToDo() {
    const after = this.state.pages.slice(this.index() + 1).find((page) => !page.confirmed);
    if (after) this.open(after.name);
    else this.tell("No page after this one is left to confirm.");
  }

  index() { return this.state.pages.findIndex((page) => page.name === this.state.name); }

  point(lead, share) {
    // The same moment on the page and in the recording.
    showMoment(lead, share);
    showPlace(this, lead, share);
  }

  show(view) {
    this.state.view = view;
    if (this.state.pages[this.index()]) this.state.pages[this.index()].confirmed = view.confirmed;
    if (view.offered) {
      this.state.tool = "look";
      panels.notice("", `${view.offered} ${view.history.filter((each) => each.stands).length} earlier decisions are kept, and not made here yet.`,
        ["Make them again", () => this.decide("again", null), true], ["Set them aside", () => this.decide("set_aside", null)]);
    } else if (view.error) panels.notice("bad", `This page cannot be read as it stands. ${view.error}`);
    else if (view.unsaved) panels.notice("bad", `The decision is kept, but the recording could not be written: ${view.unsaved}`);
    else panels.notice("", "");
    this.render();
  }

  render() {
    const {view} = this.state;
    if (!view) return;
    const of = this.tool().of ?? (view.leads.length || !view.error ? "page" : "picture");
    const {width, height} = of === "picture" ? view.picture : view.page;
    this.viewer.show({name: this.state.name, of, width, height, key: `${this.state.name}/${of}/${JSON.stringify(view.page.homography ?? null)}`});
    $("viewer").classList.toggle("points", Boolean(this.tool().points));
    $("viewer").classList.toggle("draws", Boolean(this.hands[this.state.tool].step));  // names are in no hand's way
    panels.figures(view);
    panels.tools(this);
    panels.bar(this);
    panels.recording(this);
    panels.details(this);
    $("hint").textContent = this.tool().hint;
    $("undo").disabled = !view.can_undo;
    $("redo").disabled = !view.can_redo;
    $("confirm").disabled = !view.leads.length || Boolean(view.offered);
    $("confirm").textContent = view.confirmed ? "✓ Confirmed" : "Confirm page";
    $("confirm").setAttribute("aria-pressed", String(view.confirmed));
    this.draw();
  }

  draw() {
    const {view, picked} = this.state;
    this.drawn = this.tool().of === "picture" || !view.rows.length ? null : lines(view, picked);
    $("overlay").replaceChildren(...(this.drawn ? [this.drawn] : []));
    this.mark();
  }

  mark() {
    if (!this.state.view) return;
    const focused = document.activeElement?.getAttribute?.("data-key");
    const fresh = marks(this);
    $("overlay").replaceChildren(...(this.drawn ? [this.drawn] : []), fresh);
    if (focused) fresh.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  use(id) {
    const tool = toolOf(id);
    if (!this.state.view || (tool.needs && !this.state.view.leads.length) || (this.state.view.offered && id !== "look")) return;
    Object.assign(this.state, {tool: id, draft: null, moving: null});
    sessionStorage.removeItem(DRAFT);
    this.render();
    this.hands[id].begin?.();
    if (tool.points) $("viewer").focus();
    this.tell(`${tool.label}`);
  }

  draft(draft) {
    this.state.draft = draft;
    const {name, tool, view} = this.state;
    if (draft) sessionStorage.setItem(DRAFT, JSON.stringify({name, tool, head: view.head, draft}));
    else sessionStorage.removeItem(DRAFT);
    this.mark();
  }

  restore() {
    // What was being drawn when the browser went away.
    const kept = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null");
    if (!kept || kept.name !== this.state.name || kept.head !== this.state.view.head || this.state.view.offered) return;
    this.state.tool = kept.tool;
    this.render();
    this.draft(kept.draft);
  }

  apply() { return this.hands[this.state.tool].apply?.(); }

  discard() {
    this.draft(null);
    this.state.moving = null;
    this.hands[this.state.tool].begin?.();
    this.mark();
  }

  async decide(what, value) {
    if (this.state.busy || !this.state.view) return false;
    const {name, view} = this.state;
    const why = $("why")?.value ?? "";
    const fromBar = $("bar").contains(document.activeElement);
    this.busy(true, "Reading the page with that …");
    try {
      const after = await api.decide(name, {what, value, why, head: view.head});
      if ($("why")) $("why").value = "";
      Object.assign(this.state, {before: view.leads, draft: null, moving: null});
      sessionStorage.removeItem(DRAFT);
      this.show(after);
      if (["corners", "rows"].includes(this.state.tool)) this.use("look");
      this.tell(this.said(view, after));
      this.saveSoon();
      return true;
    } catch (error) {
      if (error.status === 409) this.show(await api.page(name).catch(() => view));
      panels.notice("bad", error.message, ...(error.status === 0 ? [["Try again", () => this.decide(what, value), true]] : []), ["Dismiss", () => panels.notice("", "")]);
      this.state.moving = null;
      this.mark();
      return false;
    } finally {
      this.busy(false);
      if (fromBar) $("viewer").focus();  // so that the next key is a tool's
    }
  }

  said(before, after) {
    const last = after.history.at(-1);
    if (!after.checks) return last.says;
    const change = before.checks ? `, confidence ${Math.round(100 * before.confidence)} → ${Math.round(100 * after.confidence)} %` : "";
    return `${last.says}${change}`;
  }

  busy(busy, text = "") {
    this.state.busy = busy;
    $("viewer").classList.toggle("busy", busy);
    $("viewer").setAttribute("aria-busy", String(busy));
    if (text) this.tell(text);
  }

  saveSoon() {
    clearTimeout(this.saving);
    $("saved").textContent = "writing …";
    this.saving = setTimeout(() => this.save(), SAVE_AFTER_MS);
  }

  async save() {
    this.saving = null;
    try {
      const {saved, unsaved, withheld} = await api.save(this.state.name);
      $("saved").textContent = !saved ? "kept" : withheld ? "withheld !" : "saved";
      $("saved").title = withheld;
      if (unsaved) panels.notice("bad", `The decision is kept, but the recording could not be written: ${unsaved}`);
    } catch (error) {
      $("saved").textContent = "kept";
      const gone = "The app does not answer. The decision is kept; the recording is written when the page is opened next.";
      if ($("notice").hidden) panels.notice("bad", error.status === 0 ? gone : error.message);
    }
  }

  leave() {
    // Decisions are on disk already; this writes the recording that follows from them.
    if (this.saving) {
      clearTimeout(this.saving);
      this.saving = null;
      api.save(this.state.name, {keepalive: true}).catch(() => {});
    }
    $("saved").textContent = $("saved").title = "";
  }

  pick(lead, reveal = false) {
    if (!lead) return;
    this.state.picked = {row: lead.row, place: lead.place};
    this.render();
    document.querySelector("#leads tr.picked")?.scrollIntoView({block: "nearest"});
    if (reveal && this.tool().of !== "picture") {
      const line = this.state.view.rows[lead.row].line.flat().filter(([x]) => x >= lead.left && x <= lead.right);
      if (line.length) this.viewer.reveal(lead.left, lead.right, line[Math.floor(line.length / 2)][1]);
    }
    this.tell(`${lead.title} picked`);
  }

  pickNext(by) {
    const {leads} = this.state.view;
    const index = leads.findIndex((lead) => lead === this.picked());
    this.pick(leads[(index + by + leads.length) % leads.length], this.state.tool === "look");
  }

  name(lead) { if (lead && !this.state.view.offered) { this.state.picked = {row: lead.row, place: lead.place}; this.render(); panels.nameDialog(this, lead); } }

  nameAs(lead, name) {
    const place = (each, as) => ({row: each.row, place: each.place, lead: as});
    const rhythm = (each) => each.title !== each.lead;
    const other = this.state.view.leads.find((each) => each.lead === name && each !== lead && !rhythm(each) && !rhythm(lead));
    return this.decide("names", [place(lead, name), ...(other ? [place(other, lead.lead)] : [])]);
  }

  moveBorder(edge, x) {
    const all = this.state.column ? borders(this.state.view).filter((each) => Math.abs(each.x - edge.x) < 3) : [edge];
    return this.decide("borders", all.flatMap((each) => each.ends.map((end) => ({...end, at: [x, each.y]}))));
  }

  takeBorder(event, edge) {
    event.preventDefault();
    event.stopPropagation();
    event.currentTarget.focus();
    const move = (next) => { this.state.moving = {key: keyOf(edge), x: this.viewer.place(next)[0]}; this.mark(); };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      const moved = this.state.moving?.x;
      if (moved !== undefined && Math.abs(moved - edge.x) > 0.3) this.moveBorder(edge, moved);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  nudgeBorder(event, edge) {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    const from = this.state.moving?.key === keyOf(edge) ? this.state.moving.x : edge.x;
    if (by) this.state.moving = {key: keyOf(edge), x: from + by * (event.shiftKey ? 10 : 1)};
    else if (event.key === "Enter" && from !== edge.x) this.moveBorder(edge, from);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.mark();
  }

  confirmLead(lead = this.picked()) {
    if (!lead) return;
    const places = this.state.view.leads.filter((each) => each.confirmed !== (each.row === lead.row && each.place === lead.place));
    return this.decide("confirm", places.map((each) => [each.row, each.place]));
  }

  confirmPage() {
    const {view} = this.state;
    if (!view?.leads.length || view.offered) return;
    return this.decide("confirm", view.confirmed ? [] : view.leads.map((lead) => [lead.row, lead.place]));
  }

  async confirmMeasures() {
    const {speed, gain} = this.state.view.calibration;
    if (await this.decide("speed", speed)) await this.decide("gain", gain);
  }

  async stop() {
    this.leave();
    await api.stop().catch(() => {});
    this.state.view = null;
    document.querySelector("main").inert = true;
    panels.notice("", "The app has ended. All decisions are saved; this tab can be closed.");
  }
}

const app = new App();
keyboard(app);
pointer(app);
app.start();
