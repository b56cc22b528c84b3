// The page as tiles on a canvas, with an overlay in the page's own pixels; pans and zooms.
import * as api from "./api.js";
import {$} from "./dom.js";

const TILE = 512;
const MAX_LEVEL = 6;
const MAX_TILES = 160;  // that are kept, a megabyte each

export class Viewer {
  constructor(onMove, kept = MAX_TILES) {
    this.kept = kept;
    this.canvas = $("canvas");
    this.box = $("viewer");
    this.overlay = $("overlay");
    this.onMove = onMove;
    this.tiles = new Map();
    this.source = null;
    this.scale = 1;
    this.x = this.y = 0;
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  show(source) {
    // A page of the same place in the same picture keeps the view; another one is fitted.
    const same = this.source && source.key === this.source.key;
    const fresh = !this.source || source.name !== this.source.name || source.of !== this.source.of ||
      source.width !== this.source.width;
    this.source = source;
    if (!same) this.forget(0);
    if (fresh) this.fit();
    else this.draw();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    const {clientWidth: width, clientHeight: height} = this.box;
    const first = !this.width;
    this.width = width;
    this.height = height;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    if (first || this.fitted) this.fit();
    else this.draw();
  }

  fit() {
    if (!this.source || !this.width) return;
    this.scale = Math.min(this.width / this.source.width, this.height / this.source.height) * 0.95;
    this.x = (this.width - this.source.width * this.scale) / 2;
    this.y = (this.height - this.source.height * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  zoom(factor, at = [this.width / 2, this.height / 2]) {
    const scale = Math.min(16, Math.max(0.02, this.scale * factor));
    this.x = at[0] - (at[0] - this.x) * (scale / this.scale);
    this.y = at[1] - (at[1] - this.y) * (scale / this.scale);
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.draw();
  }

  reveal(left, right, y) {
    const wanted = Math.min(Math.max(this.scale, (this.width * 0.8) / (right - left)), 3);
    this.scale = Math.max(wanted, 0.02);
    this.x = this.width / 2 - ((left + right) / 2) * this.scale;
    this.y = this.height / 2 - y * this.scale;
    this.fitted = false;
    this.draw();
  }

  place(event) {
    const box = this.box.getBoundingClientRect();
    return [(event.clientX - box.left - this.x) / this.scale, (event.clientY - box.top - this.y) / this.scale];
  }

  draw() {
    if (!this.source || !this.width || this.queued) return;
    this.queued = requestAnimationFrame(() => {
      this.queued = 0;
      this.paint();
    });
  }

  paint() {
    const ratio = devicePixelRatio || 1;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const level = Math.min(MAX_LEVEL, Math.max(0, Math.floor(Math.log2(1 / (this.scale * ratio)))));
    const step = TILE << level;
    const last = (size) => Math.ceil(size / step) - 1;
    const from = (offset) => Math.max(0, Math.floor(-offset / this.scale / step));
    let shown = 0;
    for (let row = from(this.y); row <= Math.min(last(this.source.height), Math.floor((this.height - this.y) / this.scale / step)); row++) {
      for (let column = from(this.x); column <= Math.min(last(this.source.width), Math.floor((this.width - this.x) / this.scale / step)); column++) {
        const image = this.tile(level, column, row);
        shown++;
        if (!image) continue;
        const wide = Math.min(step, this.source.width - column * step), high = Math.min(step, this.source.height - row * step);
        context.drawImage(image, this.x + column * step * this.scale, this.y + row * step * this.scale, wide * this.scale + 0.5, high * this.scale + 0.5);
      }
    }
    this.forget(Math.max(this.kept, shown));
    // A pixel's centre has whole coordinates: the overlay is moved by half a pixel.
    this.overlay.setAttribute("viewBox", `${-this.x / this.scale - 0.5} ${-this.y / this.scale - 0.5} ${this.width / this.scale} ${this.height / this.scale}`);
    this.onMove();
  }

  tile(level, column, row) {
    const {key, name, of} = this.source;
    const id = `${key}/${level}/${column}/${row}`;
    const known = this.tiles.get(id);
    if (known !== undefined) {
      this.keep(id, known);
      return known;
    }
    this.keep(id, null);
    api.tile(name, of, level, column, row).then(
      (image) => {
        if (this.source.key !== key || !this.tiles.has(id)) return image.close();
        this.keep(id, image);
        this.draw();
      },
      () => this.tiles.delete(id),
    );
    return null;
  }

  keep(id, image) {
    this.tiles.delete(id);  // so that it comes last
    this.tiles.set(id, image);
  }

  // Let those go that were drawn longest ago, but for so many.
  forget(kept) {
    for (const [id, image] of this.tiles) {
      if (this.tiles.size <= kept) return;
      image?.close();
      this.tiles.delete(id);
    }
  }
}
