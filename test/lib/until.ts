import { setTimeout as sleep } from "node:timers/promises";

/** What deadlines are multiplied by: emulated processors take their time. */
export const patience = process.env.GANTRY_TEST_SLOW ? 6 : 1;

/**
 * Asks again and again until the answer is neither undefined nor false, and hands it back; fails at the deadline
 * with what was waited for. Tests never sleep for a guess.
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs * patience;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.5, 100)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs * patience} ms in vain: ${what}`);
    await sleep(pauseMs);
  }
}
