/** Whether a text is an IP address: 4 or 6, else 0. Node's module is loaded when it is asked, for most never are. */
export const isIP = (text: string): number => process.getBuiltinModule("node:net").isIP(text);
