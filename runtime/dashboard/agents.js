// The agents: state, pods, and the button that starts a session.
import { byId, element, icon, Kept, mark, put } from "./elements.js";
import { count, lasting } from "./words.js";

const STATES = { ready: ["Ready", "live"], deploying: ["Loading", "warn"], failed: ["Failed", "bad"] };
const SEGMENTS = ["claimed", "draining", "starting", "warm", "free"];

export class Agents {
  #rows;

  /** start: called with the name of the agent whose button is pressed; a promise. */
  constructor(start) {
    this.#rows = new Kept(byId("agents"), (agent) => agent.name, () => row(start));
  }

  show({ agents, notDeployed }) {
    this.#rows.show(agents);
    const waiting = byId("not-deployed");
    waiting.hidden = notDeployed.length === 0;
    const names = notDeployed.join(", ");
    put(waiting, `Registered and not deployed: ${names}. “pipecat cloud deploy” starts one.`);
  }
}

function row(start) {
  const name = element("span");
  const state = element("span", { class: "pill" });
  const about = element("p", { class: "soft small" });
  const segments = SEGMENTS.map((each) => element("span", { class: each }));
  const meter = element("div", { class: "meter", role: "img" }, ...segments);
  const pods = element("p", { class: "soft small" });
  const came = element("p");
  const billed = element("p", { class: "soft small" });
  const button = element("button", { class: "main", type: "button" }, icon("talk"), "Start and talk");
  const trouble = element("p", { class: "trouble", hidden: "" });
  const root = element(
    "li",
    {},
    element("div", {}, element("div", { class: "name" }, name, state), about),
    element("div", { class: "pods" }, meter, pods),
    element("div", { class: "came" }, came, billed),
    button,
    trouble,
  );
  let now;
  let busy = false;

  button.addEventListener("click", async () => {
    busy = true;
    update(now);
    await start(now.name);
    busy = false;
    update(now);
  });

  function update(agent) {
    now = agent;
    const [words, tone] = STATES[agent.state];
    const { claimed, draining, starting, warm } = agent.pods;
    const taken = claimed + draining;
    put(name, agent.name);
    put(state, words);
    mark(state, "data-tone", tone);
    put(about, `${agent.profile} · keeps ${agent.minAgents} warm`);
    const free = Math.max(0, agent.maxAgents - taken - starting - warm);
    [claimed, draining, starting, warm, free].forEach((pods, index) => {
      segments[index].style.flexGrow = String(pods);
      segments[index].hidden = pods === 0;
    });
    const told = [`${taken} of ${agent.maxAgents} in use`, `${warm} warm`];
    if (starting) told.push(`${starting} starting`);
    put(pods, told.join(" · "));
    mark(meter, "aria-label", `Pods: ${told.join(", ")}`);
    put(came, `${count(agent.sessions)} ${agent.sessions === 1 ? "session" : "sessions"}`);
    put(billed, `${lasting(agent.billableSeconds)} billed`);
    button.disabled = busy || agent.state !== "ready";
    mark(button, "aria-label", `Start a session of ${agent.name} and talk`);
    put(button.lastChild, busy ? "Starting…" : "Start and talk");
    trouble.hidden = agent.error === null;
    const before = agent.state === "ready" ? "The last deployment failed, the one before it serves: " : "";
    put(trouble, before + (agent.error ?? ""));
  }

  return { root, update };
}
