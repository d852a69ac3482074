/** Numbers as a reader takes them. */

const OFF_DB = -40;

/** The factor of a fader's decibels; the lowest is silence. */
export function gainOf(db) {
  return db <= OFF_DB ? 0 : 10 ** (db / 20);
}

/** Decibels of a fader. */
export function decibels(db) {
  if (db <= OFF_DB) return "off";
  return `${db > 0 ? "+" : db < 0 ? "\u2212" : ""}${Math.abs(db)} dB`;
}

/** A share in [0, 1]. */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** How far a fader is from its lowest place, as CSS takes it. */
export function share(fader) {
  return `${(100 * (fader.value - fader.min)) / (fader.max - fader.min)}%`;
}

/** Seconds as "m:ss" or "h:mm:ss". */
export function clock(seconds) {
  const [h, m, s] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((each) => Math.floor(each));
  const two = (each) => String(each).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Minutes of the sleep timer. */
export function duration(minutes) {
  if (minutes < 60) return `${minutes} minutes`;
  const hours = minutes / 60;
  return hours === 1 ? "1 hour" : `${hours} hours`;
}

/** Names in a sentence: "rain, fire and waves". */
export function list(names) {
  return new Intl.ListFormat("en-GB").format(names);
}
