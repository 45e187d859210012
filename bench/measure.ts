/** Numbers from repeated runs: medians and ratios, taken side by side so that a noisy machine hits all alike. */

export interface Contender {
  readonly name: string;
  /** One run; hands back its own figure in milliseconds, or nothing to have the call timed. */
  run(): Promise<number | undefined>;
}

export interface Series {
  readonly name: string;
  readonly ms: readonly number[];
  /** The first error, where not every run succeeded. */
  readonly failure: string | undefined;
}

/** Runs the contenders in turn, round by round, after one round that does not count. */
export async function interleave(contenders: readonly Contender[], rounds: number): Promise<Series[]> {
  const series = contenders.map(({ name }) => ({
    name,
    ms: [] as number[],
    failure: undefined as string | undefined,
  }));
  for (let round = -1; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const one = series[index]!;
      if (one.failure !== undefined) continue;
      try {
        const started = performance.now();
        const figure = (await contender.run()) ?? performance.now() - started;
        if (round >= 0) one.ms.push(figure);
      } catch (error) {
        one.failure = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return series;
}

/** The value below which `part` of the numbers lie. */
export function quantile(numbers: readonly number[], part: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
