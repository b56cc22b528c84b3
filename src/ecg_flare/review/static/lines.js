// The rows' lines as the page shows them: which one is near a place, and how a hand bends it.

export const points = (row) => row.line.flat();

export function heightAt(row, x) {
  const line = points(row);
  if (!line.length) return null;
  let index = line.findIndex(([at]) => at >= x);
  if (index < 0) index = line.length - 1;
  if (index === 0) return line[0][1];
  const [x0, y0] = line[index - 1], [x1, y1] = line[index];
  return x1 > x0 ? y0 + ((y1 - y0) * Math.min(1, Math.max(0, (x - x0) / (x1 - x0)))) : y1;
}

export function level(row) {
  const heights = points(row).map(([, y]) => y).sort((a, b) => a - b);
  return heights.length ? heights[Math.floor(heights.length / 2)] : 0;
}

export function nearestRow(rows, [x, y]) {
  const distances = rows.map((row) => Math.min(Math.abs((heightAt(row, x) ?? Infinity) - y), Math.abs(level(row) - y)));
  return distances.indexOf(Math.min(...distances));
}

export function leadAt(view, place) {
  const row = nearestRow(view.rows, place);
  const own = view.leads.filter((lead) => lead.row === row);
  return own.find((lead) => place[0] >= lead.left && place[0] <= lead.right) ??
    own.sort((a, b) => away(a, place[0]) - away(b, place[0]))[0];
}

const away = (lead, x) => Math.max(lead.left - x, x - lead.right, 0);

// The part of a line within `reach` of x, bent by dy: fully at x, not at all at the ends.
export function bent(row, x, dy, reach) {
  const result = [];
  for (let at = x - reach; at <= x + reach; at += 0.5) {
    const y = heightAt(row, at);
    if (y !== null) result.push([at, y + dy * (0.5 + 0.5 * Math.cos((Math.PI * (at - x)) / reach))]);
  }
  return result;
}

// All edges of leads; two that meet in a row are one.
export function borders(view) {
  const found = [];
  for (const lead of view.leads) {
    const y = level(view.rows[lead.row]);
    for (const side of ["left", "right"]) {
      const twin = found.find((edge) => edge.row === lead.row && Math.abs(edge.x - lead[side]) < 1.5);
      if (twin) twin.ends.push({row: lead.row, place: lead.place, side});
      else found.push({row: lead.row, x: lead[side], y, ends: [{row: lead.row, place: lead.place, side}], titles: [lead.title]});
      if (twin) twin.titles.push(lead.title);
    }
  }
  return found;
}
