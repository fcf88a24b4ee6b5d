// One picture, small or large, or a calm word in its place.

import { el } from "./dom.js";

export function thumbOf(picture) {
  return `thumbs/${picture.key}.webp`;
}

export function viewOf(picture) {
  return `views/${picture.key}.webp`;
}

// An element for a picture of the JSON; *alt* says what it shows.
export function thumb(picture, alt) {
  if (!picture) return absent("none");
  if (!picture.key) return absent("at another address", picture.name);
  return el("img", {
    src: thumbOf(picture), alt, loading: "lazy", decoding: "async", draggable: "false",
    onerror: (event) => event.target.replaceWith(absent("not there", picture.name ?? picture.file)),
  });
}

// The same for a window of its own: the small picture until the large one is there.
export function view(picture, alt) {
  const element = thumb(picture, alt);
  if (picture?.key) {
    element.loading = "eager";
    load(picture).then((source) => { if (!("full" in element.dataset)) element.src = source; }, () => {});
  }
  return element;
}

let hasViews = true;

// A report that is to be sent has the small copies only.
export function haveNoViews() {
  hasViews = false;
}

// Have a picture at hand before it is asked for. Throws where it is not to be had.
export async function load(picture) {
  if (!hasViews) throw new Error("small copies only");
  const large = new Image();
  large.src = viewOf(picture);
  await large.decode();
  return large.src;
}

function absent(word, name) {
  return el("span", { class: "absent", title: name }, word);
}
