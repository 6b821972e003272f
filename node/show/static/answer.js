// Accepting and rejecting from the worklist, by keys: the study that is chosen, under the name of who is logged in.
// What was said can be taken back for ten seconds, in the line at the foot of the page.
const table = document.querySelector("table[data-events]");
const dialog = document.querySelector("[data-answer]");
const form = dialog.querySelector("form");
const bar = document.querySelector("[data-said]");
const words = bar.querySelector("[data-words]");
const undo = bar.querySelector("[data-undo]");
const STANDING = "COMPLETED";
let asked = null; // {uid, decision} of the dialog
let said = null; // {uid, id, until} of what can be taken back

/** `decision` is ACCEPT or REJECT; `row` of the table, or null where none is chosen. */
export async function answer(row, decision) {
  if (!row) return tell(bar.dataset.choose);
  if (!table.dataset.csrf) return tell(bar.dataset.login, { href: bar.dataset.loginAddress });
  const uid = row.dataset.uid;
  const study = await ask(`/api/v1/studies/${uid}`);
  if (!study) return;
  const results = study.jobs.filter((job) => job.state === STANDING && !job.superseded_at && !job.withdrawn_at);
  if (!results.length) return tell(bar.dataset.nothing);
  if (decision === "ACCEPT" && results.length === 1) return say(uid, results[0], { decision });
  show(row, results, decision);
}

/** Which result is meant, and of a rejection why. */
function show(row, results, decision) {
  asked = { uid: row.dataset.uid, decision, results };
  const who = [row.querySelector(".patient a"), row.querySelector(".accession")].map((one) => one.textContent.trim());
  dialog.querySelector("[data-of]").textContent = who.join(", ");
  dialog.querySelector("[data-title]").textContent = dialog.dataset[decision.toLowerCase()];
  dialog.querySelector("[data-send]").textContent = dialog.dataset[decision.toLowerCase()];
  const choice = form.elements.job;
  choice.replaceChildren(...results.map((job) => new Option(`${job.model} ${bar.dataset[key(job.outcome)] ?? ""}`, job.id)));
  for (const one of dialog.querySelectorAll("[data-rejection]")) one.hidden = decision !== "REJECT";
  form.elements.reason.required = decision === "REJECT";
  form.elements.reason.value = "";
  bar.hidden = true;
  dialog.showModal();
  (decision === "REJECT" ? form.elements.reason : choice).focus();
}

function key(outcome) {
  return `outcome${outcome.replace(/\W/g, "")}`.toLowerCase();
}

form.addEventListener("submit", (event) => {
  if (event.submitter?.value !== "send") return;
  const { uid, decision, results } = asked;
  const job = results.find((one) => String(one.id) === form.elements.job.value);
  const rejection = { reason: form.elements.reason.value, title: form.elements.title.value };
  say(uid, job, { decision, ...(decision === "REJECT" ? rejection : {}) });
});

async function say(uid, job, body) {
  const made = await ask(`/api/v1/studies/${uid}/jobs/${job.id}/assessments`, body);
  if (!made) return;
  tell(`${bar.dataset[body.decision.toLowerCase()]}: ${job.model}`);
  said = { uid, id: made.id, until: performance.now() + Date.parse(made.undo_until) - Date.parse(made.at) };
  undo.hidden = false;
  countDown(said);
}

function countDown(one) {
  if (said !== one) return;
  const left = Math.ceil((one.until - performance.now()) / 1000);
  if (left <= 0) {
    letGo();
    bar.hidden = true;
    said = null;
    return;
  }
  undo.querySelector("[data-seconds]").textContent = `(${left})`;
  setTimeout(() => countDown(one), 250);
}

undo.addEventListener("click", async () => {
  const one = said;
  if (one && (await ask(`/api/v1/studies/${one.uid}/assessments/${one.id}/undo`, {}))) tell(bar.dataset.undone);
});

/** A button that goes leaves the keys to the study that is chosen. */
function letGo() {
  if (document.activeElement === undo) table.querySelector("[aria-selected] a")?.focus({ preventScroll: true });
}

function tell(text, link = null) {
  said = null;
  const shown = document.createElement(link ? "a" : "span");
  shown.textContent = text;
  if (link) shown.href = link.href;
  words.replaceChildren(shown);
  letGo();
  undo.hidden = true;
  bar.hidden = false;
}

/** The answer's document; null where it was refused, which the line then says with its code. */
async function ask(address, body = null) {
  const given = body && {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": table.dataset.csrf },
    body: JSON.stringify(body),
  };
  try {
    const got = await fetch(address, { cache: "no-store", ...given });
    const told = await got.json();
    if (got.ok) return told;
    tell(`${bar.dataset.failed} ${told.code ?? got.status}`);
  } catch {
    tell(bar.dataset.failed);
  }
  return null;
}
