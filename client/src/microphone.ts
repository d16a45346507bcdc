// The microphone, opened only when the user switches it on: the transport's media manager.

/**
 * A media manager for SmallWebRTCTransport made of plain getUserMedia.
 *
 * Pipecat's own one loads a script from another host. This one never asks for a permission
 * by itself, has no camera, and without a microphone the conversation is receive-only.
 */
export class Microphone {
  readonly supportsScreenShare = false;
  readonly isCamEnabled = false;
  readonly isSharingScreen = false;
  readonly selectedCam = {};
  readonly selectedSpeaker = {};
  private track: MediaStreamTrack | null = null;

  /**
   * Opens the default microphone, asking the user where the browser wants that.
   *
   * Throws DOMException: NotAllowedError, NotFoundError, NotReadableError as getUserMedia does;
   * InsecureContextError where the page may not even ask.
   */
  async open(): Promise<MediaStreamTrack> {
    if (this.track?.readyState === "live") return this.track;
    if (!window.isSecureContext || navigator.mediaDevices === undefined) {
      throw new DOMException("no microphone outside https and localhost", "InsecureContextError");
    }
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    const [track] = stream.getAudioTracks();
    if (track === undefined) throw new DOMException("no audio track", "NotFoundError");
    this.track = track;
    return track;
  }

  /** Lets go of the microphone; the browser's recording sign goes out. */
  close(): void {
    this.track?.stop();
    this.track = null;
  }

  get isMicEnabled(): boolean {
    return this.track?.readyState === "live" && this.track.enabled;
  }

  get selectedMic(): MediaDeviceInfo | Record<string, never> {
    return {};
  }

  tracks(): { local: { audio?: MediaStreamTrack } } {
    return { local: this.track === null ? {} : { audio: this.track } };
  }

  enableMic(enable: boolean): void {
    if (this.track !== null) this.track.enabled = enable;
  }

  async disconnect(): Promise<void> {
    this.close();
  }

  async getAllMics(): Promise<MediaDeviceInfo[]> {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter((device) => device.kind === "audioinput");
  }

  // What the transport calls and what has no meaning here: no camera, no choice of devices, and
  // sound that WebRTC itself plays.
  setClientOptions(): void {}
  async initialize(): Promise<void> {}
  async connect(): Promise<void> {}
  async getAllCams(): Promise<MediaDeviceInfo[]> {
    return [];
  }
  async getAllSpeakers(): Promise<MediaDeviceInfo[]> {
    return [];
  }
  updateMic(): void {}
  updateCam(): void {}
  updateSpeaker(): void {}
  enableCam(): void {}
  enableScreenShare(): void {}
}
