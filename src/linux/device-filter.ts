/**
 * Device rules -> an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE, the devices controller of
 * cgroup v2. The program is asked before each open and mknod of a device node; it answers 1 or 0.
 *
 * The last rule that matches decides, no match denies (as runc and crun). An allowing rule matches if it
 * covers all of the requested access; a denying rule matches if it forbids any part of it, so that
 * "deny w" also stops an open for reading and writing.
 */

import { type DeviceRule, deviceAccess, isForAll, parseDeviceRule } from "./devices.ts";
import type { LinuxDeviceCgroup } from "./resources.ts";

/** Opcodes of include/uapi/linux/bpf.h, as far as they are used here. */
const op = {
  loadWord: 0x61, // BPF_LDX | BPF_MEM | BPF_W
  moveImmediate: 0xb7, // BPF_ALU64 | BPF_MOV | BPF_K
  moveRegister: 0xbf, // BPF_ALU64 | BPF_MOV | BPF_X
  andImmediate: 0x57, // BPF_ALU64 | BPF_AND | BPF_K
  shiftRight: 0x77, // BPF_ALU64 | BPF_RSH | BPF_K
  ifNotEqual: 0x55, // BPF_JMP | BPF_JNE | BPF_K
  ifEqual: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
  ifRegistersDiffer: 0x5d, // BPF_JMP | BPF_JNE | BPF_X
  exit: 0x95, // BPF_JMP | BPF_EXIT
} as const;

const [answer, context, kind, access, major, minor, scratch] = [0, 1, 2, 3, 4, 5, 6];

/** BPF_DEVCG_DEV_* */
const kinds = { b: 1, c: 2 } as const;

class Program {
  readonly #words: { code: number; target: number; source: number; offset: number; immediate: number }[] = [];

  get length(): number {
    return this.#words.length;
  }

  add(code: number, target: number, source = 0, offset = 0, immediate = 0): number {
    return this.#words.push({ code, target, source, offset, immediate }) - 1;
  }

  /** Lets the jumps at `places` lead to the next instruction. */
  land(places: readonly number[]): void {
    for (const place of places) this.#words[place]!.offset = this.length - place - 1;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.length * 8);
    const view = new DataView(bytes.buffer);
    for (const [i, { code, target, source, offset, immediate }] of this.#words.entries()) {
      bytes[i * 8] = code;
      bytes[i * 8 + 1] = target | (source << 4);
      view.setInt16(i * 8 + 2, offset, true);
      view.setInt32(i * 8 + 4, immediate, true);
    }
    return bytes;
  }
}

function addRule(program: Program, rule: DeviceRule): void {
  const misses: number[] = [];
  if (rule.type !== "a") misses.push(program.add(op.ifNotEqual, kind!, 0, 0, kinds[rule.type]));
  if (rule.access !== deviceAccess.all) {
    program.add(op.moveRegister, scratch!, access);
    program.add(op.andImmediate, scratch!, 0, 0, rule.access);
    misses.push(
      rule.allow
        ? program.add(op.ifRegistersDiffer, scratch!, access)
        : program.add(op.ifEqual, scratch!, 0, 0, 0),
    );
  }
  if (rule.major !== undefined) misses.push(program.add(op.ifNotEqual, major!, 0, 0, rule.major));
  if (rule.minor !== undefined) misses.push(program.add(op.ifNotEqual, minor!, 0, 0, rule.minor));
  program.add(op.moveImmediate, answer!, 0, 0, rule.allow ? 1 : 0);
  program.add(op.exit, 0);
  program.land(misses);
}

/** The program, as an array of struct bpf_insn in little-endian byte order. Its licence may be any. */
export function compileDeviceFilter(rules: readonly LinuxDeviceCgroup[]): Uint8Array {
  const program = new Program();
  // struct bpf_cgroup_dev_ctx { u32 access_type (access << 16 | type); u32 major; u32 minor; }
  program.add(op.loadWord, kind!, context, 0);
  program.add(op.moveRegister, access!, kind);
  program.add(op.andImmediate, kind!, 0, 0, 0xffff);
  program.add(op.shiftRight, access!, 0, 0, 16);
  program.add(op.loadWord, major!, context, 4);
  program.add(op.loadWord, minor!, context, 8);
  for (const rule of rules.map(parseDeviceRule).reverse()) {
    addRule(program, rule);
    // what comes earlier can never run, and the verifier refuses unreachable code
    if (isForAll(rule)) return program.bytes();
  }
  program.add(op.moveImmediate, answer!, 0, 0, 0);
  program.add(op.exit, 0);
  return program.bytes();
}
