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
  /** base: what comes before /api/offer, without a slash at its end; "" for the origin's root. */
  constructor(private readonly base: string) {}

  get offerUrl(): string {
    return `${this.base}/api/offer`;
  }

  /** What the agent tells about itself. */
  async about(): Promise<About> {
    const reply = await fetch(`${this.base}/status`, { cache: "no-store" });
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
    const reply = await fetch(`${this.base}/interrupt`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    if (!reply.ok) throw new ServerRefusal(reply.status, await explanation(reply));
  }
}

/**
 * The server that belongs to an address of this page.
 *
 * `?api=BASE` puts another path of the same origin before /api/offer, /status and /interrupt.
 * A base on another origin is never used.
 */
export function serverOf(page: URL): Server {
  const wanted = page.searchParams.get("api");
  if (wanted === null || !URL.canParse(wanted, page.origin)) return new Server("");
  const base = new URL(wanted, page.origin);
  if (base.origin !== page.origin) return new Server("");
  return new Server(base.pathname.replace(/\/+$/, ""));
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
