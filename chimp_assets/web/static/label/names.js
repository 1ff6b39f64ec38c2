// Belongs here: finding an individual by a few letters of its name, code or nickname.
// Does not belong here: the search box (search).

import uFuzzy from "ufuzzy";

const fuzzy = new uFuzzy({ intraMode: 1, intraIns: 1, intraSub: 1, intraTrn: 1, intraDel: 1 });

/** Lower case without accents, as people type it. */
export const plain = (text) => (text ?? "").normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();

/** What is searched of each individual; made once per list. */
export function indexed(individuals) {
  return individuals.map((individual) => {
    const terms = [individual.anim_id, individual.name, ...(individual.aliases ?? [])].map(plain).filter(Boolean);
    return { individual, terms, words: terms.flatMap((term) => term.split(/[\s_-]+/)), hay: terms.join(" ") };
  });
}

/**
 * The individuals that fit what was typed, the likeliest first. A whole code or name comes before names that begin so,
 * those before words within a name, those before spellings one letter off. Among equals: named lately (`recency`: code
 * -> a number, larger is later), then often, then the shorter name.
 */
export function search(index, typed, { recency = new Map(), limit = 8 } = {}) {
  const needle = plain(typed);
  const score = (entry) => {
    if (!needle) return 4;
    if (entry.terms.includes(needle)) return 0;
    if (entry.terms.some((term) => term.startsWith(needle))) return 1;
    if (entry.words.some((word) => word.startsWith(needle))) return 2;
    return entry.hay.includes(needle) ? 3 : null;
  };
  let found = index.map((entry) => ({ entry, score: score(entry) })).filter((hit) => hit.score !== null);
  if (found.length < 3 && needle.length > 2) {
    const seen = new Set(found.map((hit) => hit.entry));
    const close = fuzzy.filter(index.map((entry) => entry.hay), needle) ?? [];
    found = found.concat(close.map((i) => ({ entry: index[i], score: 5 })).filter((hit) => !seen.has(hit.entry)));
  }
  const late = (hit) => recency.get(hit.entry.individual.anim_id) ?? 0;
  const often = (hit) => hit.entry.individual.recent ?? 0;
  const label = (hit) => hit.entry.individual.name || hit.entry.individual.anim_id;
  found.sort(
    (a, b) =>
      a.score - b.score || late(b) - late(a) || often(b) - often(a) || label(a).length - label(b).length ||
      label(a).localeCompare(label(b)),
  );
  return found.slice(0, limit).map((hit) => hit.entry.individual);
}
