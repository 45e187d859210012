/** Values by key, of which only so many are kept: the one that nobody has asked for the longest goes first. */
export class LastUsed<V extends object> {
  readonly #limit: number;
  /** A Map lists its keys in the order in which they came. */
  readonly #values = new Map<string, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): V | undefined {
    const value = this.#values.get(key);
    if (value) this.#put(key, value);
    return value;
  }

  /** Hands the value back. */
  keep(key: string, value: V): V {
    this.#put(key, value);
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#limit) break;
      this.#values.delete(oldest);
    }
    return value;
  }

  #put(key: string, value: V): void {
    this.#values.delete(key);
    this.#values.set(key, value);
  }
}
