// SmallWebRTCTransport that can go on with the conversation of the page before a reload.
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";

import type { Microphone } from "./microphone.js";

/** The members of SmallWebRTCTransport that have no public name; tests/test_client_page.py
 * proves by a real reload that they still do what this file needs. */
interface Inner {
  pc: RTCPeerConnection | null;
  dc: RTCDataChannel | null;
  pc_id: string | null;
  startNewPeerConnection(restart?: boolean): Promise<void>;
}

const inherited = SmallWebRTCTransport.prototype as unknown as Inner;
const AUDIO_TRANSCEIVER = 0;

export interface TransportOptions {
  microphone: Microphone;
  offerUrl: string;
  /** The peer id of a conversation to go on with, or null for a new one. */
  resume: string | null;
  /** Called when the link is lost (false) and when it is there (true). */
  onLink: (up: boolean) => void;
  /** Called when the other side has closed the connection in good order. */
  onClosedByAgent: () => void;
}

export class PageTransport extends SmallWebRTCTransport {
  private resume: string | null;

  constructor(private readonly page: TransportOptions) {
    super({
      webrtcRequestParams: { endpoint: page.offerUrl },
      mediaManager: page.microphone,
    });
    this.resume = page.resume;
  }

  /** The connection's id at the server, null before the first answer and after the end. */
  get peerId(): string | null {
    return this.inner.pc_id;
  }

  get peerConnection(): RTCPeerConnection | null {
    return this.inner.pc;
  }

  /** Sends this track as the user's voice; null sends nothing. */
  async sendVoice(track: MediaStreamTrack | null): Promise<void> {
    await this.inner.pc?.getTransceivers()[AUDIO_TRANSCEIVER]?.sender.replaceTrack(track);
  }

  /** Overrides the library's way to a new RTCPeerConnection, at the start and after a loss. */
  async startNewPeerConnection(restart = false): Promise<void> {
    // After a loss the library stops the tracks of the old connection, and with it the
    // microphone that the new one is about to send.
    for (const sender of this.inner.pc?.getSenders() ?? []) await sender.replaceTrack(null);
    if (this.resume !== null) {
      this.inner.pc_id = this.resume;
      this.resume = null;
      restart = true;
    }
    const negotiated = inherited.startNewPeerConnection.call(this.inner, restart);
    this.watch(); // The connection exists by now, and no event of it has been missed.
    await negotiated;
  }

  private watch(): void {
    const { pc, dc } = this.inner;
    pc?.addEventListener("iceconnectionstatechange", () => {
      if (pc !== this.inner.pc) return;
      const state = pc.iceConnectionState;
      if (state === "disconnected" || state === "failed") this.page.onLink(false);
      if (state === "connected" || state === "completed") this.page.onLink(true);
    });
    dc?.addEventListener("close", () => {
      if (dc === this.inner.dc && pc === this.inner.pc) this.page.onClosedByAgent();
    });
  }

  private get inner(): Inner {
    return this as unknown as Inner;
  }
}
