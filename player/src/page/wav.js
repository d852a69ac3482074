/** WAV files of 16 bits. */

const HEADER_BYTES = 44;

/**
 * Makes a WAV file.
 *
 * @param {Blob} samples - Two channels, interleaved, 16 bits, least significant byte first.
 * @param {number} rateHz
 * @returns {Blob}
 */
export function wav(samples, rateHz) {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const text = (place, letters) => [...letters].forEach((each, i) => header.setUint8(place + i, each.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, HEADER_BYTES - 8 + samples.size, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 2, true);
  header.setUint32(24, rateHz, true);
  header.setUint32(28, 4 * rateHz, true);
  header.setUint16(32, 4, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, samples.size, true);
  return new Blob([header, samples], { type: "audio/wav" });
}
