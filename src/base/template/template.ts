/** Runs `--format` templates over plain values, with Go's rules of truth, order and printing. */

import { callFunction, goText, isTrue } from "./template-functions.ts";
import {
  type Assignment,
  type Body,
  type Expression,
  type Node,
  parseTemplate,
  TemplateError,
  TemplateExecutionError,
} from "./template-parse.ts";

export { TemplateError } from "./template-parse.ts";

/** A template that is ready to run; `run` throws TemplateError where the value does not fit. */
export interface Template {
  run(value: unknown): string;
}

/**
 * Marks an object as a Go map: a key that is not there reads as no value instead of failing. Objects without this
 * mark count as structs.
 */
export function asMap<T>(entries: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null), entries);
}

export function compileTemplate(source: string): Template {
  const body = parseTemplate(source);
  return {
    run(value) {
      const run = new Run(value);
      try {
        run.body(body, value);
      } catch (error) {
        if (!(error instanceof Jump)) throw error;
        throw new TemplateError(`template parsing error: template: :1: {{${error.word}}} outside {{range}}`);
      }
      return run.output;
    },
  };
}

class Jump extends Error {
  readonly word: "break" | "continue";
  constructor(word: "break" | "continue") {
    super(word);
    this.word = word;
  }
}

class Run {
  output = "";
  /** Innermost scope last. */
  readonly #scopes: Map<string, unknown>[];

  constructor(root: unknown) {
    this.#scopes = [new Map([["$", root]])];
  }

  body(nodes: Body, dot: unknown): void {
    this.#scopes.push(new Map());
    try {
      for (const node of nodes) this.#node(node, dot);
    } finally {
      this.#scopes.pop();
    }
  }

  #node(node: Node, dot: unknown): void {
    switch (node.kind) {
      case "text":
        this.output += node.text;
        return;
      case "print": {
        const value = this.#evaluate(node.expression, dot);
        if (node.assign) this.#assign(node.assign, [value]);
        else this.output += goText(value);
        return;
      }
      case "if":
      case "with": {
        const value = this.#evaluate(node.expression, dot);
        if (isTrue(value)) this.body(node.body, node.kind === "with" ? value : dot);
        else this.body(node.otherwise, dot);
        return;
      }
      case "range":
        this.#range(node, dot);
        return;
      case "break":
      case "continue":
        throw new Jump(node.kind);
      default:
        node satisfies never;
    }
  }

  #range(node: Node & { kind: "range" }, dot: unknown): void {
    const value = this.#evaluate(node.expression, dot);
    const entries = entriesOf(value);
    if (entries.length === 0) this.body(node.otherwise, dot);
    this.#scopes.push(new Map());
    try {
      for (const [key, item] of entries) {
        if (node.assign)
          this.#assign({ ...node.assign }, node.assign.names.length === 2 ? [key, item] : [item]);
        try {
          this.body(node.body, item);
        } catch (error) {
          if (!(error instanceof Jump)) throw error;
          if (error.word === "break") break;
        }
      }
    } finally {
      this.#scopes.pop();
    }
  }

  #assign(assign: Assignment, values: readonly unknown[]): void {
    assign.names.forEach((name, index) => {
      const scope = assign.declare
        ? this.#scopes.at(-1)
        : this.#scopes.findLast((candidate) => candidate.has(name));
      if (!scope)
        throw new TemplateError(`template parsing error: undefined variable ${JSON.stringify(name)}`);
      scope.set(name, values[index]);
    });
  }

  #evaluate(expression: Expression, dot: unknown): unknown {
    switch (expression.kind) {
      case "literal":
        return expression.value;
      case "dot":
        return dot;
      case "variable": {
        const scope = this.#scopes.findLast((candidate) => candidate.has(expression.name));
        if (!scope)
          throw new TemplateError(
            `template parsing error: undefined variable ${JSON.stringify(expression.name)}`,
          );
        return scope.get(expression.name);
      }
      case "field": {
        const value = readField(this.#evaluate(expression.of, dot), expression.name, expression.text);
        return typeof value === "function" ? value() : value;
      }
      case "method": {
        const { field, args } = expression;
        const method = readField(this.#evaluate(field.of, dot), field.name, field.text);
        if (typeof method !== "function")
          throw failure(field.text, `${field.name} is not a method but has arguments`);
        return method(...args.map((arg) => this.#evaluate(arg, dot)));
      }
      case "call":
        return this.#call(expression, dot);
      default:
        return expression satisfies never;
    }
  }

  #call(call: Expression & { kind: "call" }, dot: unknown): unknown {
    // these two stop at the first argument that decides
    if (call.name === "and" || call.name === "or") {
      let value: unknown;
      for (const arg of call.args) {
        value = this.#evaluate(arg, dot);
        if (isTrue(value) === (call.name === "or")) return value;
      }
      return value;
    }
    return callFunction(
      call.name,
      call.args.map((arg) => this.#evaluate(arg, dot)),
    );
  }
}

function failure(text: string, reason: string): TemplateExecutionError {
  return new TemplateExecutionError(
    `template parsing error: template: :1: executing "" at <${text}>: ${reason}`,
  );
}

function readField(value: unknown, name: string, text: string): unknown {
  if (value === null || value === undefined)
    throw failure(text, `nil pointer evaluating interface {}.${name}`);
  if (typeof value !== "object" || Array.isArray(value))
    throw failure(
      text,
      `can't evaluate field ${name} in type ${Array.isArray(value) ? "[]interface {}" : typeof value}`,
    );
  if (Object.hasOwn(value, name)) return (value as Record<string, unknown>)[name];
  if (Object.getPrototypeOf(value) === null) return undefined;
  throw failure(text, `map has no entry for key ${JSON.stringify(name)}`);
}

/** What range walks over: the items of a list, the members of a map in the order of their keys, a count. */
function entriesOf(value: unknown): (readonly [unknown, unknown])[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item, index) => [index, item] as const);
  if (typeof value === "number") return Array.from({ length: value }, (_, index) => [index, index] as const);
  if (typeof value === "object") return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  throw failure("range", `range can't iterate over ${goText(value)}`);
}
