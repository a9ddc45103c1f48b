// Alerts and silences of Alertmanager. What others wrote becomes text, never HTML.
const at = (id) => document.getElementById(id);
const api = "/alertmanager/api/v2/";
let wanted = [];

// "#/silences/new?filter={a="b",c="d"}", as Alertmanager's own page takes it: [["a", "b"], …]
function filter() {
  const [, query] = location.hash.split("?");
  const text = new URLSearchParams(query || "").get("filter") || "";
  const pairs = text.matchAll(/("(?:[^"\\]|\\.)*"|[A-Za-z_][\w]*)=("(?:[^"\\]|\\.)*")/g);
  const bare = (name) => (name.startsWith('"') ? JSON.parse(name) : name);
  return [...pairs].map(([, name, value]) => [bare(name), JSON.parse(value)]);
}

function ask(labels) {
  wanted = labels;
  at("matchers").textContent = labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(" ");
  at("silence").hidden = labels.length === 0;
}

function row(table, cells) {
  const tr = table.insertRow();
  for (const cell of cells) tr.insertCell().append(...[cell].flat());
}

function button(text, act) {
  const made = element("button", text);
  made.onclick = act;
  return made;
}

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

async function send(path, options) {
  const answer = await fetch(api + path, options);
  const text = await answer.text();
  at("said").textContent = answer.ok ? "✓" : text;
  show();
}

at("silence").onsubmit = (event) => {
  event.preventDefault();
  const now = Date.now();
  const body = JSON.stringify({
    matchers: wanted.map(([name, value]) => ({ name, value, isRegex: false, isEqual: true })),
    startsAt: new Date(now).toISOString(),
    endsAt: new Date(now + Number(at("hours").value) * 3600e3).toISOString(),
    createdBy: "demo",
    comment: "demo",
  });
  send("silences", { method: "POST", body, headers: { "Content-Type": "application/json" } });
  at("silence").hidden = true;
};

async function show() {
  const get = async (path) => (await fetch(api + path)).json();
  const [alerts, silences] = await Promise.all([get("alerts"), get("silences")]);
  alerts.sort((a, b) => (a.labels.alertname || "").localeCompare(b.labels.alertname || ""));
  const table = at("alerts");
  table.replaceChildren();
  for (const { labels, annotations, status } of alerts) {
    const pairs = Object.entries(labels);
    const others = pairs.filter(([name]) => name !== "alertname").map((pair) => pair.join("=")).join(", ");
    const soft = element("div", others);
    soft.className = "soft";
    const what = [element("b", labels.alertname || ""), element("div", annotations.summary || ""), soft];
    row(table, [what, status.state, button(table.dataset.silence, () => { ask(pairs); scrollTo(0, 0); })]);
  }
  if (alerts.length === 0) row(table, [table.dataset.none]);
  const list = at("silences");
  list.replaceChildren();
  const active = silences.filter((silence) => silence.status.state !== "expired");
  for (const { id, matchers, endsAt } of active) {
    const what = matchers.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(" ");
    const until = `${list.dataset.until} ${new Date(endsAt).toLocaleString(document.documentElement.lang)}`;
    row(list, [what, until, button(list.dataset.end, () => send(`silence/${id}`, { method: "DELETE" }))]);
  }
  if (active.length === 0) row(list, [list.dataset.none]);
}

addEventListener("hashchange", () => ask(filter()));
ask(filter());
show();
