"use strict";

const test = JSON.parse(document.getElementById("test").textContent);
const KEPT = `wavegan-listening-test-${test.test}`;
const SCALES = {
  quality: {
    name: "Quality",
    question: "How good does it sound?",
    words: ["bad", "poor", "fair", "good", "excellent"],
  },
  naturalness: {
    name: "Naturalness",
    question: "How much like the real thing?",
    words: ["artificial", "rather artificial", "in between", "rather natural", "natural"],
  },
};

let state = remember() ?? begin();
let players = [];

// What a listener has done so far: it outlives a reload.

function begin() {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return {
    listener: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    begun: null,
    ended: null,
    trial: 0,
    answers: test.trials.map((clips) => ({
      begun: null,
      ended: null,
      clips: clips.map(() => ({ plays: 0, heard: false, quality: null, naturalness: null })),
    })),
  };
}

function remember() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT));
    const fits = test.trials.every((clips, k) => kept.answers[k].clips.length === clips.length);
    return fits && Number.isInteger(kept.trial) ? kept : null;
  } catch {
    return null;
  }
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(state));
  } catch {
    say("problem", "This browser keeps nothing of this page: do not close or reload it before the end.");
  }
}

// What is shown.

function find(selector, parent = document) {
  return parent.querySelector(selector);
}

function say(id, text) {
  document.getElementById(id).textContent = text;
}

function show(id, focuses = true) {
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = section.id !== id;
  }
  if (focuses) {
    find(`#${id} h1`).focus();
  }
  scrollTo(0, 0);
}

function showState(focuses) {
  if (!state.begun) {
    show("welcome", focuses);
  } else if (state.trial < test.trials.length) {
    showTrial(focuses);
  } else {
    showEnd(focuses);
  }
}

function showTrial(focuses) {
  const answer = state.answers[state.trial];
  answer.begun ??= Date.now();
  keep();
  say("number", state.trial + 1);
  say("status", "");
  say("next", state.trial + 1 < test.trials.length ? "Next set" : "Finish");
  find("#progress").value = state.trial;
  players = test.trials[state.trial].map((clip, k) => new Player(clip, letter(k), answer.clips[k]));
  find("#sounds").replaceChildren(...players.map((player) => player.element));
  show("trial", focuses);
}

function letter(k) {
  return String.fromCharCode(65 + k);
}

/** A clip that can be heard, and its scales. */
class Player {
  constructor(clip, name, answer) {
    this.name = name;
    this.answer = answer;
    this.element = find("#sound").content.cloneNode(true).firstElementChild;
    this.button = find(".play", this.element);
    this.bar = find("progress", this.element);
    find(".letter", this.element).textContent = name;
    this.audio = new Audio(`clips/${clip}.wav`);
    this.audio.preload = "auto";
    this.button.addEventListener("click", () => (this.isPlaying ? this.stop() : this.play()));
    this.audio.addEventListener("timeupdate", () => this.showPlace());
    this.audio.addEventListener("ended", () => this.end());
    this.audio.addEventListener("error", () => this.fail());
    this.scales = Object.keys(SCALES).map((scale) => this.addScale(scale));
    this.isPlaying = false;
    this.showPlaying();
    this.showPlace();
  }

  play() {
    players.forEach((player) => player.stop());
    this.isPlaying = true;
    this.answer.plays += 1;
    keep();
    this.audio.currentTime = 0;
    this.audio.play().catch((error) => {
      // One that was stopped before it began.
      if (error.name !== "AbortError") {
        this.fail();
      }
    });
    this.showPlaying();
  }

  stop() {
    this.audio.pause();
    this.isPlaying = false;
    this.showPlaying();
  }

  end() {
    this.stop();
    this.answer.heard = true;
    keep();
    this.showPlace();
  }

  fail() {
    this.stop();
    say("problem", `Sound ${this.name} cannot be played. The folder clips must lie beside this page.`);
  }

  showPlaying() {
    this.button.textContent = this.isPlaying ? "Stop" : "Play";
    this.button.classList.toggle("playing", this.isPlaying);
    this.button.setAttribute("aria-label", `${this.button.textContent} sound ${this.name}`);
  }

  showPlace() {
    this.bar.value = this.isPlaying ? this.audio.currentTime / test.seconds : 0;
    find(".heard", this.element).textContent = this.answer.heard ? "heard" : "not heard yet";
  }

  addScale(scale) {
    const { name, question, words } = SCALES[scale];
    const element = find("#scale").content.cloneNode(true).firstElementChild;
    const [label, slider, output] = ["label", "input", "output"].map((selector) => find(selector, element));
    slider.id = `${scale}-${this.name}`;
    label.htmlFor = slider.id;
    label.append(name, Object.assign(document.createElement("small"), { textContent: question }));
    slider.setAttribute("aria-label", `${name} of sound ${this.name}: ${question}`);
    find(".words", element).append(
      ...words.map((word) => Object.assign(document.createElement("span"), { textContent: word })),
    );

    const showValue = () => {
      const value = this.answer[scale];
      const word = words[Math.min(words.length - 1, Math.floor((value * words.length) / 100))];
      output.textContent = value === null ? "not rated yet" : `${value}, ${word}`;
      slider.setAttribute("aria-valuetext", output.textContent);
      element.classList.toggle("unrated", value === null);
    };
    const rate = () => {
      this.answer[scale] = slider.valueAsNumber;
      keep();
      showValue();
    };
    slider.value = this.answer[scale] ?? 50;
    slider.addEventListener("input", rate);
    // The middle is a rating, too, when it is chosen.
    slider.addEventListener("pointerup", rate);
    slider.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" || key === " ") {
        rate();
      }
    });
    showValue();
    this.element.append(element);
    return { scale, name, slider };
  }

  /** What still has to be done, as words and the element to do it with, or null. */
  missing() {
    if (!this.answer.heard) {
      return [`listen to sound ${this.name} to its end`, this.button];
    }
    const open = this.scales.find(({ scale }) => this.answer[scale] === null);
    return open ? [`rate the ${open.name.toLowerCase()} of sound ${this.name}`, open.slider] : null;
  }
}

function goOn() {
  const missing = players.map((player) => player.missing()).find((each) => each !== null);
  if (missing) {
    say("status", `Before you go on, please ${missing[0]}.`);
    missing[1].focus();
    return;
  }
  players.forEach((player) => player.stop());
  state.answers[state.trial].ended = Date.now();
  state.trial += 1;
  const isDone = state.trial === test.trials.length;
  if (isDone) {
    state.ended = Date.now();
  }
  keep();
  showState(true);
  if (isDone) {
    find("#json").click();
  }
}

// What comes of it.

function readKey() {
  const bytes = Uint8Array.from(atob(test.key), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function result() {
  const key = readKey();
  return {
    format: "wavegan listening test 1",
    test: test.test,
    seed: test.seed,
    listener: state.listener,
    begun: new Date(state.begun).toISOString(),
    ended: new Date(state.ended).toISOString(),
    sounds: key.sounds,
    trials: state.answers.map(({ begun, ended, clips }, k) => ({
      is_control: new Set(key.trials[k]).size === 1,
      // A clock may be set back meanwhile.
      seconds: Math.max(0, ended - begun) / 1000,
      ratings: clips.map(({ plays, quality, naturalness }, position) => ({
        sound: key.sounds[key.trials[k][position]],
        clip: test.trials[k][position],
        plays,
        quality,
        naturalness,
      })),
    })),
  };
}

function toCsv({ test, seed, listener, trials }) {
  const head = "test seed listener trial is_control seconds position sound clip plays quality naturalness".split(" ");
  const rows = trials.flatMap(({ is_control, seconds, ratings }, k) =>
    ratings.map(({ sound, clip, plays, quality, naturalness }, position) => [
      test, seed, listener, k + 1, is_control, seconds, position + 1, sound, clip, plays, quality, naturalness,
    ]),
  );
  const quote = (value) => (typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : value);
  return [head, ...rows.map((row) => row.map(quote))].map((row) => `${row.join(",")}\r\n`).join("");
}

function showEnd(focuses) {
  const found = result();
  const name = `listening-test-${found.test}-${found.listener}`;
  say("file", `${name}.json`);
  offer("#json", `${JSON.stringify(found, null, 2)}\n`, `${name}.json`, "application/json");
  offer("#csv", toCsv(found), `${name}.csv`, "text/csv");
  const ratings = found.trials.flatMap((trial, k) =>
    trial.ratings.map((rating, position) => ({ ...rating, position, trial: k + 1, is_control: trial.is_control })),
  );
  const means = found.sounds.map((sound) => {
    const own = ratings.filter((rating) => rating.sound === sound && !rating.is_control);
    const mean = (scale) => (own.reduce((sum, rating) => sum + rating[scale], 0) / own.length).toFixed(1);
    return [sound, mean("quality"), mean("naturalness")];
  });
  fill("#means tbody", means);
  fill(
    "#all tbody",
    ratings.map(({ trial, position, sound, is_control, quality, naturalness }) => [
      trial, letter(position), is_control ? `${sound} (all the same)` : sound, quality, naturalness,
    ]),
  );
  show("end", focuses);
}

function offer(selector, text, name, type) {
  const link = find(selector);
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
}

function fill(selector, rows) {
  find(selector).replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement("tr");
      row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }),
  );
}

find("#begin").addEventListener("click", () => {
  state.begun = Date.now();
  showState(true);
});
find("#next").addEventListener("click", goOn);
find("#again").addEventListener("click", () => {
  state = begin();
  keep();
  showState(true);
});
showState(false);
