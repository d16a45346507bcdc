// The conversation beside the dashboard: the page that users see, in a frame.
import { pod } from "./api.js";
import { byId, element, put } from "./elements.js";
import { clock, short } from "./words.js";

const KEY = "mouthpiece.talk";
/** What the page in the frame is given to say goodbye. */
const GOODBYE_MS = 1500;

export class Talk {
  #session = null;
  #frame = null;
  #over = false;
  #dock = byId("talk");
  #size = byId("talk-size");

  /** again: called with the agent's name when another session is wanted. */
  constructor(again) {
    byId("talk-leave").addEventListener("click", () => this.leave());
    byId("talk-again").addEventListener("click", () => void again(this.#session.agent));
    this.#size.addEventListener("click", () => this.#resize());
    matchMedia("(max-width: 1099px)").addEventListener("change", () => this.#shape(false));
  }

  /** The id of the session that this page is in, or null. */
  get sessionId() {
    return this.#over ? null : (this.#session?.id ?? null);
  }

  /** Show a session and connect with it. */
  open(agent, id) {
    this.#hangUp();
    this.#session = { agent, id };
    this.#over = false;
    sessionStorage.setItem(KEY, JSON.stringify(this.#session));
    const frame = element("iframe", {
      src: `/client/?api=${encodeURIComponent(pod(agent, id))}`,
      title: `Conversation with ${agent}`,
      allow: "microphone; autoplay; fullscreen",
    });
    frame.addEventListener("load", () => connect(frame));
    this.#frame = frame;
    byId("talk-frame").append(frame);
    byId("talk-over").hidden = true;
    put(byId("talk-title"), agent);
    put(byId("talk-note"), short(id));
    this.#dock.hidden = false;
    byId("app").classList.add("talking");
    this.#shape(false);
    byId("talk-title").focus();
  }

  /** Goes on with the conversation that a reload of this page has cut, if its session runs. */
  resume(sessions) {
    const saved = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    if (saved !== null && sessions.some((each) => each.sessionId === saved.id)) {
      this.open(saved.agent, saved.id);
    }
  }

  /** Tell how the session stands. */
  show(sessions) {
    if (this.#session === null || this.#over) return;
    const live = sessions.find((each) => each.sessionId === this.#session.id);
    if (live !== undefined && live.state !== "ending") {
      put(byId("talk-note"), `${short(live.sessionId)} · ${clock(live.ageSeconds)}`);
      return;
    }
    this.#over = true;
    sessionStorage.removeItem(KEY);
    put(byId("talk-over-words"), "This session has ended.");
    byId("talk-over").hidden = false;
    put(byId("talk-note"), short(this.#session.id));
  }

  leave() {
    this.#hangUp();
    this.#session = null;
    sessionStorage.removeItem(KEY);
    const focused = this.#dock.contains(document.activeElement);
    this.#dock.hidden = true;
    byId("app").classList.remove("talking");
    if (focused) byId("live-title").focus();
  }

  #hangUp() {
    const frame = this.#frame;
    this.#frame = null;
    if (frame === null) return;
    const page = frame.contentDocument;
    if (page?.body?.dataset.phase !== "idle") page?.getElementById("connect")?.click();
    frame.hidden = true;
    setTimeout(() => frame.remove(), GOODBYE_MS);
  }

  /** Where there is room: wide or not; where there is little: out of the way or not. */
  #resize() {
    this.#shape(this.#size.getAttribute("aria-pressed") !== "true");
  }

  #shape(changed) {
    const little = matchMedia("(max-width: 1099px)").matches;
    this.#dock.classList.toggle("wide", changed && !little);
    this.#dock.classList.toggle("low", changed && little);
    this.#size.setAttribute("aria-pressed", String(changed));
    put(byId("talk-size-name"), little ? (changed ? "Show" : "Hide") : changed ? "Shrink" : "Enlarge");
  }
}

/** Presses Connect in the page, unless it goes on with a conversation by itself. */
function connect(frame) {
  const page = frame.contentDocument;
  if (page?.body?.dataset.phase === "idle") page.getElementById("connect").click();
}
