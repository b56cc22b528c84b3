// Pointers on the page: tools draw with one, two pinch, the wheel zooms.
import {$} from "./dom.js";
import {leadAt} from "./lines.js";

const CLICK_PX = 4;

export function pointer(app) {
  const box = $("viewer");
  const down = new Map();
  let hand = null, begun = null, moved = false, apart = 0, between = null;

  box.addEventListener("pointerdown", (event) => {
    if (!app.state.view || (!down.size && event.target.closest(".zoom, .tag, .grip[tabindex]"))) return;
    box.focus({preventScroll: true});
    box.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    begun = event;
    moved = false;
    if (down.size === 2) {
      hand = null;
      app.draft(app.state.tool === "corners" ? app.state.draft : null);
      apart = distance(down);
      between = middle(down);
      return;
    }
    const tool = app.hands[app.state.tool];
    hand = event.button === 0 && tool.down && !app.state.busy && !app.state.view.offered ? tool : null;
    hand?.down(app.viewer.place(event));
  });

  box.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return hover(event);
    down.set(event.pointerId, event);
    moved ||= Math.hypot(event.clientX - begun.clientX, event.clientY - begun.clientY) > CLICK_PX;
    if (down.size === 2) {
      const now = distance(down), [x, y] = middle(down), rect = box.getBoundingClientRect();
      app.viewer.pan(x - between[0], y - between[1]);
      app.viewer.zoom(now / apart, [x - rect.left, y - rect.top]);
      [apart, between] = [now, [x, y]];
    } else if (hand) hand.move(app.viewer.place(event));
    else if (moved) app.viewer.pan(event.clientX - before.clientX, event.clientY - before.clientY);
  });

  const hover = (event) => {
    if (!app.state.view?.leads.length || app.tool().of === "picture") return;
    const place = app.viewer.place(event), lead = leadAt(app.state.view, place);
    const share = (place[0] - lead.left) / (lead.right - lead.left);
    app.point(share >= 0 && share <= 1 ? lead : null, share);
  };
  box.addEventListener("pointerleave", () => app.point(null));

  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    const place = app.viewer.place(event);
    if (hand && event.type === "pointerup") hand.up(place);
    else if (!moved && event.type === "pointerup" && !app.state.busy) app.hands[app.state.tool].click?.(place);
    if (!down.size) hand = null;
  };
  box.addEventListener("pointerup", up);
  box.addEventListener("pointercancel", up);

  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    const rect = box.getBoundingClientRect();
    if (event.shiftKey) app.viewer.pan(-event.deltaY, 0);
    else app.viewer.zoom(Math.exp(-event.deltaY / 400), [event.clientX - rect.left, event.clientY - rect.top]);
  }, {passive: false});
}

function middle(down) {
  const [one, two] = [...down.values()];
  return [(one.clientX + two.clientX) / 2, (one.clientY + two.clientY) / 2];
}

function distance(down) {
  const [one, two] = [...down.values()];
  return Math.max(1, Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY));
}
