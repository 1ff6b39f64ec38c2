// Belongs here: one tab at a time, and which tabs live. Web locks where there are any; leases in the store elsewhere
// (browsers give web locks to https and localhost only). Does not belong here: what is done under the lock.

import { uuid } from "./net.js";
import { leaseHolders, returnLease, takeLease } from "./store.js";

export const TAB = uuid();

// A tab that died keeps its lease for this long; a living one renews it three times as often.
const LEASE_MS = 15_000;

/** Run work while no other tab does; returns undefined at once if one does. */
export async function alone(name, work) {
  if (navigator.locks) {
    return navigator.locks.request(`chimp:${name}`, { ifAvailable: true }, (lock) => (lock ? work() : undefined));
  }
  if (!(await takeLease(name, TAB, LEASE_MS))) return undefined;
  const renewal = setInterval(() => takeLease(name, TAB, LEASE_MS), LEASE_MS / 3);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    await returnLease(name, TAB);
  }
}

/** Say that this tab lives, until it is closed or killed. */
export async function announceTab() {
  const name = `tab:${TAB}`;
  if (navigator.locks) {
    await new Promise((held) => {
      navigator.locks.request(`chimp:${name}`, () => {
        held();
        return new Promise(() => {});
      });
    });
    return;
  }
  await takeLease(name, TAB, LEASE_MS);
  setInterval(() => takeLease(name, TAB, LEASE_MS), LEASE_MS / 3);
  addEventListener("pagehide", () => returnLease(name, TAB));
}

/** The tabs that live now, this one among them. */
export async function livingTabs() {
  if (navigator.locks) {
    const { held } = await navigator.locks.query();
    return new Set(held.filter((lock) => lock.name.startsWith("chimp:tab:")).map((lock) => lock.name.slice(10)));
  }
  return new Set((await leaseHolders("tab:")).map((name) => name.slice(4)));
}
