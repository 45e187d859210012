/**
 * An assembler of classic BPF for seccomp filters, which writes a program from its end to its
 * beginning. Classic BPF jumps only forward, so each jump finds its targets already placed, and all
 * distances are known without a second pass.
 *
 * A *label* is the number of instructions from its target to the end of the program.
 */
import { GantryError } from "../../base/error.ts";

/** Opcodes of linux/bpf_common.h, as far as seccomp filters use them. */
export const opcodes = {
  loadWord: 0x20, // BPF_LD | BPF_W | BPF_ABS
  and: 0x54, // BPF_ALU | BPF_AND | BPF_K
  jump: 0x05, // BPF_JMP | BPF_JA
  ifEqual: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
  ifGreater: 0x25, // BPF_JMP | BPF_JGT | BPF_K
  ifGreaterOrEqual: 0x35, // BPF_JMP | BPF_JGE | BPF_K
  return: 0x06, // BPF_RET | BPF_K
} as const;

/** BPF_MAXINSNS: the kernel refuses longer programs. */
export const maxInstructions = 4096;

/** The farthest a conditional jump reaches: its offsets are one byte each. */
const reach = 255;

export type Label = number;

export class BackwardAssembler {
  /** Filled from its end; grows when full. */
  #bytes = new Uint8Array(512 * 8);
  #view = new DataView(this.#bytes.buffer);
  readonly #returns = new Map<number, Label>();
  /** How many instructions there are. */
  length = 0;

  #emit(code: number, whenTrue: number, whenFalse: number, operand: number): Label {
    let at = this.#bytes.length - ++this.length * 8;
    if (at < 0) {
      const bytes = new Uint8Array(this.#bytes.length * 2);
      bytes.set(this.#bytes, this.#bytes.length);
      at += this.#bytes.length;
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    this.#bytes[at] = code;
    this.#bytes[at + 2] = whenTrue;
    this.#bytes[at + 3] = whenFalse;
    this.#view.setUint32(at + 4, operand, true);
    return this.length;
  }

  /** Loads the 32-bit word at `offset` of struct seccomp_data, then goes on with what was written before. */
  load(offset: number): Label {
    return this.#emit(opcodes.loadWord, 0, 0, offset);
  }

  and(mask: number): Label {
    return this.#emit(opcodes.and, 0, 0, mask);
  }

  /** A return of `value`; one instruction serves all who want the same value and are near enough. */
  return(value: number): Label {
    const placed = this.#returns.get(value);
    if (placed !== undefined) return placed;
    const label = this.#emit(opcodes.return, 0, 0, value);
    this.#returns.set(value, label);
    return label;
  }

  /** Makes `target` the next thing to run. */
  goto(target: Label): Label {
    return this.length === target ? target : this.#reachable(target, -1);
  }

  /** Compares the loaded word with `operand` and goes to one of two labels. */
  branch(code: number, operand: number, whenTrue: Label, whenFalse: Label): Label {
    if (whenTrue === whenFalse) return this.goto(whenTrue);
    // a detour for the true side may push the false side one instruction further away
    const no = this.#reachable(whenFalse, reach - 1);
    const yes = this.#reachable(whenTrue, reach);
    return this.#emit(code, this.length - yes, this.length - no, operand);
  }

  /** A label not more than `distance` away that leads to `target`: itself, a copied return, or a jump. */
  #reachable(target: Label, distance: number): Label {
    if (this.length - target <= distance) return target;
    const at = this.#bytes.length - target * 8;
    if (this.#bytes[at] === opcodes.return) {
      const value = this.#view.getUint32(at + 4, true);
      const label = this.#emit(opcodes.return, 0, 0, value);
      this.#returns.set(value, label);
      return label;
    }
    return this.#emit(opcodes.jump, 0, 0, this.length - target);
  }

  /** The program as an array of struct sock_filter in little-endian byte order. */
  finish(): Uint8Array {
    if (this.length > maxInstructions)
      throw new GantryError(
        "resource-exhausted",
        `compile seccomp policy: ${this.length} instructions, the kernel takes ${maxInstructions}`,
        { detail: { instructions: this.length, limit: maxInstructions } },
      );
    return this.#bytes.slice(this.#bytes.length - this.length * 8);
  }
}
