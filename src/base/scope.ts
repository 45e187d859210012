/**
 * Owns what a multi-step creation has acquired, so that a failure half-way undoes all of it.
 *
 *     await using scope = new Scope();
 *     const a = scope.use(await openA());
 *     scope.defer(() => removeB());
 *     return scope.keep(result);          // success: nothing is released
 */
export class Scope implements AsyncDisposable {
  #releases: (() => unknown)[] = [];

  /** Runs `release` when the scope ends, in reverse order of registration. */
  defer(release: () => unknown): void {
    this.#releases.push(release);
  }

  /** Takes ownership of a disposable and hands it back. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(() =>
      Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose](),
    );
    return resource;
  }

  /** Success: the scope forgets all it owned; the caller owns it from now on. */
  keep<T>(result: T): T {
    this.#releases = [];
    return result;
  }

  /** Releases everything once; failures of several releases are gathered, none is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let release = this.#releases.pop(); release; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} releases failed`);
  }
}
