/**
 * Fault injection for the robustness tests: with `GANTRY_FAULT=point` in the environment the process ends itself
 * with SIGKILL when it reaches the point of that name, as a power cut or the OOM killer would end it. Without the
 * variable a call costs one comparison.
 */
const wanted = process.env.GANTRY_FAULT;

/** A point at which a test may kill this process. */
export function faultPoint(name: string): void {
  if (wanted !== undefined && wanted === name) {
    process.kill(process.pid, "SIGKILL");
    // the signal is pending and comes before the next system call returns; go no further in any case
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
  }
}
