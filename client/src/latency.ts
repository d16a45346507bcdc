// Latency: the network's round trip, and the time from the user's turn to the agent's voice.

const PERIOD_MS = 2000;

export interface LatencyView {
  /** Round-trip time in milliseconds, null while unknown. */
  roundTrip: (ms: number | null) => void;
  /** From the end of the user's turn to the start of the agent's speech, in milliseconds. */
  reply: (ms: number | null) => void;
}

export class Latency {
  private timer: number | undefined;
  private asked: number | null = null;

  constructor(private readonly view: LatencyView) {}

  /** Starts to measure; connection gives the RTCPeerConnection of the moment. */
  start(connection: () => RTCPeerConnection | null): void {
    this.stop();
    const measure = async (): Promise<void> => {
      const pc = connection();
      if (pc !== null) this.view.roundTrip(await roundTripMs(pc));
    };
    this.timer = window.setInterval(() => void measure(), PERIOD_MS);
    void measure();
  }

  stop(): void {
    window.clearInterval(this.timer);
    this.asked = null;
    this.view.roundTrip(null);
    this.view.reply(null);
  }

  /** The user's turn is over: the message is sent, or the user has stopped talking. */
  userDone(): void {
    this.asked = performance.now();
  }

  agentSpeaks(): void {
    if (this.asked === null) return;
    this.view.reply(performance.now() - this.asked);
    this.asked = null;
  }
}

/** The round-trip time of the ICE candidate pair in use, null before the first measurement. */
async function roundTripMs(pc: RTCPeerConnection): Promise<number | null> {
  const stats = await pc.getStats();
  for (const entry of stats.values() as Iterable<RTCIceCandidatePairStats>) {
    if (entry.type !== "candidate-pair" || !entry.nominated) continue;
    if (entry.currentRoundTripTime !== undefined) return entry.currentRoundTripTime * 1000;
  }
  return null;
}
