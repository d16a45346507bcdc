// Errors in plain words: what happened, and what the user can do about it.
import { explanation, ServerRefusal } from "./server.js";

/** What to tell when the connection could not be made. */
export async function whyNotConnected(error: unknown): Promise<string> {
  const cause = error instanceof Error ? error.cause : error;
  if (cause instanceof Response) return refused(cause.status, await explanation(cause));
  if (error instanceof ConnectionTimeout) {
    return (
      "The agent's server answered, but no sound or picture came through. " +
      "A firewall or VPN between you and the server may be in the way."
    );
  }
  return "The agent's server does not answer. Check that it is running, then try again.";
}

/** No connection within the time that one may take. */
export class ConnectionTimeout extends Error {}

function refused(status: number, said: string): string {
  const why = said === "" ? "" : ` The server says: ${sentence(said)}`;
  if (status === 400 || status === 409) {
    return `Somebody else may be talking with this agent just now; it talks with one person at a time.${why}`;
  }
  if (status === 401 || status === 403) return `You are not allowed to talk with this agent.${why}`;
  if (status === 404) return `There is no agent at this address.${why}`;
  if (status === 429) return `The agent is busy. Try again in a moment.${why}`;
  return `The agent could not start the conversation.${why}`;
}

/** What to tell when the agent did not stop talking on request. */
export function whyNotInterrupted(error: unknown): string {
  if (error instanceof ServerRefusal) {
    if (error.status === 404) return "This server has no way to interrupt the agent from the page.";
    return `The agent could not be interrupted. ${sentence(error.message)}`.trim();
  }
  return "The request to interrupt did not reach the agent's server.";
}

/** What to tell when the microphone could not be opened. */
export function whyNoMicrophone(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") {
    return (
      "The browser does not let this page use the microphone. Allow it in the site settings " +
      "of the address bar to speak. Typing works without it."
    );
  }
  if (name === "NotFoundError") return "No microphone was found. Typing works without one.";
  if (name === "NotReadableError") {
    return "The microphone is there but cannot be used; another program may hold it.";
  }
  if (name === "InsecureContextError") {
    return (
      "Browsers give the microphone only to pages on https or localhost. " +
      "Typing works without it."
    );
  }
  return "The microphone could not be opened. Typing works without it.";
}

/** What the agent itself reported. */
export function agentReported(said: string): string {
  return `The agent reports a problem: ${sentence(said)}`;
}

function sentence(said: string): string {
  const text = said.trim();
  return /[.!?…]$/.test(text) || text === "" ? text : `${text}.`;
}
