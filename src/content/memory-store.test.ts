import { contentStoreContract } from "./contract.ts";
import { MemoryContentStore } from "./memory-store.ts";

contentStoreContract("memory", async () => new MemoryContentStore());
