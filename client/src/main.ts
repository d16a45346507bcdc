// The page: joins its controls to the conversation.
import { Captions } from "./captions.js";
import { Face } from "./face.js";
import { Latency } from "./latency.js";
import { whyNoMicrophone, whyNotInterrupted } from "./problems.js";
import { type About, serverOf } from "./server.js";
import { type Phase, Session } from "./session.js";
import { comeBack, forget, remember } from "./visit.js";

const page = {
  state: byId("state", HTMLElement),
  connect: byId("connect", HTMLButtonElement),
  microphone: byId("microphone", HTMLButtonElement),
  microphoneHint: byId("microphone-hint", HTMLElement),
  interrupt: byId("interrupt", HTMLButtonElement),
  problem: byId("problem", HTMLElement),
  problemWords: byId("problem-words", HTMLElement),
  retry: byId("retry", HTMLButtonElement),
  dismiss: byId("dismiss", HTMLButtonElement),
  form: byId("composer", HTMLFormElement),
  text: byId("text", HTMLInputElement),
  send: byId("send", HTMLButtonElement),
  roundTrip: byId("round-trip", HTMLElement),
  reply: byId("reply", HTMLElement),
};

const server = serverOf(new URL(location.href));
const captions = new Captions(byId("captions", HTMLElement));
const face = new Face(byId("face", HTMLVideoElement), byId("sound", HTMLButtonElement));
const latency = new Latency({
  roundTrip: (ms) => (page.roundTrip.textContent = inMilliseconds(ms)),
  reply: (ms) => (page.reply.textContent = inMilliseconds(ms)),
});

let agentSpeaks = false;
let userSpeaks = false;
let waiting = false;
/** false: the agent has no speech-to-text service, and says so. */
let hears = true;

const session = new Session(server, {
  phase: phaseChanged,
  media: (stream) => void face.show(stream),
  agentSaid: (output) => captions.agentSaid(output),
  agentSpeaking(speaking) {
    agentSpeaks = speaking;
    if (speaking) {
      waiting = false;
      latency.agentSpeaks();
      captions.agentSpeaks();
    } else {
      captions.agentPaused();
    }
    showState();
  },
  agentInterrupted: () => captions.agentInterrupted(),
  userSaid: ({ text, final }) => captions.userSaid(text, final),
  userSpeaking(speaking) {
    userSpeaks = speaking;
    if (!speaking) userDone();
    showState();
  },
  problem: showProblem,
});

page.connect.addEventListener("click", () => void connectOrLeave());
page.retry.addEventListener("click", () => void connectOrLeave());
page.dismiss.addEventListener("click", () => hideProblem());
page.interrupt.addEventListener("click", () => void interrupt());
page.microphone.addEventListener("click", () => void switchMicrophone());
page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  void type();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && agentSpeaks) void interrupt();
});
window.addEventListener("pagehide", keep);

void askAbout();
void resume();

async function connectOrLeave(): Promise<void> {
  hideProblem();
  if (session.phase !== "idle") {
    await session.disconnect();
    return;
  }
  captions.clear();
  await session.connect();
  keep();
  void askAbout();
  // On a phone the focus would open the keyboard over the face.
  if (isConnected() && matchMedia("(pointer: fine)").matches) page.text.focus();
}

async function type(): Promise<void> {
  const text = page.text.value.trim();
  if (text === "" || !isConnected()) return;
  page.text.value = "";
  captions.userTyped(text);
  userDone();
  await session.type(text);
}

async function interrupt(): Promise<void> {
  try {
    await server.interrupt();
  } catch (error) {
    showProblem(whyNotInterrupted(error), false);
  }
}

async function switchMicrophone(): Promise<void> {
  if (page.microphone.getAttribute("aria-disabled") === "true") return;
  const on = !session.microphone.isMicEnabled;
  try {
    await session.speak(on);
  } catch (error) {
    showProblem(whyNoMicrophone(error), false);
  }
  showState();
}

/** Goes on with the conversation that a reload of the page has cut. */
async function resume(): Promise<void> {
  const visit = comeBack(server.offerUrl);
  if (visit === null) return;
  captions.restore(visit.captions);
  await session.connect(visit.peerId);
  keep();
  // What is being said began before the reload, and so did the news of it.
  agentSpeaks ||= (await askAbout())?.speaking === true && isConnected();
  showState();
  if (visit.microphone && isConnected()) await switchMicrophone();
}

function keep(): void {
  const { peerId } = session;
  if (peerId === null || !isConnected()) return;
  remember({
    offerUrl: server.offerUrl,
    peerId,
    microphone: session.microphone.isMicEnabled,
    captions: captions.save(),
  });
}

/** Learns the agent's name and whether it can hear; undefined where the server does not tell. */
async function askAbout(): Promise<About | undefined> {
  let about: About;
  try {
    about = await server.about();
  } catch {
    return undefined; // The server does not answer; Connect will say so in its own words.
  }
  const { stt, name } = about;
  if (name !== undefined) captions.nameAgent(name.charAt(0).toUpperCase() + name.slice(1));
  hears = stt !== null;
  if (stt === null) {
    page.microphoneHint.textContent =
      "The microphone needs a speech-to-text service, and this agent has none. " +
      "Typing works without it.";
  } else if (stt !== undefined) {
    page.microphoneHint.textContent =
      `What you say goes to the agent's speech-to-text service (${stt}). ` +
      "Typing works without it.";
  }
  showState();
  return about;
}

function phaseChanged(phase: Phase): void {
  if (phase === "connected") latency.start(() => session.peerConnection);
  if (phase === "idle") {
    agentSpeaks = userSpeaks = waiting = false;
    latency.stop();
    face.hide();
    captions.agentInterrupted();
    forget();
  }
  showState();
}

function userDone(): void {
  waiting = true;
  latency.userDone();
}

function showState(): void {
  const { phase } = session;
  const connected = isConnected();
  document.body.dataset["phase"] = phase;
  document.body.dataset["speaking"] = String(agentSpeaks);
  page.state.textContent = stateInWords(phase);
  if (!connected && document.activeElement === page.text) page.connect.focus();
  page.connect.textContent = phase === "idle" ? "Connect" : connected ? "Disconnect" : "Cancel";
  page.text.disabled = page.send.disabled = !connected;
  page.interrupt.disabled = !(connected && agentSpeaks);
  page.microphone.setAttribute("aria-disabled", String(!(connected && hears)));
  page.microphone.setAttribute("aria-pressed", String(session.microphone.isMicEnabled));
}

function stateInWords(phase: Phase): string {
  if (phase === "idle") return "Not connected";
  if (phase === "connecting") return "Connecting…";
  if (phase === "lost") return "Connection lost, trying again…";
  if (agentSpeaks) return "Speaking";
  if (userSpeaks) return "Hearing you";
  if (waiting) return "Thinking…";
  return session.microphone.isMicEnabled ? "Listening" : "Connected";
}

function showProblem(words: string, over: boolean): void {
  page.problemWords.textContent = words;
  page.retry.hidden = !over;
  page.problem.hidden = false;
  showState();
}

function hideProblem(): void {
  page.problem.hidden = true;
}

function isConnected(): boolean {
  return session.phase === "connected";
}

function inMilliseconds(ms: number | null): string {
  if (ms === null) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`#${id} is missing from the page`);
  return element;
}
