// What every page does: times in the zone of whoever looks, forms as JSON to the API, confirmations, messages.
"use strict";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const MOMENT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
});

// ---- Times

function showTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(each.dateTime);
    if (isNaN(moment)) continue;
    each.textContent = MOMENT.format(moment);
    each.title = `${moment.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }
  for (const each of root.querySelectorAll("[data-zone-name]")) each.textContent = ZONE.replaceAll("_", " ");
}

// ---- What a form says, as JSON

const READERS = {
  string: (field) => field.value.trim() || null,
  number: (field) => (field.value.trim() === "" ? null : Number(field.value)),
  boolean: (field) => field.checked,
  strings: (field) => (field.value ? field.value.split(",").map((each) => each.trim()).filter(Boolean) : []),
  upload: (field) => field.dataset.uploadId ?? null,
};

function guessType(field) {
  if (field.dataset.type) return field.dataset.type;
  if (field.type === "checkbox") return "boolean";
  return field.type === "number" ? "number" : "string";
}

// `request.changes.0.value` is a place in nested objects and lists. What is empty is left out, and gets its default.
function readForm(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
    const value = READERS[guessType(field)](field);
    if (value === null) continue;
    const keys = field.name.split(".");
    let place = body;
    keys.slice(0, -1).forEach((key, k) => {
      place = place[key] ??= /^\d+$/.test(keys[k + 1]) ? [] : {};
    });
    place[keys.at(-1)] = value;
  }
  return body;
}

// ---- The API

class ApiError extends Error {
  constructor(status, error) {
    super(error?.message ?? `the service answered ${status}`);
    this.status = status;
    this.details = error?.details ?? [];
    this.requestId = error?.request_id;
  }
}

async function askApi(method, path, body, headers = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, credentials: "same-origin" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, { message: "the service cannot be reached; check the connection, and try again" });
  }
  const text = await response.text();
  let answer = null;
  try { answer = text ? JSON.parse(text) : null; } catch { /* a proxy's page */ }
  if (response.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  if (!response.ok) throw new ApiError(response.status, answer?.error);
  return answer;
}

// The raw file, with progress, which fetch does not tell.
function sendFile(address, file, bar) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", address);
    sending.setRequestHeader("Content-Type", "text/csv");
    sending.setRequestHeader("Accept", "application/json");
    sending.upload.onprogress = (event) => {
      if (bar && event.lengthComputable) bar.value = event.loaded / event.total;
    };
    sending.onerror = () => reject(new ApiError(0, { message: "the file could not be sent; check the connection, and try again" }));
    sending.onload = () => {
      let answer = null;
      try { answer = JSON.parse(sending.responseText); } catch { /* a proxy's page */ }
      if (sending.status < 300) resolve(answer);
      else reject(new ApiError(sending.status, answer?.error));
    };
    sending.send(file);
  });
}

async function sendUploads(form) {
  for (const field of form.querySelectorAll("input[type=file][data-upload]")) {
    const [file] = field.files;
    if (!file) continue;
    const bar = form.querySelector("progress[data-upload-progress]");
    if (bar) { bar.hidden = false; bar.value = 0; }
    try {
      const answer = await sendFile(field.dataset.upload, file, bar);
      field.dataset.uploadId = answer.upload_id;
    } finally {
      if (bar) bar.hidden = true;
    }
  }
}

// ---- Forms that ask the API: <form data-api="POST /api/v1/…" data-then="/queries/{id}">

async function submitToApi(form, submitter) {
  if (form.dataset.isBusy) return;
  const wanted = form.dataset.confirmTitle;
  if (wanted && !(await confirmAct(form.dataset))) return;
  clearError(form);
  form.dataset.isBusy = "yes";
  submitter?.setAttribute("aria-busy", "true");
  try {
    await sendUploads(form);
    const [method, path] = form.dataset.api.split(" ");
    const headers = form.dataset.idempotent !== undefined ? { "Idempotency-Key": (form.dataset.key ??= makeKey()) } : {};
    const body = readForm(form);
    const answer = await askApi(method, fillIn(path, body), method === "DELETE" ? undefined : body, headers);
    delete form.dataset.key;
    showAnswer(form, answer ?? {});
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status >= 400 && error.status < 500) delete form.dataset.key;
    showError(form, error);
  } finally {
    delete form.dataset.isBusy;
    submitter?.removeAttribute("aria-busy");
  }
}

function makeKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A whole address that the service answered is taken as it is; what stands within one is a part of its path.
function fillIn(address, answer) {
  const whole = /^\{(\w+)\}$/.exec(address);
  if (whole) return answer[whole[1]];
  return address.replace(/\{(\w+)\}/g, (_, key) => encodeURIComponent(answer[key] ?? ""));
}

function showAnswer(form, answer) {
  const then = form.dataset.then;
  if (then === "reload") return location.reload();
  if (then) return location.assign(fillIn(then, answer));
  const shown = form.querySelector("[data-answered]");
  if (!shown) return;
  for (const each of shown.querySelectorAll("[data-answer]")) each.textContent = answer[each.dataset.answer] ?? "";
  shown.hidden = false;
  (shown.querySelector("[tabindex], button, a") ?? shown).focus?.();
}

function clearError(form) {
  form.querySelector("[data-error]")?.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

function showError(form, error) {
  const box = document.createElement("div");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  box.dataset.error = "";
  box.id = `error-${makeKey().slice(0, 6)}`;
  const text = document.createElement("p");
  const told = error.details.map(({ message }) => sentence(message));
  text.textContent = told.length ? told.join(" ") : sentence(error.message);
  box.append(text);
  if (error.requestId && error.status >= 500) {
    const id = document.createElement("p");
    id.className = "muted small";
    id.textContent = `Request ${error.requestId}`;
    box.append(id);
  }
  const actions = form.querySelector(".actions");
  actions ? actions.before(box) : form.append(box);
  let isFirst = true;
  for (const { where } of error.details) {
    const keys = where.replace(/\[(\d+)\]/g, ".$1").split(".").slice(1);
    const names = keys.map((_, k) => keys.slice(k).join("."));  // `body.backtest.request.since` is `request.since`
    const field = names.map((name) => form.elements.namedItem(name)).find((each) => each instanceof HTMLElement);
    if (!field) continue;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", box.id);
    if (isFirst) field.focus();
    isFirst = false;
  }
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

// ---- Confirmation, messages, dialogs

function confirmAct({ confirmTitle, confirmText, confirmYes }) {
  const dialog = document.getElementById("confirmation");
  dialog.querySelector("h2").textContent = confirmTitle;
  dialog.querySelector("[data-confirmation-text]").textContent = confirmText ?? "";
  dialog.querySelector("[data-confirmation-yes]").textContent = confirmYes ?? "Yes";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function say(text) {
  const toast = document.querySelector("[data-toast]");
  toast.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { toast.textContent = ""; }, 5000);
}

async function copyText(button) {
  const source = document.querySelector(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    say("Copied.");
  } catch {
    getSelection().selectAllChildren(source);
    say("Press Ctrl+C to copy what is selected.");
  }
}

// ---- What changes while one looks: <section data-events="/api/v1/queries/…/events" hx-get="…" hx-trigger="changed">

const POLL_S = 3;
const events = new Map();

function follow(root) {
  for (const [element, source] of events) {
    if (element.isConnected) continue;
    source.stop();
    events.delete(element);
  }
  for (const element of root.querySelectorAll("[data-events]")) {
    if (!events.has(element)) events.set(element, followOne(element));
  }
}

function followOne(element) {
  const renew = () => htmx.trigger(element, "changed");
  let timer = null;
  const source = new EventSource(element.dataset.events);
  for (const name of (element.dataset.eventNames ?? "message").split(" ")) source.addEventListener(name, renew);
  source.onopen = () => { clearInterval(timer); timer = null; };
  source.onerror = () => { timer ??= setInterval(renew, 1000 * POLL_S); };
  return { stop: () => { source.close(); clearInterval(timer); } };
}

// ---- One listener for each event of a page, whatever is swapped into it

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  submitToApi(form, event.submitter);
});

document.addEventListener("change", (event) => {
  const field = event.target;
  field.closest("form[data-submits-itself]")?.requestSubmit();
  if (field.matches("input[type=file][data-upload]")) delete field.dataset.uploadId;
  if (field.matches("[data-theme-choice]")) {
    try { localStorage.setItem("theme", field.value); } catch { /* a browser that keeps nothing */ }
    if (field.value) document.documentElement.dataset.theme = field.value;
    else delete document.documentElement.dataset.theme;
    document.dispatchEvent(new Event("themechange"));
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-opens], [data-closes], [data-copy], [data-adds], [data-removes]");
  if (!button) return;
  if (button.dataset.opens) document.getElementById(button.dataset.opens).showModal();
  if (button.dataset.closes !== undefined) button.closest("dialog").close();
  if (button.dataset.copy) copyText(button);
  if (button.dataset.adds) addRow(button);
  if (button.dataset.removes !== undefined) removeRow(button);
});

// Rows that a person adds to a form: <template id="row"> with `__` where the number of the row stands.
function addRow(button) {
  const template = document.getElementById(button.dataset.adds);
  const list = button.closest("form").querySelector("[data-rows]");
  const number = String(list.children.length);
  const row = template.content.firstElementChild.cloneNode(true);
  for (const each of [row, ...row.querySelectorAll("*")]) {
    for (const { name, value } of [...each.attributes]) each.setAttribute(name, value.replaceAll("__", number));
  }
  list.append(row);
  row.querySelector("input, select")?.focus();
}

function removeRow(button) {
  const list = button.closest("[data-rows]");
  button.closest("[data-row]").remove();
  [...list.children].forEach((row, k) => {
    for (const field of row.querySelectorAll("[name]")) field.name = field.name.replace(/\.\d+\./, `.${k}.`);
  });
}

document.addEventListener("htmx:load", (event) => { showTimes(event.target); follow(event.target.parentElement ?? document); });
document.addEventListener("htmx:responseError", (event) => {
  let message = "this part could not be loaded";
  try { message = JSON.parse(event.detail.xhr.responseText).error.message; } catch { /* no refusal of ours */ }
  showPartError(event.detail.target, message);
  if ([401, 403, 404].includes(event.detail.xhr.status)) events.get(event.detail.elt)?.stop();  // it comes back no more
});
document.addEventListener("htmx:sendError", (event) => showPartError(event.detail.target, "the service cannot be reached; reload the page to try again"));

function showPartError(target, message) {
  const box = document.createElement("div");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  const text = document.createElement("p");
  text.textContent = sentence(message);
  box.append(text);
  target.replaceChildren(box);
}

{
  const choice = document.querySelector("[data-theme-choice]");
  if (choice) choice.value = document.documentElement.dataset.theme ?? "";
}
showTimes(document);
follow(document);
