// What outlives a reload of the page: the peer id, and when the page was left.

const KEY = "mouthpiece.visit";
/** Later than this a page does not go on by itself; the server keeps a left session for 2 s. */
const RETURN_WITHIN_MS = 5000;

interface Visit {
  offerUrl: string;
  peerId: string;
  microphone: boolean;
  captions: string;
  leftAtMs: number;
}

/** Keeps the conversation in mind: called at its start, and when the page is left. */
export function remember(visit: Omit<Visit, "leftAtMs">): void {
  storage()?.setItem(KEY, JSON.stringify({ ...visit, leftAtMs: Date.now() }));
}

/** The conversation is over; a reload begins with an empty page. */
export function forget(): void {
  storage()?.removeItem(KEY);
}

/** The conversation that this page was in a moment ago, or null; asked once. */
export function comeBack(offerUrl: string): Visit | null {
  const saved = storage()?.getItem(KEY) ?? null;
  forget();
  if (saved === null) return null;
  const visit = JSON.parse(saved) as Visit;
  const away = Date.now() - visit.leftAtMs;
  return visit.offerUrl === offerUrl && away < RETURN_WITHIN_MS ? visit : null;
}

/** null where the user has forbidden this page to store anything. */
function storage(): Storage | null {
  try {
    return sessionStorage;
  } catch (error) {
    if (error instanceof DOMException && error.name === "SecurityError") return null;
    throw error;
  }
}
