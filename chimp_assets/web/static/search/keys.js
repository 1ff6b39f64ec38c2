// Belongs here: keys on the page of search. Does not belong here: moving, marking and naming (marks.js), which pictures
// there are; the server draws them, and without this script their links do the same.

import { startMarks } from "./marks.js";

const box = document.querySelector("[data-box]");
startMarks((event, tile) => {
  const link = event.shiftKey && { KeyL: "[data-like]", KeyO: "[data-video]" }[event.code];
  if (!link) return false;
  tile.querySelector(link).click();
  return true;
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.altKey || event.metaKey) return;
  box?.focus();
  event.preventDefault();
});
