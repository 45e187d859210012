/** Random names. From the global Web Crypto: loading node:crypto costs a short command more than all else it does. */

/** `bytes` random bytes as lower-case hexadecimal digits. */
export function randomHex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}

/** A whole number from 0 to `limit` - 1, each as likely as the other. */
export function randomBelow(limit: number): number {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  // what is above the last multiple of limit would favour the small ones
  return number < Math.floor(2 ** 32 / limit) * limit ? number % limit : randomBelow(limit);
}
