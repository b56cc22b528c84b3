// Requests to the app. The token stands in the address after '#', which no browser sends or passes on.
const token = location.hash.slice(1);

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, {...options, headers: {"x-review-token": token, ...options?.headers}});
  } catch {
    throw new Refused(0, "The app does not answer. What was decided before is saved; this was not.");
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, said.error ?? `the app answered ${answer.status}`);
  }
  return answer;
}

const post = async (path, body, more = {}) =>
  (await call(path, {method: "POST", body: JSON.stringify(body), headers: {"content-type": "application/json"}, ...more})).json();
const at = (name) => `/api/pages/${encodeURIComponent(name)}`;

export const pages = async () => (await call("/api/pages")).json();
export const page = async (name) => (await call(at(name))).json();
export const decide = (name, decision) => post(`${at(name)}/decisions`, decision);
export const follow = (name, points) => post(`${at(name)}/follow`, {points});
export const save = (name, more) => post(`${at(name)}/save`, {}, more);
export const stop = () => post("/api/stop", {});
export const tile = async (name, of, level, column, row) =>
  createImageBitmap(await (await call(`${at(name)}/tiles/${of}/${level}/${column}/${row}`)).blob());
