/** What the listener has set: kept in this browser where it lets us, the seed in the address too. */
import { within as askedWithin } from "./asked.js";

const MOST_SEED = Number.MAX_SAFE_INTEGER;
const NEW_SEEDS = 1e6;

/** Of the sleep timer; 0 for off. */
export const TIMER_MINUTES = [0, 15, 30, 45, 60, 90, 120, 180, 240, 300, 360, 420, 480];

const RANGES = {
  volumeDb: [-40, 12, 0],
  fadeInS: [0, 120, 4],
  fadeOutS: [0, 600, 60],
  recordMinutes: [1, 120, 10],
};
const CHANNEL = { gainDb: [-40, 6, 0] };

/**
 * Reads the settings of a page.
 *
 * @param {string} key - What tells this page from others of the same browser.
 * @param {object[]} models - See `readModels`.
 * @returns {object} volumeDb, fadeInS, fadeOutS, timerMinutes, recordMinutes, seed, and channels, each
 *     {gainDb, isMuted, isSoloed}, and `asked` of a model that listens, see `asked.js`.
 */
export function load(key, models) {
  const stored = read(key);
  const settings = within(RANGES, stored);
  settings.timerMinutes = TIMER_MINUTES.includes(stored.timerMinutes) ? stored.timerMinutes : 0;
  settings.seed = seedOfAddress() ?? toSeed(stored.seed) ?? newSeed();
  settings.channels = models.map(({ header }, index) => {
    const channel = stored.channels?.[index] ?? {};
    const { isMuted, isSoloed } = channel;
    const asked = header?.labels ? { asked: askedWithin(channel.asked ?? {}, header) } : {};
    return { ...within(CHANNEL, channel), isMuted: isMuted === true, isSoloed: isSoloed === true, ...asked };
  });
  return settings;
}

/** Keeps the settings, and puts the seed into the address. */
export function save(key, settings) {
  try {
    localStorage.setItem(key, JSON.stringify(settings));
  } catch {
    // A browser may keep nothing; then it begins anew each time.
  }
  const hash = `#seed=${settings.seed}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

/** The seed in the address, or null. */
export function seedOfAddress() {
  return toSeed(new URLSearchParams(location.hash.slice(1)).get("seed"));
}

/** A value as a seed, or null where it is none. */
export function toSeed(value) {
  const isNumber = typeof value === "number" || /^\d{1,16}$/.test(value ?? "");
  const seed = Number(value);
  return isNumber && Number.isInteger(seed) && seed >= 0 && seed <= MOST_SEED ? seed : null;
}

/** A seed at random. */
export function newSeed() {
  return Math.floor(Math.random() * NEW_SEEDS);
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {
    return {};
  }
}

/** The values within their ranges; what is missing or out of them has its default. */
function within(ranges, values) {
  const entries = Object.entries(ranges).map(([name, [least, most, usual]]) => {
    const value = values[name];
    return [name, Number.isFinite(value) && value >= least && value <= most ? value : usual];
  });
  return Object.fromEntries(entries);
}
