import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { Dialogue } from "./dialogue.ts";

test("an executor that is not there is an error of ours, at once or at the first frame", async () => {
  const start = async () => {
    const dialogue = new Dialogue({ executor: "/nonexistent/gantry-executor", mode: "dialogue" });
    await dialogue.next();
  };
  await assert.rejects(
    start,
    (error) => isGantryError(error) && /start executor "\/nonexistent/.test(error.message),
  );
});
