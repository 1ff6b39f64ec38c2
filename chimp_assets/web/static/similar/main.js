// Belongs here: the keys by which a picture becomes an example. Does not belong here: moving, marking and naming, as on
// every page of found tracks (search/marks.js), and which pictures there are: the server draws them.

import { startMarks } from "../search/marks.js";

startMarks((event, tile) => {
  const link = { "+": "[data-plus]", "-": "[data-minus]" }[event.key] ?? (event.key === "L" && event.shiftKey ? "[data-like]" : null);
  if (!link) return false;
  tile.querySelector(link).click();
  return true;
});
