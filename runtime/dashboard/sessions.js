// The sessions that run: state, age, what they use, and what can be done with them.
import { byId, drawn, element, icon, Kept, mark, put } from "./elements.js";
import { clock, cpu, memory, short } from "./words.js";

const STATES = { starting: ["Starting", "warn"], active: ["Live", "live"], ending: ["Ending", null] };
const SHOWN_S = 180;
const [WIDTH, HEIGHT] = [100, 28];
/** A line below this stays low, so that small changes do not look large. */
const LEAST = { cpu: 500, memory: 400 * 2 ** 20 };

export class Sessions {
  #rows;
  #shown = false;

  /** actions: talk, logs and stop, each called with the session. */
  constructor(actions) {
    this.#rows = new Kept(byId("session-rows"), (each) => each.sessionId, () => {
      const made = row(actions);
      if (this.#shown) made.root.classList.add("fresh");
      return made;
    });
  }

  /** talkingIn: the id of the session that this page is in, or null. */
  show(sessions, agents, talkingIn) {
    const focused = byId("session-rows").contains(document.activeElement);
    this.#rows.show(sessions.map((each) => ({ ...each, talking: each.sessionId === talkingIn })));
    if (focused && document.activeElement === document.body) byId("sessions-title").focus();
    this.#shown = true;
    byId("sessions").hidden = sessions.length === 0;
    byId("no-sessions").hidden = sessions.length > 0;
    const agent = agents.find((each) => each.state === "ready")?.name ?? "AGENT";
    put(byId("curl"), curl(agent));
  }
}

/** The command that starts a session. */
function curl(agent) {
  return (
    `curl -X POST ${location.origin}/v1/public/${agent}/start \\\n` +
    '  -H "Authorization: Bearer $PUBLIC_KEY" \\\n  -H "Content-Type: application/json" \\\n' +
    `  -d '{"transport": "webrtc"}'`
  );
}

function row(actions) {
  const id = element("span", { class: "id" });
  const you = element("span", { class: "you", hidden: "" }, "you");
  const under = element("span", { class: "under" });
  const state = element("span", { class: "pill" });
  const age = element("span");
  const ofCpu = sparkline("cpu", "CPU", cpu);
  const ofMemory = sparkline("memory", "Memory", memory);
  const talk = action("Join", "talk", () => actions.talk(now));
  const logs = action("Logs", "logs", () => actions.logs(now));
  const stop = action("Stop", "stop", () => actions.stop(now));
  const root = element(
    "tr",
    { role: "row" },
    cell({}, id, you, under),
    cell({}, state),
    cell({ "data-name": "Age" }, age),
    cell({ "data-name": "CPU" }, ofCpu.root),
    cell({ "data-name": "Memory" }, ofMemory.root),
    cell({ class: "whole" }, element("div", { class: "does" }, talk, logs, stop)),
  );
  let now;

  function update(session) {
    now = session;
    const [words, tone] = STATES[session.state];
    put(id, short(session.sessionId));
    mark(id, "title", session.sessionId);
    const told = [session.agent, session.transport];
    if (session.coldStart) told.push("cold start");
    put(under, told.join(" · "));
    you.hidden = !session.talking;
    put(state, words);
    mark(state, "data-tone", tone);
    put(age, clock(session.ageSeconds));
    ofCpu.update(session.series, (each) => each.cpuMillicores);
    ofMemory.update(session.series, (each) => each.memoryBytes);
    talk.hidden = session.joined || session.talking || session.state !== "active";
    stop.disabled = session.state === "ending";
    for (const [button, does] of [[talk, "Join"], [logs, "Logs of"], [stop, "Stop"]]) {
      mark(button, "aria-label", `${does} session ${short(session.sessionId)}`);
      mark(button, "title", does.split(" ")[0]);
    }
  }

  return { root, update };
}

function cell(attributes, ...children) {
  return element("td", { role: "cell", ...attributes }, ...children);
}

function action(words, name, pressed) {
  const attributes = { class: "quiet small", type: "button", on: { click: pressed } };
  return element("button", attributes, icon(name), words);
}

/** A small line of the last minutes, its newest value beside it. */
function sparkline(kind, name, inWords) {
  const line = drawn("polyline", { class: "line" });
  const area = drawn("polygon", { class: "area" });
  const ground = drawn("line", { class: "ground", x2: WIDTH, y1: HEIGHT, y2: HEIGHT });
  const shape = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  const drawing = drawn("svg", { ...shape, role: "img" }, ground, area, line);
  const value = element("output", {}, "–");
  const root = element("span", { class: "spark", "data-of": kind }, drawing, value);

  function update(series, of) {
    const highest = Math.max(LEAST[kind], ...series.map(of)) * 1.1;
    const points = series.map((each) => {
      const x = Math.max(0, WIDTH * (1 - each.secondsAgo / SHOWN_S));
      return `${x.toFixed(1)},${(HEIGHT * (1 - of(each) / highest)).toFixed(1)}`;
    });
    if (points.length > 0) {
      // The newest value holds until there is a newer one.
      points.push(`${WIDTH},${points.at(-1).split(",")[1]}`);
      const [first] = points[0].split(",");
      mark(area, "points", `${first},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`);
      mark(line, "points", points.join(" "));
    }
    const newest = series.length > 0 ? inWords(of(series.at(-1))) : "–";
    put(value, newest);
    mark(drawing, "aria-label", `${name} over the last three minutes, now ${newest}`);
  }

  return { root, update };
}
