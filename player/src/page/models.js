/** The models that are in the page. */

/**
 * Reads the models of the page; one that is damaged has a `reason`, and the others are whole.
 *
 * @returns {Promise<object[]>} Each {name, header, weights, kernel} or {name, reason}; weights are float16.
 * @throws {Error} There is none; the message says why.
 */
export async function readModels() {
  const place = document.getElementById("models");
  if (!place) throw new Error("There is no model in this page. Make one with: wavegan export TRAIN_DIR --format web");
  let headers;
  try {
    headers = JSON.parse(place.textContent);
  } catch {
    throw new Error("This page is damaged: its models cannot be read. Make it again, or copy it again.");
  }
  const kernel = decode(document.getElementById("kernel").textContent);
  return Promise.all(headers.map((header, index) => readModel(header, index, kernel)));
}

async function readModel(header, index, kernel) {
  const name = typeof header?.name === "string" ? header.name : `sound ${index + 1}`;
  const place = document.getElementById(`weights-${index}`);
  try {
    if (!(Number.isInteger(header.sample_rate_hz) && header.sample_rate_hz > 0)) throw new Error("its rate is missing");
    const { labels, shares, measures } = header;
    const isWhole = [labels, shares, measures].every(Array.isArray) && labels.length === shares.length;
    if (labels && !isWhole) throw new Error("its labels are missing");
    const weights = decode(place.textContent);
    // It is not kept twice.
    place.textContent = "";
    if ((await digest(weights)) !== header.sha256) throw new Error("its weights are not those that were written");
    return { name, header, weights, kernel };
  } catch (error) {
    return { name, reason: `it is damaged in this page (${error.message})` };
  }
}

function decode(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

async function digest(buffer) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
  return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
}
