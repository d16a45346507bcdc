// The dashboard: signs in, asks what runs every two seconds, and joins its parts.
import { Agents } from "./agents.js";
import { call, Refusal, service, SIGNED_OUT, Silence, start } from "./api.js";
import { byId, put } from "./elements.js";
import { Logs } from "./logs.js";
import { Past } from "./past.js";
import { Sessions } from "./sessions.js";
import { Talk } from "./talk.js";
import { count, lasting, short } from "./words.js";

const EVERY_MS = 2000;
const VIEWS = ["live", "logs", "past"];
const VISIT = "/dashboard/session";

let state = null;
let timer = 0;

const talk = new Talk(startAndTalk);
const logs = new Logs();
const past = new Past(showLogs);
const agents = new Agents(startAndTalk);
const sessions = new Sessions({
  talk: ({ agent, sessionId }) => talk.open(agent, sessionId),
  logs: ({ agent, sessionId }) => showLogs(agent, sessionId),
  stop: (session) => void stop(session),
});

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  void signIn();
});
byId("sign-out").addEventListener("click", () => void signOut());
byId("notice-close").addEventListener("click", () => (byId("notice").hidden = true));
byId("copy-curl").addEventListener("click", () => void copy());
document.addEventListener(SIGNED_OUT, () => leave("Your visit is over. Sign in again."));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && state !== null) void refresh();
});
window.addEventListener("hashchange", showView);

void open();

/** Ask whether this browser is signed in, and show what is to be shown. */
async function open() {
  try {
    const { signedIn } = await call("GET", VISIT);
    if (signedIn) await enter();
    else leave("");
  } catch (error) {
    leave(error.message);
  }
}

async function signIn() {
  const field = byId("key");
  const button = byId("sign-in").querySelector("button");
  const key = field.value.trim();
  button.disabled = true;
  put(byId("key-problem"), "");
  try {
    await call("POST", VISIT, { key });
    field.value = "";
    await enter();
    byId("live-title").focus();
  } catch (error) {
    put(byId("key-problem"), whyNot(error, key));
    field.select();
  } finally {
    button.disabled = false;
  }
}

function whyNot(error, key) {
  if (!(error instanceof Refusal)) return error.message;
  if (error.status === 403) return "That is a public key. Signing in takes a private one (pcc_pat_…).";
  if (error.status === 429) return "Too many wrong keys. Wait a few seconds, then try again.";
  if (error.status !== 401) return error.message;
  const hint = key.startsWith("pcc_pat_") ? "" : " A private key begins with pcc_pat_.";
  return `This control plane does not know that key.${hint}`;
}

async function signOut() {
  talk.leave();
  try {
    await call("DELETE", VISIT);
  } catch (error) {
    notify(error.message);
    return;
  }
  leave("");
}

async function enter() {
  await refresh();
  if (state === null) {
    clearTimeout(timer);
    throw new Silence("The control plane does not answer.");
  }
  byId("door").hidden = true;
  byId("app").hidden = false;
  talk.resume(state.sessions);
  showView();
}

/** Show the door and forget what was shown. */
function leave(words) {
  clearTimeout(timer);
  state = null;
  logs.visible(false);
  past.visible(false);
  talk.leave();
  byId("app").hidden = true;
  byId("door").hidden = false;
  put(byId("key-problem"), words);
  byId("key").focus();
}

/** Ask what runs, show it, and ask again after a while. */
async function refresh() {
  clearTimeout(timer);
  try {
    state = await call("GET", "/dashboard/state");
    delete document.body.dataset.lost;
    show();
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return;
    document.body.dataset.lost = "";
    const words = error instanceof Silence ? "No answer, trying again…" : error.message;
    put(byId("connection"), words);
  }
  // While nobody looks nothing is asked; `visibilitychange` goes on with it.
  timer = setTimeout(() => void (document.hidden || refresh()), EVERY_MS);
}

function show() {
  const { totals } = state;
  const live = state.sessions.length;
  put(byId("organization"), state.organization);
  put(byId("connection"), state.readOnly ? "The disk is full: nothing new can be started" : "Up to date");
  put(byId("figure-live"), count(live));
  put(byId("figure-warm"), count(state.agents.reduce((sum, { pods }) => sum + pods.warm, 0)));
  put(byId("figure-sessions"), count(totals.sessions));
  put(byId("figure-billed"), lasting(totals.billableSeconds));
  document.title = live > 0 ? `(${live}) Mouthpiece – control plane` : "Mouthpiece – control plane";
  agents.show(state);
  talk.show(state.sessions);
  sessions.show(state.sessions.toReversed(), state.agents, talk.sessionId);
  logs.know(state);
  past.know(state);
}

function showView() {
  const wanted = location.hash.slice(1);
  if (wanted && !VIEWS.includes(wanted)) return;
  const view = wanted || "live";
  for (const each of VIEWS) byId(`view-${each}`).hidden = each !== view;
  for (const link of document.querySelectorAll(".side nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  logs.visible(view === "logs" && state !== null);
  past.visible(view === "past" && state !== null);
}

function showLogs(agent, session) {
  location.hash = "logs";
  logs.only(agent, session);
}

async function startAndTalk(agent) {
  try {
    talk.open(agent, await start(agent));
    await refresh();
  } catch (error) {
    notify(`${agent} could not be started: ${error.message}`);
  }
}

async function stop({ agent, sessionId }) {
  const dialog = byId("stop");
  put(byId("stop-words"), `Session ${short(sessionId)} of ${agent}: whoever talks in it is cut off.`);
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  if (dialog.returnValue !== "stop") return;
  try {
    await call("DELETE", `${service(state.organization, agent)}/sessions/${sessionId}`);
  } catch (error) {
    notify(error.message);
  }
  await refresh();
}

async function copy() {
  try {
    await navigator.clipboard.writeText(byId("curl").textContent);
    notify("Copied.");
  } catch {
    // No clipboard without https, or without leave: what is selected can be copied by hand.
    getSelection().selectAllChildren(byId("curl"));
  }
}

let noticed = 0;

function notify(words) {
  put(byId("notice-words"), words);
  byId("notice").hidden = false;
  clearTimeout(noticed);
  noticed = setTimeout(() => (byId("notice").hidden = true), 8000);
}
