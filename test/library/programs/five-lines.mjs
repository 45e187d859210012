import { Engine } from "gantry";

await using engine = await Engine.open();
const c = await engine.run({ image: "busybox", command: ["echo", "hi"], autoRemove: true });
console.log(await c.stdout.text(), await c.wait());
