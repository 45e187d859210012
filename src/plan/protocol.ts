/**
 * The dialogue between a controller (engine, attached client) and the executor or shim, over one
 * stream socket. Each frame is a header of 8 bytes, little-endian, and a payload:
 *
 *     u32 payload length | u8 type | u8 0 | u16 0 | payload
 *
 *     controller                      executor
 *        | -- plan ------------------->  |   checked whole, then run
 *        | <----------------- sync ----  |   {u32 point, u32 pid}; waits for
 *        | -- go --------------------->  |   go, or abort: undo everything
 *        | <-------------- reported ---  |   {u32 point, u32 pid}
 *        | <--------------- failed ----  |   the plan ended; undone
 *        | <----------------- done ----  |   the plan ended well (no supervise in it)
 *        | <------- stdout, stderr ----  |   supervise: output of the container
 *        | -- stdin, stdin-end, signal,  |
 *        |    resize ----------------->  |
 *        | <------------------ exit ---  |   the container and its clean-up are over
 *
 * A client that connects to the shim's socket begins with `attach` or `wait` and then sees the same.
 */

/** Frame types that a controller sends. */
export const requests = {
  plan: 1,
  go: 2,
  abort: 3,
  /** Bytes for the container's stdin. */
  stdin: 4,
  "stdin-end": 5,
  /** {u16 rows, u16 columns} */
  resize: 6,
  /** {u32 signal, u32 0 only init, 1 all processes of the container} */
  signal: 7,
  /**
   * {u32 bits: 1 stdin, 2 stdout, 4 stderr, 8 stdin ends with this connection, 16 the process does}: be shown the
   * streams from now on. Right behind the last `go`, it counts from the first byte.
   */
  attach: 8,
  /** Be told of the exit only. */
  wait: 9,
  /** Neither process nor stdin ends with any connection from now on. */
  disown: 10,
  /**
   * {u32 1 hold, 0 let go}: freezes the container's cgroup, whose state tells when all has come to a halt, for as long
   * as this connection holds it. It thaws when the last holder has let go, unless it was frozen before.
   */
  hold: 11,
} as const;

/** Frame types that the executor sends. */
export const replies = {
  sync: 65,
  reported: 66,
  /** {u32 stage, u32 step, i32 errno, u32 status, text detail}: see FailureReport. */
  failed: 67,
  done: 68,
  stdout: 69,
  stderr: 70,
  /** {i32 code 0-255, u32 signal, u32 oom 0/1} */
  exit: 71,
  /** {u32 errno}: the answer to signal, resize, attach, wait, disown and hold. */
  answer: 72,
  /** {u16 rows, u16 columns} of the terminal outside, see the operation watch-terminal. */
  size: 73,
  /** tree-stat, tree-list, tree-read: see decodeTreeEntry. */
  entry: 85,
  /** tree-read: the next bytes of the file. */
  data: 86,
  /** tree-read: {u64 offset, u64 bytes} of each part of the file that has data; the others are holes. */
  extents: 87,
} as const;

export const frameHeaderBytes = 8;
/** Longest payload either side accepts; a plan may be this long, streams are cut smaller. */
export const frameLimitBytes = 16 * 1024 * 1024;

/** Stages by number, as reports name them. */
export const stageNumbers = { check: 0, host: 1, child: 2, cleanup: 3, layer: 4 } as const;
