// One conversation with the agent over WebRTC: connect, type, speak, interrupt, leave.
import {
  type BotOutputData,
  type ErrorData,
  LogLevel,
  logger,
  PipecatClient,
  type PipecatClientOptions,
  type RTVIMessage,
  type TranscriptData,
} from "@pipecat-ai/client-js";

import { Microphone } from "./microphone.js";
import { agentReported, ConnectionTimeout, whyNotConnected } from "./problems.js";
import type { Server } from "./server.js";
import { PageTransport } from "./transport.js";

export type Phase = "idle" | "connecting" | "connected" | "lost";

/** What a conversation tells the page. */
export interface SessionEvents {
  phase: (phase: Phase) => void;
  /** Sound or picture of the agent has begun; both are in one stream so that they keep step. */
  media: (stream: MediaStream) => void;
  agentSaid: (output: BotOutputData) => void;
  agentSpeaking: (speaking: boolean) => void;
  agentInterrupted: () => void;
  userSaid: (transcript: TranscriptData) => void;
  userSpeaking: (speaking: boolean) => void;
  /** Something went wrong, in plain words. over: the conversation has ended with it. */
  problem: (words: string, over: boolean) => void;
}

/** The user has ended an attempt to connect. */
class GivenUp extends Error {}

const CONNECT_WITHIN_MS = 15_000;

logger.setLevel(LogLevel.WARN);

export class Session {
  readonly microphone = new Microphone();
  private readonly stream = new MediaStream();
  private client: PipecatClient | null = null;
  private transport: PageTransport | null = null;
  private current: Phase = "idle";
  private giveUp: () => void = () => {};

  constructor(
    private readonly server: Server,
    private readonly events: SessionEvents,
  ) {}

  get phase(): Phase {
    return this.current;
  }

  get peerId(): string | null {
    return this.transport?.peerId ?? null;
  }

  get peerConnection(): RTCPeerConnection | null {
    return this.transport?.peerConnection ?? null;
  }

  /**
   * Starts a conversation, or goes on with the one that has this peer id.
   *
   * A conversation that is not there any more is started anew. Problems go to
   * `events.problem`; the promise ends when the data channel is open or the attempt is over.
   */
  async connect(resume: string | null = null): Promise<void> {
    if (this.current !== "idle") return;
    this.enter("connecting");
    const givenUp = new Promise<never>((_, reject) => {
      this.giveUp = () => reject(new GivenUp());
    });
    try {
      if (resume === null || !(await this.resumed(resume, givenUp))) {
        await this.attempt(null, givenUp);
      }
    } catch (error) {
      if (error instanceof GivenUp) return;
      await this.end();
      this.events.problem(await whyNotConnected(error), true);
      return;
    }
    this.enter("connected");
  }

  async disconnect(): Promise<void> {
    await this.end();
  }

  /** Types to the agent; it answers aloud, and stops what it was saying. */
  async type(text: string): Promise<void> {
    await this.client?.sendText(text, { run_immediately: true, audio_response: true });
  }

  /** Switches the microphone; rejects with a DOMException where it cannot be opened. */
  async speak(on: boolean): Promise<void> {
    if (on) {
      await this.transport?.sendVoice(await this.microphone.open());
      this.client?.enableMic(true);
    } else {
      this.client?.enableMic(false);
      await this.transport?.sendVoice(null);
      this.microphone.close();
    }
  }

  /** Whether the conversation with this peer id could be gone on with. */
  private async resumed(peerId: string, givenUp: Promise<never>): Promise<boolean> {
    try {
      await this.attempt(peerId, givenUp);
      return true;
    } catch (error) {
      if (error instanceof GivenUp) throw error;
      return false;
    }
  }

  private async attempt(resume: string | null, givenUp: Promise<never>): Promise<void> {
    const transport = new PageTransport({
      microphone: this.microphone,
      offerUrl: this.server.offerUrl,
      resume,
      onLink: (up) => this.linkChanged(up),
      onClosedByAgent: () => void this.endedByAgent(),
    });
    const client = new Listener(this.optionsFor(transport), this.events.agentInterrupted);
    this.transport = transport;
    this.client = client;
    let deadline: number | undefined;
    const connected = new Promise<void>((resolve, reject) => {
      deadline = window.setTimeout(() => reject(new ConnectionTimeout()), CONNECT_WITHIN_MS);
      client.once("connected", resolve);
      this.reach(client, resume).catch(reject);
    });
    try {
      await Promise.race([connected, givenUp]);
    } catch (error) {
      if (client.state !== "disconnected") await client.disconnect();
      throw error;
    } finally {
      window.clearTimeout(deadline);
    }
    client.on("disconnected", () => void this.endedByAgent());
  }

  /** Connects; where a control plane holds the agents, it starts a session first. */
  private async reach(client: PipecatClient, resume: string | null): Promise<void> {
    const { startUrl: endpoint, headers } = this.server;
    if (endpoint === null || resume !== null) {
      await client.connect();
      return;
    }
    const requestData = { transport: "webrtc", enableDefaultIceServers: true };
    await client.startBotAndConnect({ endpoint, headers, requestData });
  }

  private optionsFor(transport: PageTransport): PipecatClientOptions {
    return {
      transport,
      enableMic: false,
      enableCam: false,
      disconnectOnBotDisconnect: false,
      callbacks: {
        onBotStarted: (reply) => this.server.started(reply),
        onTrackStarted: (track) => this.trackStarted(track),
        onBotOutput: this.events.agentSaid,
        onBotStartedSpeaking: () => this.events.agentSpeaking(true),
        onBotStoppedSpeaking: () => this.events.agentSpeaking(false),
        onUserTranscript: this.events.userSaid,
        onUserStartedSpeaking: () => this.events.userSpeaking(true),
        onUserStoppedSpeaking: () => this.events.userSpeaking(false),
        onBotDisconnected: () => void this.endedByAgent(),
        onError: (message) => this.reported(message),
        onMessageError: (message) => this.reported(message),
      },
    };
  }

  private trackStarted(track: MediaStreamTrack): void {
    for (const old of this.stream.getTracks()) {
      if (old.kind === track.kind && old !== track) this.stream.removeTrack(old);
    }
    this.stream.addTrack(track);
    this.events.media(this.stream);
  }

  private reported(message: RTVIMessage): void {
    const { error, message: older, fatal } = message.data as Partial<ErrorData>;
    this.events.problem(agentReported(error ?? older ?? "It did not say which"), fatal ?? false);
    if (fatal) void this.end();
  }

  private linkChanged(up: boolean): void {
    if (up && this.current === "lost") this.enter("connected");
    if (!up && this.current === "connected") this.enter("lost");
  }

  private async endedByAgent(): Promise<void> {
    if (this.current !== "connected" && this.current !== "lost") return;
    const lost = this.current === "lost";
    await this.end();
    this.events.problem(
      lost ? "The connection to the agent was lost." : "The agent has ended the conversation.",
      true,
    );
  }

  private async end(): Promise<void> {
    this.giveUp();
    const client = this.client;
    this.client = null;
    this.transport = null;
    this.enter("idle");
    this.microphone.close();
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    await client?.disconnect();
  }

  private enter(phase: Phase): void {
    if (phase === this.current) return;
    this.current = phase;
    this.events.phase(phase);
  }
}

/** PipecatClient that also hears when the agent is cut off, which this version has no event for. */
class Listener extends PipecatClient {
  constructor(
    options: PipecatClientOptions,
    private readonly interrupted: () => void,
  ) {
    super(options);
  }

  protected override handleMessage(message: RTVIMessage): void {
    // Sent by Pipecat 1.14's RTVIObserver with each interruption.
    if ((message.type as string) === "bot-interrupted") this.interrupted();
    else super.handleMessage(message);
  }
}
