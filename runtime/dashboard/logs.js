// The logs: lines that follow, of one agent or all, of one session or all.
import { call, Refusal, service } from "./api.js";
import { byId, element, offer, put } from "./elements.js";
import { count, short } from "./words.js";

const EVERY_MS = 1000;
const AT_ONCE = 300;
const KEPT = 2000;
const LEVELS = { WARNING: "WARN", CRITICAL: "CRIT", SUCCESS: "GOOD" };
/** Closer to the end than this is at the end. */
const NEAR_PX = 40;

/** Pods hand their lines on one after the other. */
const byTime = (a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp) || a.id - b.id;

export class Logs {
  #state = null;
  #timer = 0;
  #round = 0;
  #after = new Map();
  #paused = false;
  #session = "";
  #visible = false;
  #list = byId("lines");

  constructor() {
    byId("log-agent").addEventListener("change", () => this.#anew());
    byId("log-session").addEventListener("change", () => {
      this.#session = byId("log-session").value;
      this.#anew();
    });
    let typed = 0;
    byId("log-query").addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(() => this.#anew(), 300);
    });
    byId("log-pause").addEventListener("click", () => this.#pause());
    byId("newest").addEventListener("click", () => this.#toEnd());
    this.#list.addEventListener("scroll", () => {
      byId("newest").hidden = this.#atEnd();
    });
  }

  /** What agents and sessions there are. */
  know(state) {
    const first = this.#state === null;
    this.#state = state;
    const agents = state.agents.map(({ name }) => [name, name]);
    if (agents.length !== 1) agents.unshift(["", "All agents"]);
    offer(byId("log-agent"), agents);
    const ids = new Set(state.sessions.map((each) => each.sessionId));
    if (this.#session) ids.add(this.#session);
    const sessions = [...ids].map((id) => [id, `Session ${short(id)}`]);
    offer(byId("log-session"), [["", "All sessions"], ...sessions]);
    byId("log-session").value = this.#session;
    if (first && this.#visible) void this.#follow();
  }

  /** Show the lines of one session. */
  only(agent, session) {
    this.#session = session;
    if (this.#state !== null) this.know(this.#state);
    if ([...byId("log-agent").options].some((each) => each.value === agent)) {
      byId("log-agent").value = agent;
    }
    byId("log-query").value = "";
    if (this.#paused) this.#pause();
    this.#anew();
  }

  visible(visible) {
    this.#visible = visible;
    clearTimeout(this.#timer);
    if (visible) void this.#follow();
  }

  #anew() {
    this.#after.clear();
    this.#list.replaceChildren();
    byId("newest").hidden = true;
    byId("no-lines").hidden = true;
    void this.#follow();
  }

  #pause() {
    this.#paused = !this.#paused;
    byId("log-pause").setAttribute("aria-pressed", String(this.#paused));
    put(byId("log-pause").lastChild, this.#paused ? "Resume" : "Pause");
    this.#tell();
    void this.#follow();
  }

  /** Fetch what is new, now and again, as long as the lines are looked at. */
  async #follow() {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    if (!this.#visible || this.#state === null) return;
    const first = this.#after.size === 0;
    if (!document.hidden && (first || !this.#paused)) {
      try {
        const agents = byId("log-agent").value
          ? [byId("log-agent").value]
          : this.#state.agents.map((each) => each.name);
        const found = await Promise.all(agents.map((agent) => this.#fetch(agent)));
        if (round !== this.#round) return;
        found.forEach(({ agent, newest }) => this.#after.set(agent, newest));
        this.#add(found);
        this.#tell();
      } catch (error) {
        if (round !== this.#round) return;
        const refused = error instanceof Refusal && error.status !== 401;
        put(byId("log-state"), refused ? error.message : "No answer, trying again…");
      }
    }
    this.#timer = setTimeout(() => void this.#follow(), EVERY_MS);
  }

  async #fetch(agent) {
    const wanted = new URLSearchParams({ limit: AT_ONCE });
    const after = this.#after.get(agent);
    const query = byId("log-query").value.trim();
    if (after !== undefined) wanted.set("after", after);
    if (this.#session) wanted.set("sessionId", this.#session);
    if (query) wanted.set("query", query);
    const path = service(this.#state.organization, agent);
    const { logs, total } = await call("GET", `${path}/logs?${wanted}`);
    const left = after === undefined ? 0 : total.value - logs.length;
    return { agent, lines: logs, left, newest: logs[0]?.id ?? after ?? 0 };
  }

  #add(found) {
    const lines = found.flatMap((each) => each.lines).sort(byTime);
    const left = found.reduce((sum, each) => sum + each.left, 0);
    const atEnd = this.#atEnd();
    const made = lines.map((each) => this.#line(each));
    if (left > 0) {
      const words = `${count(left)} lines came faster than they could be shown here.`;
      made.unshift(element("li", { class: "gap" }, words));
    }
    if (made.length > 0) {
      this.#list.append(...made);
      while (this.#list.children.length > KEPT) this.#list.firstChild.remove();
      if (atEnd) this.#toEnd();
      else byId("newest").hidden = false;
    }
    byId("no-lines").hidden = this.#list.children.length > 0;
  }

  #line({ timestamp, level, log, sessionId }) {
    const only = () => {
      this.#session = sessionId;
      this.know(this.#state);
      this.#anew();
    };
    const name = sessionId ? `Only session ${short(sessionId)}` : null;
    const at = new Date(timestamp);
    const time = `${at.toLocaleTimeString("en-GB")}.${String(at.getMilliseconds()).padStart(3, "0")}`;
    return element(
      "li",
      { "data-level": level },
      element("time", { datetime: timestamp, title: at.toLocaleString() }, time),
      element("span", { class: "level" }, LEVELS[level] ?? level.slice(0, 5)),
      sessionId
        ? element(
            "button",
            { class: "who", type: "button", title: name, tabindex: "-1", on: { click: only } },
            short(sessionId),
          )
        : element("span", { class: "soft" }, "–"),
      element("span", { class: "text" }, log.trimEnd()),
    );
  }

  #tell() {
    const shown = this.#list.querySelectorAll("[data-level]").length;
    const lines = shown === 1 ? "1 line" : `${count(shown)} lines`;
    put(byId("log-state"), this.#paused ? `Paused · ${lines}` : `Following · ${lines}`);
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  #toEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
    byId("newest").hidden = true;
  }
}
