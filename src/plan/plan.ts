/**
 * A plan: the ordered, typed, printable list of every privileged act that the executor will take.
 * Plain frozen data; src/plan/encode.ts makes bytes of it and src/plan/print.ts words.
 */
import type { OperandValue, OperationName, operations } from "./operations.ts";

/** Version of the binary form; the executor refuses any other. */
export const planVersion = 1;

type OperandsOf<N extends OperationName> = {
  readonly [K in keyof (typeof operations)[N]["operands"]]: (typeof operations)[N]["operands"][K] extends keyof OperandValue
    ? OperandValue[(typeof operations)[N]["operands"][K]]
    : never;
};

/** One operation with its operands. */
export type StepOf<N extends OperationName> = {
  readonly op: N;
  /** JSON pointer of the config member that asked for it; "" for what the runtime itself needs. */
  readonly where: string;
  /** What runc would say before the reason, since callers parse it; the operation's name otherwise. */
  readonly phrase?: string;
} & OperandsOf<N>;

export type Step = { [N in OperationName]: StepOf<N> }[OperationName];

export interface Plan {
  /** Acts of the executor itself, before and after the child exists. */
  readonly host: readonly Step[];
  /** Acts of the new process, up to becoming the program. */
  readonly child: readonly Step[];
  /** What undoes the rest: run after the child's end, and after any failure. Idempotent. */
  readonly cleanup: readonly Step[];
  /** Unpacking of a layer: a plan holds either this or the other three. */
  readonly layer?: readonly Step[];
}

/** The points at which the executor talks to its controller. */
export const syncPoints = { created: 1, started: 2, network: 3, ready: 5, memory: 6, unit: 9 } as const;

export type SyncPoint = keyof typeof syncPoints;
