// The control plane's API as the page calls it: the browser's cookie opens it, no key is kept here.

/** An answer that is an error; the message is the control plane's own. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** No answer at all. */
export class Silence extends Error {}

/** Told on `document` when the control plane does not know this browser any more. */
export const SIGNED_OUT = "signed-out";

/** The answer's JSON; throws Refusal or Silence. */
export async function call(method, path, body) {
  const sent = { method, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    sent.headers = { "content-type": "application/json" };
    sent.body = JSON.stringify(body);
  }
  let reply;
  let told;
  try {
    reply = await fetch(path, sent);
    told = await reply.json();
  } catch {
    throw new Silence("The control plane does not answer.");
  }
  if (reply.ok) return told;
  if (reply.status === 401 && path !== "/dashboard/session") {
    document.dispatchEvent(new Event(SIGNED_OUT));
  }
  throw new Refusal(reply.status, told?.error ?? `The control plane answered ${reply.status}.`);
}

/** The path of an agent in the operator's API. */
export function service(organization, agent) {
  return `/v1/organizations/${encodeURIComponent(organization)}/services/${encodeURIComponent(agent)}`;
}

/** The path before all paths of a session's pod. */
export function pod(agent, session) {
  return `/v1/public/${encodeURIComponent(agent)}/sessions/${encodeURIComponent(session)}`;
}

/** Starts a session over WebRTC; gives its id. */
export async function start(agent) {
  const path = `/v1/public/${encodeURIComponent(agent)}/start`;
  return (await call("POST", path, { transport: "webrtc" })).sessionId;
}
