// The agent's face and voice: one <video> element that plays both, so that the lips keep step.

export class Face {
  /** sound: the button that asks for the click which some browsers want before they play sound. */
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly sound: HTMLButtonElement,
  ) {
    sound.addEventListener("click", () => {
      video.muted = false;
      sound.hidden = true;
      void video.play();
      video.focus();
    });
  }

  async show(stream: MediaStream): Promise<void> {
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
    try {
      await this.video.play();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      // AbortError: the next track has come in and plays; it asks again by itself.
      if (error.name !== "NotAllowedError") return;
      this.video.muted = true;
      this.sound.hidden = false;
      await this.video.play();
    }
  }

  hide(): void {
    this.video.srcObject = null;
    this.video.muted = false;
    this.sound.hidden = true;
  }
}
