// The worklist, live. Rows change where they stand; a new study is told in the line above the table, and comes in by
// itself only while nobody is pointing at a row or moving along them with the keys.
import { answer } from "./answer.js";
import { localTimes } from "./base.js";

const table = document.querySelector("table[data-events]");
const lines = table.querySelector("[data-lines]");
const news = document.querySelector("[data-news]");
const lost = document.querySelector("[data-lost]");
const waiting = new Map();
const IDLE_MS = 8000;
let selected = null;
let keyed = 0;

// ---------------------------------------------------------------- rows

function rowOf(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const row = holder.content.querySelector("tr");
  localTimes(row);
  tell(row);
  return row;
}

function existing(uid) {
  return document.getElementById(`s-${uid}`);
}

/** The content of a row anew; the row itself, its place, its selection and the focus in it stay. */
function replace(row, html) {
  const made = rowOf(html);
  const focused = row.contains(document.activeElement);
  row.className = made.className;
  row.dataset.place = made.dataset.place;
  row.replaceChildren(...made.childNodes);
  if (focused) row.querySelector("a")?.focus({ preventScroll: true });
}

function busy() {
  return lines.matches(":hover") || lines.contains(document.activeElement) || Date.now() - keyed < IDLE_MS;
}

function before(a, b) {
  const [one, other] = [a.dataset.place, b.dataset.place];
  return table.dataset.byAge ? one.slice(2) < other.slice(2) : one < other;
}

/** New rows come on top, in their order, with a line below them that says how many. */
function letIn() {
  const rows = [...waiting.values()].map(rowOf).sort((a, b) => (before(a, b) ? -1 : 1));
  waiting.clear();
  lines.querySelector(".divider")?.remove();
  const fresh = [...lines.querySelectorAll("tr.fresh")];
  for (const row of rows) row.classList.add("fresh");
  const all = [...rows, ...fresh].sort((a, b) => (before(a, b) ? -1 : 1));
  lines.prepend(...all);
  if (all.length < lines.children.length) all.at(-1).after(divider(all.length));
  table.hidden = false;
  document.querySelector("[data-empty]")?.remove();
  document.querySelector("[data-nothing]")?.remove();
  announce();
}

function divider(count) {
  const row = document.createElement("tr");
  row.className = "divider";
  const cell = row.insertCell();
  cell.colSpan = 8;
  cell.textContent = counted(count);
  return row;
}

function counted(count) {
  return count === 1 ? news.dataset.one : news.dataset.many.replace("#", count);
}

function announce() {
  news.replaceChildren();
  if (!waiting.size) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = counted(waiting.size);
  button.addEventListener("click", letIn);
  news.append(button);
}

function take(event) {
  const told = JSON.parse(event.data);
  const row = existing(told.study_instance_uid);
  if (row) {
    row.classList.toggle("unfit", !told.fits);
    if (told.fits) replace(row, told.html);
  } else if (told.fits && (told.new || waiting.has(told.study_instance_uid)) && table.dataset.first) {
    waiting.set(told.study_instance_uid, told.html);
    announce();
  } else if (!told.fits) {
    waiting.delete(told.study_instance_uid);
    announce();
  }
}

// ---------------------------------------------------------------- the connection

// The node says something every ten seconds; a network that is away closes no connection.
const SILENCE_MS = 25000;
let broken = false;
let source = null;
let heard = 0;

function listen() {
  source?.close();
  heard = Date.now();
  source = new EventSource(table.dataset.events);
  source.addEventListener("study", take);
  for (const kind of ["study", "alive", "ready"]) source.addEventListener(kind, () => (heard = Date.now()));
  source.addEventListener("ready", () => {
    lost.hidden = true;
    if (broken) again();
    broken = false;
  });
  source.addEventListener("error", (event) => {
    lose();
    // The browser comes back by itself, unless it was refused.
    if (event.target.readyState === EventSource.CLOSED) setTimeout(() => event.target === source && listen(), 3000);
  });
}

function lose() {
  broken = true;
  lost.hidden = false;
}

addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => event.persisted && listen());
addEventListener("offline", lose);
addEventListener("online", listen);
setInterval(() => {
  if (Date.now() - heard < SILENCE_MS) return;
  lose();
  listen();
}, 5000);

/** What happened while nobody listened: the page is read anew, rows that are here change where they stand. */
async function again() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const row of page.querySelectorAll("tr[data-uid]")) {
    const here = existing(row.dataset.uid);
    if (here) replace(here, row.outerHTML);
    else if (table.dataset.first) waiting.set(row.dataset.uid, row.outerHTML);
  }
  announce();
}

// ---------------------------------------------------------------- time

function tell(root) {
  const now = Date.now();
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const minutes = Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 60000));
    if (minutes < 120) time.textContent = table.dataset.ageMin.replace("#", minutes);
  }
  for (const one of root.querySelectorAll("[data-eta]")) {
    const left = (Date.parse(one.dataset.eta) - now) / 1000;
    if (left < 0) one.textContent = table.dataset.etaLate;
    else if (left < 120) one.textContent = table.dataset.etaSeconds.replace("#", Math.max(5, Math.round(left / 5) * 5));
    else one.textContent = table.dataset.etaMinutes.replace("#", Math.round(left / 60));
  }
}

// ---------------------------------------------------------------- keys

function rows() {
  return [...lines.querySelectorAll("tr[data-uid]")];
}

function select(row) {
  selected?.removeAttribute("aria-selected");
  selected = row;
  if (!row) return;
  row.setAttribute("aria-selected", "true");
  row.querySelector("a").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function move(step) {
  keyed = Date.now();
  const all = rows();
  const at = all.indexOf(selected);
  const next = at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step));
  if (all[next]) select(all[next]);
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  Enter: () => selected?.querySelector("a").click(),
  a: () => answer(selected, "ACCEPT"),
  r: () => answer(selected, "REJECT"),
  "/": () => document.querySelector("[data-search]")?.focus(),
  "?": () => document.querySelector("[data-keys]").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input, select, textarea, button, dialog")) return;
  if (event.key === "Enter" && event.target.closest("a")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

for (const field of document.querySelectorAll(".filters select, .filters input[type=checkbox]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
// An address without what is not asked for can be kept and given to somebody.
document.querySelector(".filters")?.addEventListener("submit", (event) => {
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll(".filters [disabled]")) field.disabled = false;
});

tell(document);
setInterval(() => tell(document), 5000);
setInterval(() => {
  if (waiting.size && !busy()) letIn();
}, 400);
listen();
