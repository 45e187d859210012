/** The user ended the command with a signal; not an error to be told. */
const numbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

export class Interrupted extends Error {
  readonly number: number;

  constructor(name: NodeJS.Signals) {
    super(`interrupted by ${name}`);
    this.number = numbers[name] ?? 0;
  }
}
