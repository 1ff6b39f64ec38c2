// Belongs here: what the page of search does with the pictures that it shows. Does not belong here: marking (marks.js).

import { startMarks } from "./marks.js";

startMarks();
