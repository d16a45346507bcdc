// The agent's server as the page sees it: where its API is, its services, its interrupt button.

/** What the agent tells about itself; undefined: it does not tell. */
export interface About {
  /** The name of its speech-to-text service; null: it has none, and cannot hear. */
  stt: string | null | undefined;
  /** The name of its face. */
  name: string | undefined;
  /** Whether it is speaking at this moment. */
  speaking: boolean;
}

const UNKNOWN: About = { stt: undefined, name: undefined, speaking: false };

/** A refusal by the server; the message is its own explanation, or "" where it gave none. */
export class ServerRefusal extends Error {
  constructor(
    readonly status: number,
    explanation: string,
  ) {
    super(explanation);
  }
}

export class Server {
  /**
   * base: what comes before /api/offer, without a slash at its end; "" for the origin's root.
   * startUrl: where a control plane starts a session, whose base is known only then; or null.
   * key: opens it; "" where a cookie does, or nothing has to.
   */
  constructor(
    private base: string,
    readonly startUrl: string | null = null,
    private readonly key = "",
  ) {}

  get offerUrl(): string {
    return `${this.base}/api/offer`;
  }

  get headers(): Headers {
    return new Headers(this.key === "" ? {} : { Authorization: `Bearer ${this.key}` });
  }

  /** The control plane has started a session; reply: its answer. */
  started(reply: unknown): void {
    const id = field(reply, "sessionId");
    if (this.startUrl === null || typeof id !== "string") return;
    this.base = this.startUrl.replace(/\/start$/, `/sessions/${encodeURIComponent(id)}`);
  }

  /** What the agent tells about itself. */
  async about(): Promise<About> {
    if (this.startUrl !== null && this.base === "") return UNKNOWN;
    const reply = await fetch(`${this.base}/status`, { cache: "no-store", headers: this.headers });
    const body: unknown = reply.ok ? await reply.json() : {};
    const stt = field(field(body, "services"), "stt");
    const name = field(field(body, "avatar"), "name");
    return {
      stt: stt === null || typeof stt === "string" ? stt : undefined,
      name: typeof name === "string" && name !== "" ? name : undefined,
      speaking: field(body, "speaking") === true,
    };
  }

  /** Makes the agent stop talking at once. */
  async interrupt(): Promise<void> {
    const headers = this.headers;
    headers.set("Content-Type", "application/json");
    const reply = await fetch(`${this.base}/interrupt`, { method: "POST", headers, body: "{}" });
    if (!reply.ok) throw new ServerRefusal(reply.status, await explanation(reply));
  }
}

/**
 * The server that belongs to an address of this page.
 *
 * `?api=BASE` puts another path of the same origin before /api/offer, /status and /interrupt.
 * `?start=PATH` starts a session at a control plane, PATH ends in /start; `#key=KEY`, which no
 * server is sent, opens it. A base on another origin is never used.
 */
export function serverOf(page: URL): Server {
  const start = ownPath(page, "start");
  if (start?.endsWith("/start") === true) {
    const key = new URLSearchParams(page.hash.slice(1)).get("key") ?? "";
    return new Server("", start, key);
  }
  return new Server(ownPath(page, "api") ?? "");
}

/** The path that a parameter of the page's address names, without a slash at its end; null where
 * there is none, or it is on another origin. */
function ownPath(page: URL, parameter: string): string | null {
  const wanted = page.searchParams.get(parameter);
  if (wanted === null || !URL.canParse(wanted, page.origin)) return null;
  const url = new URL(wanted, page.origin);
  return url.origin === page.origin ? url.pathname.replace(/\/+$/, "") : null;
}

/** What a refused request says about itself: `detail`, `error` or `info` of its JSON, else "". */
export async function explanation(reply: Response): Promise<string> {
  const text = await reply.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return "";
  }
  for (const name of ["detail", "error", "info"]) {
    const value = field(body, name);
    if (typeof value === "string") return value;
  }
  return "";
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string, unknown>)[name];
}
