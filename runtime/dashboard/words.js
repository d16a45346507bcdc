// Numbers, moments and states in words.

const ENDINGS = {
  completed: ["Completed", null],
  terminated: ["Stopped", null],
  ended_before_agent_start: ["Cut off before its start", "warn"],
  agent_start_timeout: ["Nobody joined in time", "warn"],
  agent_error: ["The bot failed", "bad"],
  unknown: ["Lost", "warn"],
};

/** How a session ended: words, and the tone they are shown in. */
export function ending(state) {
  return ENDINGS[state] ?? [state, null];
}

/** A length of time as people say it: 0.4 s, 42 s, 3 min 5 s, 1 h 2 min. */
export function lasting(seconds) {
  if (seconds > 0 && seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600).toLocaleString("en")} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A running time as a clock shows it: 0:42, 12:05, 1:02:05. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  if (whole >= 3600) parts.unshift(Math.floor(whole / 3600));
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/** How long ago a moment was, given as ISO 8601. */
export function ago(moment) {
  const seconds = (Date.now() - Date.parse(moment)) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(moment).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** A part of one CPU. */
export function cpu(millicores) {
  return `${Math.round(millicores / 10)} %`;
}

export function memory(bytes) {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1000 ? `${Math.round(mebibytes)} MB` : `${(mebibytes / 1024).toFixed(1)} GB`;
}

/** The first part of a session's id, by which people know it. */
export function short(id) {
  return id.slice(0, 8);
}

export function count(number) {
  return number.toLocaleString("en");
}
