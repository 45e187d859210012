/** The version of Gantry; package.json holds the same, and a test proves it. */
export const version = "0.1.0";
