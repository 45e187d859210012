/**
 * An interpreter of classic BPF as the kernel runs it for seccomp (kernel/seccomp.c
 * seccomp_check_filter lists what a filter may hold). Tests use it to ask a program for its verdict;
 * `explain` can use it to show what a policy does to one call.
 */
import { bug } from "../../base/error.ts";
import { opcodes } from "./assembler.ts";

/** struct seccomp_data: what a filter sees of a system call. */
export interface SyscallSeen {
  readonly number: number;
  readonly auditArch: number;
  readonly args?: readonly bigint[];
  readonly instructionPointer?: bigint;
}

export interface Verdict {
  /** The SECCOMP_RET_* value with its data. */
  readonly action: number;
  /** How many instructions ran. */
  readonly steps: number;
}

/** The bytes of struct seccomp_data, little-endian: nr, arch, instruction_pointer, args[6]. */
export function seccompData(call: SyscallSeen): DataView {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint32(0, call.number >>> 0, true);
  view.setUint32(4, call.auditArch >>> 0, true);
  view.setBigUint64(8, call.instructionPointer ?? 0n, true);
  for (let i = 0; i < 6; i++) view.setBigUint64(16 + 8 * i, BigInt.asUintN(64, call.args?.[i] ?? 0n), true);
  return view;
}

/** Four numbers an instruction, kept for each program that was run: tests run one millions of times. */
const decoded = new WeakMap<Uint8Array, Uint32Array>();

function decode(program: Uint8Array): Uint32Array {
  const known = decoded.get(program);
  if (known) return known;
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const words = new Uint32Array(program.length / 2);
  for (let i = 0; i < program.length / 8; i++) {
    words[i * 4] = view.getUint16(i * 8, true);
    words[i * 4 + 1] = program[i * 8 + 2]!;
    words[i * 4 + 2] = program[i * 8 + 3]!;
    words[i * 4 + 3] = view.getUint32(i * 8 + 4, true);
  }
  decoded.set(program, words);
  return words;
}

/** Runs `program` (struct sock_filter array, little-endian, not changed later) over `data` (see seccompData). */
export function runSeccompFilter(program: Uint8Array, data: DataView): Verdict {
  const words = decode(program);
  const scratch = new Uint32Array(16);
  let accumulator = 0;
  let index = 0;
  let at = 0;
  for (let steps = 1; ; steps++) {
    if (at >= words.length) bug(`seccomp filter runs past its end at ${at / 4}`);
    const operand = words[at + 3]!;
    let skipped = 0;
    switch (words[at]) {
      case opcodes.loadWord:
        if (operand % 4 !== 0 || operand > 60) bug(`seccomp filter loads offset ${operand}`);
        accumulator = data.getUint32(operand, true);
        break;
      case opcodes.and:
        accumulator = (accumulator & operand) >>> 0;
        break;
      case opcodes.jump:
        skipped = operand;
        break;
      case opcodes.ifEqual:
        skipped = words[at + (accumulator === operand ? 1 : 2)]!;
        break;
      case opcodes.ifGreater:
        skipped = words[at + (accumulator > operand ? 1 : 2)]!;
        break;
      case opcodes.ifGreaterOrEqual:
        skipped = words[at + (accumulator >= operand ? 1 : 2)]!;
        break;
      case 0x45: // BPF_JMP | BPF_JSET | BPF_K
        skipped = words[at + ((accumulator & operand) !== 0 ? 1 : 2)]!;
        break;
      case opcodes.return:
        return { action: operand, steps };
      case 0x16: // BPF_RET | BPF_A
        return { action: accumulator, steps };
      case 0x00: // BPF_LD | BPF_IMM
        accumulator = operand;
        break;
      case 0x60: // BPF_LD | BPF_MEM
        accumulator = scratch[operand]!;
        break;
      case 0x61: // BPF_LDX | BPF_MEM
        index = scratch[operand]!;
        break;
      case 0x02: // BPF_ST
        scratch[operand] = accumulator;
        break;
      case 0x03: // BPF_STX
        scratch[operand] = index;
        break;
      case 0x07: // BPF_MISC | BPF_TAX
        index = accumulator;
        break;
      case 0x87: // BPF_MISC | BPF_TXA
        accumulator = index;
        break;
      default:
        bug(`seccomp filter holds opcode 0x${words[at]!.toString(16)}`);
    }
    at += 4 * (1 + skipped);
  }
}

/** The verdict of `program` on one call. */
export function simulateSeccomp(program: Uint8Array, call: SyscallSeen): Verdict {
  return runSeccompFilter(program, seccompData(call));
}
