// Has the page play into an OfflineAudioContext: time goes as fast as the machine can, and stands still every few
// seconds until enough sound waits, as it would in a minute that lasts a minute.

/** What the page plays next goes into memory: the mix, and each model after its fader if `models` is not 0. */
window.simulate = (seconds, models) => {
  window.AudioContext = function ({ sampleRate }) {
    const context = new OfflineAudioContext(2 + 2 * models, seconds * sampleRate, sampleRate);
    // To stand still is no interruption here, and the page does not decide when time goes on.
    context.addEventListener("statechange", (event) => event.stopImmediatePropagation());
    context.resume = context.suspend = async () => {};
    window.context = context;
    return context;
  };
};

const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
};

/** Moves a fader as a hand does. */
window.moveTo = (selector, value) => {
  const input = document.querySelector(selector);
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
};

/**
 * Plays all of it.
 *
 * @param {number} everyS - Seconds after which time stands still, again and again.
 * @param {object} steps - Second -> function that is called then; a multiple of everyS.
 * @param {number} enoughS - Seconds of sound for which is waited then.
 */
window.render = async (everyS, steps = {}, enoughS = 10) => {
  const { engine } = player.page;
  await until(() => engine.state === "playing" || engine.state === "failed");
  if (engine.state === "failed") throw new Error(engine.reason);
  const outputs = context.destination.channelCount / 2;
  const merger = new ChannelMergerNode(context, { numberOfInputs: 2 * outputs });
  engine.node.disconnect(context.destination);
  for (let k = 0; k < outputs; k++) {
    const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    engine.node.connect(splitter, k);
    splitter.connect(merger, 0, 2 * k);
    splitter.connect(merger, 1, 2 * k + 1);
  }
  merger.connect(context.destination);
  const isFull = (frames, index) => engine._isLost[index] || frames >= enoughS * engine.rateHz;
  const { suspend, resume } = OfflineAudioContext.prototype;
  for (let time = 0; time < context.length / context.sampleRate; time += everyS) {
    suspend.call(context, time).then(async () => {
      // What the audio thread has told until now may come a moment later.
      await new Promise((resolve) => setTimeout(resolve, 20));
      await steps[time]?.();
      await until(() => engine.state !== "playing" || engine.frames.every(isFull));
      resume.call(context);
    });
  }
  window.rendered = await context.startRendering();
  await until(() => true);
};

/** The level of each output in stretches of so many seconds, dB: `[outputs, stretches]`. */
window.levels = (stretchS) => {
  const stretch = Math.round(stretchS * rendered.sampleRate);
  return Array.from({ length: rendered.numberOfChannels / 2 }, (_, k) => {
    const sides = [rendered.getChannelData(2 * k), rendered.getChannelData(2 * k + 1)];
    return Array.from({ length: Math.floor(rendered.length / stretch) }, (_, n) => {
      const parts = sides.map((side) => side.subarray(n * stretch, (n + 1) * stretch));
      const power = parts.reduce((sum, part) => sum + part.reduce((s, x) => s + x * x, 0), 0) / (2 * stretch);
      return Math.max(-200, 10 * Math.log10(power));
    });
  });
};

/** A channel as 32-bit numbers in base64. */
window.samples = (channel) => {
  const bytes = new Uint8Array(rendered.getChannelData(channel).buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
};
