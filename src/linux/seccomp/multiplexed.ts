/**
 * The calls that i386 programs may make through socketcall(2) or ipc(2): name -> the multiplexing call
 * and the value of its first argument (include/uapi/linux/net.h SYS_*, include/uapi/linux/ipc.h).
 */

const socketCalls = [
  "socket",
  "bind",
  "connect",
  "listen",
  "accept",
  "getsockname",
  "getpeername",
  "socketpair",
  "send",
  "recv",
  "sendto",
  "recvfrom",
  "shutdown",
  "setsockopt",
  "getsockopt",
  "sendmsg",
  "recvmsg",
  "accept4",
  "recvmmsg",
  "sendmmsg",
];

const ipcCalls: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

export const multiplexedOnX86: ReadonlyMap<string, readonly [through: string, selector: number]> = new Map<
  string,
  readonly [string, number]
>([
  ...socketCalls.map((name, i) => [name, ["socketcall", i + 1]] as const),
  ...Object.entries(ipcCalls).map(([name, selector]) => [name, ["ipc", selector]] as const),
]);
