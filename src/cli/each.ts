/** Commands that take several names: each is tried, failures are told one by one. */
import type { Container } from "../engine/containers/container.ts";
import type { CommandContext } from "./context.ts";
import { messageOf } from "./error-text.ts";
import { Interrupted } from "./interrupted.ts";

/** Runs `act` for every name in order; prints what it returns, by default the name. 1 if any of them failed. */
export async function forEachName(
  context: CommandContext,
  names: readonly string[],
  act: (name: string) => Promise<string | undefined>,
): Promise<number> {
  let status = 0;
  for (const name of names) {
    try {
      const printed = await act(name);
      if (printed !== undefined) context.out(`${printed}\n`);
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      context.err(`gantry: ${messageOf(error)}\n`);
      status = 1;
    }
  }
  return status;
}

/** The same for containers, each of which is looked up when its turn comes; prints the names as they were given. */
export async function forEachContainer(
  context: CommandContext,
  names: readonly string[],
  act: (container: Container, options: { readonly signal: AbortSignal }) => Promise<void>,
): Promise<number> {
  const engine = await context.engine();
  const cancellable = { signal: context.signal };
  return await forEachName(context, names, async (name) => {
    await act(await engine.container(name, cancellable), cancellable);
    return name;
  });
}
