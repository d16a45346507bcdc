// Sessions that are over: how they ended, and what they cost.
import { call, Refusal, service } from "./api.js";
import { byId, element, icon, Kept, mark, offer, put } from "./elements.js";
import { ago, ending, lasting, short } from "./words.js";

const PAGE = 25;
/** The most that the API lists at once. */
const MOST = 1000;

export class Past {
  #state = null;
  #rows;
  #shown = PAGE;
  #visible = false;
  #running = "";

  /** logs: called with agent and session id when a session's logs are wanted. */
  constructor(logs) {
    this.#rows = new Kept(byId("past-rows"), (each) => each.sessionId, () => row(logs));
    byId("past-agent").addEventListener("change", () => {
      this.#shown = PAGE;
      void this.#fetch();
    });
    byId("more-past").addEventListener("click", () => {
      this.#shown += PAGE;
      void this.#fetch();
    });
  }

  /** What agents there are, and which sessions run. */
  know(state) {
    this.#state = state;
    const agents = state.agents.map(({ name }) => [name, name]);
    if (agents.length !== 1) agents.unshift(["", "All agents"]);
    offer(byId("past-agent"), agents);
    const running = state.sessions.map((each) => each.sessionId).join();
    if (running !== this.#running && this.#visible) void this.#fetch();
    this.#running = running;
  }

  visible(visible) {
    this.#visible = visible;
    if (visible) void this.#fetch();
  }

  async #fetch() {
    if (this.#state === null) return;
    const { organization, agents, sessions } = this.#state;
    const chosen = byId("past-agent").value;
    const names = chosen ? [chosen] : agents.map((each) => each.name);
    const limit = Math.min(this.#shown + sessions.length, MOST);
    try {
      const found = await Promise.all(
        names.map(async (agent) => {
          const path = `${service(organization, agent)}/sessions?limit=${limit}`;
          const told = await call("GET", path);
          return { count: told.total_count, of: told.sessions.map((each) => ({ ...each, agent })) };
        }),
      );
      const all = found.flatMap((each) => each.of).filter((each) => each.endedAt !== null);
      all.sort((a, b) => Date.parse(b.endedAt) - Date.parse(a.endedAt));
      this.#rows.show(all.slice(0, this.#shown));
      byId("past").hidden = all.length === 0;
      byId("no-past").hidden = all.length > 0;
      const running = sessions.filter((each) => names.includes(each.agent)).length;
      const count = found.reduce((sum, each) => sum + each.count, 0) - running;
      byId("more-past").hidden = count <= this.#shown || limit === MOST;
    } catch (error) {
      // The state, which is asked for all the time, tells of a control plane that is silent.
      if (!(error instanceof Refusal)) return;
      throw error;
    }
  }
}

function row(logs) {
  const id = element("span", { class: "id" });
  const under = element("span", { class: "under" });
  const end = element("span", { class: "pill" });
  const reason = element("span", { class: "under reason" });
  const when = element("time");
  const billed = element("span");
  const took = element("span");
  const button = element("button", { class: "quiet small", type: "button" }, icon("logs"), "Logs");
  const root = element(
    "tr",
    { role: "row" },
    cell({}, id, under),
    cell({}, end, reason),
    cell({ "data-name": "When" }, when),
    cell({ "data-name": "Billed" }, billed),
    cell({ "data-name": "Start took" }, took),
    cell({ class: "whole" }, element("div", { class: "does" }, button)),
  );
  let now;
  button.addEventListener("click", () => logs(now.agent, now.sessionId));

  function update(session) {
    now = session;
    const [words, tone] = ending(session.endState);
    put(id, short(session.sessionId));
    mark(id, "title", session.sessionId);
    put(under, `${session.agent} · ${session.transport}`);
    put(end, words);
    mark(end, "data-tone", tone);
    put(reason, session.endReason ?? "");
    put(when, ago(session.endedAt));
    mark(when, "datetime", session.endedAt);
    mark(when, "title", new Date(session.endedAt).toLocaleString());
    put(billed, lasting(session.billableSeconds));
    const ms = session.botStartSeconds === null ? null : Math.round(session.botStartSeconds * 1000);
    put(took, ms === null ? "–" : `${ms} ms, ${session.coldStart ? "cold" : "warm"}`);
    mark(button, "aria-label", `Logs of session ${short(session.sessionId)}`);
  }

  return { root, update };
}

function cell(attributes, ...children) {
  return element("td", { role: "cell", ...attributes }, ...children);
}
