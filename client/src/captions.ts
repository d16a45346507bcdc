// Captions: what the agent says, word by word as it is spoken, and what the user said or typed.
import type { BotOutputData } from "@pipecat-ai/client-js";

type Who = "agent" | "user";

/** One line as it is kept over a reload of the page. */
interface Saved {
  who: Who;
  text: string;
}

const MOST_LINES = 200;

export class Captions {
  private agentLine: HTMLElement | null = null;
  private heardLine: HTMLElement | null = null;
  private readonly segments = new Map<number, HTMLElement>();
  private readonly over = new Set<number>();
  /** Since the agent was cut off, it has not begun to speak again. */
  private silenced = false;
  /** false while the user reads further up. */
  private following = true;
  private placedAt = 0;

  private agentName = "Agent";

  /** log: the element with role "log" that holds the lines. */
  constructor(private readonly log: HTMLElement) {
    log.addEventListener("scroll", () => {
      if (Math.abs(log.scrollTop - this.placedAt) < 2) return;
      this.following = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
    });
  }

  /** What the agent is called in the captions. */
  nameAgent(name: string): void {
    this.agentName = name;
    for (const label of this.log.querySelectorAll('[data-who="agent"] .who')) {
      label.textContent = name;
    }
  }

  /** A sentence of the agent: new, as far as it has been spoken, or spoken to its end. */
  agentSaid(output: BotOutputData): void {
    const id = output.segment_id;
    if (id !== undefined && this.over.has(id)) return;
    if (this.silenced && output.spoken_status === "new" && output.will_be_spoken !== false) {
      // It was on its way when the agent was cut off, and is never spoken.
      if (id !== undefined) this.over.add(id);
      return;
    }
    this.silenced = false;
    let sentence = id === undefined ? undefined : this.segments.get(id);
    if (sentence === undefined) {
      sentence = this.newSentence(output.text);
      if (id !== undefined) this.segments.set(id, sentence);
    }
    const whole = output.spoken_status === "completed" || output.will_be_spoken === false;
    const spoken = output.spoken_progress?.accumulated_text ?? "";
    said(sentence, whole ? Infinity : wordsOf(spoken).length);
    this.follow();
  }

  /** The agent was cut off: what it did not come to say goes away. */
  agentInterrupted(): void {
    for (const [id, sentence] of this.segments) {
      const unsaid = sentence.querySelectorAll(".coming");
      if (unsaid.length === 0) continue;
      this.over.add(id);
      for (const word of unsaid) word.remove();
      const line = sentence.closest(".line");
      if (sentence.childElementCount > 0) sentence.append(cutOff());
      else sentence.remove();
      if (line?.querySelector(".sentence") === null) line.remove();
    }
    this.agentLine = null;
    this.segments.clear();
    this.silenced = true;
  }

  agentSpeaks(): void {
    this.silenced = false;
  }

  /** The agent has stopped talking: its next words begin a new line. */
  agentPaused(): void {
    if (this.agentLine?.querySelector(".coming") == null) {
      this.agentLine = null;
      this.segments.clear();
    }
  }

  userTyped(text: string): void {
    this.newLine("user").append(text);
    this.following = true;
    this.follow();
  }

  /** What the user was heard to say; not final: a guess that a later call replaces. */
  userSaid(text: string, final: boolean): void {
    this.heardLine ??= this.newLine("user");
    this.heardLine.textContent = text;
    this.heardLine.classList.toggle("coming", !final);
    if (final) this.heardLine = null;
    this.follow();
  }

  clear(): void {
    this.log.replaceChildren();
    this.forgetTurn();
    this.over.clear();
    this.silenced = false;
  }

  /** The lines as text, for `restore` after a reload; without the sentence being spoken, which
   * the agent tells again as it goes on. */
  save(): string {
    const lines: Saved[] = [];
    for (const line of this.log.querySelectorAll<HTMLElement>(".line")) {
      const words = line.querySelector(".words")?.cloneNode(true) as Element;
      for (const word of words.querySelectorAll(".coming")) word.parentElement?.remove();
      const text = words.textContent?.trim() ?? "";
      if (text !== "") lines.push({ who: line.dataset["who"] === "user" ? "user" : "agent", text });
    }
    return JSON.stringify(lines);
  }

  restore(saved: string): void {
    this.clear();
    for (const { who, text } of JSON.parse(saved) as Saved[]) this.newLine(who).append(text);
    this.forgetTurn();
    this.follow();
  }

  private forgetTurn(): void {
    this.agentLine = null;
    this.heardLine = null;
    this.segments.clear();
  }

  /** A new line; returns the element that takes its words. */
  private newLine(who: Who): HTMLElement {
    const line = document.createElement("p");
    line.className = "line";
    line.dataset["who"] = who;
    const speaker = document.createElement("span");
    speaker.className = "who";
    speaker.textContent = who === "agent" ? this.agentName : "You";
    const words = document.createElement("span");
    words.className = "words";
    line.append(speaker, " ", words);
    this.log.append(line);
    while (this.log.childElementCount > MOST_LINES) this.log.firstElementChild?.remove();
    this.agentLine = who === "agent" ? line : null;
    return words;
  }

  private newSentence(text: string): HTMLElement {
    // One sentence begins when the one before it has ended, whatever was told of its words.
    for (const earlier of this.segments.values()) said(earlier);
    const words = this.agentLine?.querySelector<HTMLElement>(".words") ?? this.newLine("agent");
    const sentence = document.createElement("span");
    sentence.className = "sentence";
    for (const word of wordsOf(text)) {
      const span = document.createElement("span");
      span.className = "coming";
      span.textContent = `${word} `;
      sentence.append(span);
    }
    words.append(sentence);
    return sentence;
  }

  /** Keeps the word that is being spoken in sight, unless the user has scrolled away. */
  private follow(): void {
    if (!this.following) return;
    const next = this.agentLine?.querySelector<HTMLElement>(".coming");
    const end =
      next == null ? this.log.scrollHeight : next.offsetTop + 2.5 * next.offsetHeight;
    this.log.scrollTop = end - this.log.clientHeight;
    this.placedAt = this.log.scrollTop;
  }
}

/** Marks a sentence's first words as spoken. Never back: the news of a new sentence can come
 * after that of its first words. */
function said(sentence: HTMLElement, words = Infinity): void {
  for (const word of [...sentence.children].slice(0, words)) word.classList.remove("coming");
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function cutOff(): HTMLElement {
  const mark = document.createElement("span");
  mark.className = "cut";
  mark.title = "interrupted here";
  mark.textContent = "—";
  return mark;
}
