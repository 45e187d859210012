/*
 * The executor: runs a plan that TypeScript compiled, and decides nothing by itself.
 *
 *   plan.c      decodes a plan and checks it whole before any of it runs
 *   run.c       walks the stages, reports failures, undoes
 *   tell.c      failures in words, where there is no controller
 *   dialogue.c  frames to and from the controller; messages between host side and child
 *   root.c      paths inside an untrusted root, always by openat2
 *   ops_*.c     one function per operation, named op_<operation>
 *   copy_tree.c a directory with all that is in it, copied
 *   layer.c     the operations that unpack a layer
 *   shim.c      what stays when the container runs; attach.c its clients, log.c its log, log_forward.c and
 *               ops_forward.c where else that goes
 *   foreground.c  waits for a child in the foreground: its terminal, its readiness, its signals
 *   outer_terminal.c  the terminal of a client of a shim: raw mode and size
 *   init.c      the tiny init for --init
 *   container.c a container of `gantry-oci`, as the entry sees it
 *   quick.c     verbs of `gantry-oci` that need no compiler
 *   exec_cache.c plans of `exec` that were compiled before
 *   launch_key.c what a plan of `create` or `run` depends on; plan_template.c those that were compiled before
 *   entry.c     the commands `gantry` and `gantry-oci`
 *
 * Conventions: an operation returns 0, or -errno after `fail()` has noted the object of the failure.
 * Descriptors are close-on-exec from birth. After the plan has been read only vectors for
 * execve and directory streams are allocated.
 */
#ifndef EXECUTOR_H
#define EXECUTOR_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "gen/operations.h"
#include "gen/protocol.h"

#define DETAIL_LIMIT 512
#define FAILURE_LIMIT (20 + DETAIL_LIMIT)
#define countof(a) (sizeof(a) / sizeof *(a))

struct bytes {
	const char *at; /* text is NUL-terminated inside the plan */
	uint32_t length;
};

struct list {
	const uint8_t *at; /* undecoded items; walk it with next_text or next_number */
	uint32_t count;
};

union operand {
	uint64_t number;
	struct bytes text;
	struct list list;
	int fd; /* register number; -1 for none */
};

/* One decoded step. */
struct step {
	const struct operation *operation;
	struct bytes where, phrase;
	union operand v[OPERAND_LIMIT]; /* by the position constants of gen/operations.h */
};

struct executor;

struct operation {
	uint32_t number;
	const char *name;
	const char *kinds;
	uint32_t stages, rules;
	int (*run)(struct executor *x, const struct step *s);
};

struct stage {
	const uint8_t *at;
	uint32_t bytes, steps;
};

/* A checked plan; points into the bytes that it was read from. */
struct plan {
	const uint8_t *at;
	uint32_t bytes, registers;
	struct stage host, child, cleanup, layer;
};

/* Why a step failed; also the message that the child sends to the host side. */
struct failure {
	uint32_t stage, step;
	int32_t error; /* errno, positive; 0 where the detail says all */
	uint32_t status;
	char detail[DETAIL_LIMIT];
};

/* A network interface that was moved into the container. */
struct moved_link {
	int netns; /* where it is */
	bool was_up;
	char before[16], now[16];
};

struct executor {
	struct plan plan;
	int registers[REGISTER_LIMIT]; /* descriptor or -1 */
	int controller; /* dialogue socket or -1 */
	int starter; /* in the child: who let the program go on, until it runs; or -1 */
	int peer; /* host side: socket to the child; child: socket to the host side */
	uint32_t stage; /* STAGE_* that runs now */
	pid_t child;
	const char *pid_file; /* for record-pid */
	bool pid_recorded;
	pid_t compiler; /* the child that compiled the plan, until it is reaped; 0 for none */
	int child_pidfd;
	int host_mounts; /* mount namespace of the host while this process is in one of its own, else -1 */
	bool child_reaped;
	int wait_status; /* as wait(2) gives it, once child_reaped */
	struct {
		int socket; /* to criu, -1 for none */
		pid_t pid; /* criu's, once the child is what it restores */
		int pidfd;
		pid_t restored; /* as the last notification told */
		int passed; /* descriptor that came with it, or -1 */
	} criu;
	struct {
		pid_t pid; /* 0: there is none */
		int socket; /* whose end it waits for */
		bool wanted; /* with the next runtime */
	} guard;
	uint32_t records; /* of record-start that were written */
	struct moved_link moved[32];
	uint32_t moved_count;
	char started[40]; /* when the first of them was */
	uint32_t cgroups; /* of make-cgroup that went well */
	struct step left; /* remove-when-told, once it came */
	bool disowned; /* nobody waits for the end at a connection: what tells of it stays */
	bool supervised; /* the shim stayed: shim_finish tells the clients */
	uint64_t log_bytes_lost; /* that the shim could not write */
	bool oom_killed; /* as remove-cgroup found it */
	struct failure failure;
	struct step teller; /* tell-failure, once it came */
	int trace; /* where every step is told, or -1 */

	struct layer *layer; /* layer.c's session, NULL outside of one */

	const char *late_cwd; /* that set-cwd could not enter, for set-user */
	/* for exec, set by find-program and default-home in the child */
	char program[4096];
	char home[4096];
	bool names_listener; /* LISTEN_PID is set by exec */
};

/* --- plan.c --- */
extern const struct operation operation_table[];
/* Decodes and checks a whole plan. Returns 0, or -EINVAL with what is wrong in `failure`. */
int plan_check(const uint8_t *at, size_t bytes, struct plan *plan, struct failure *failure);
/* The same for a plan in a layer session, where `live` (registers that hold a descriptor) carries over. */
int plan_check_layer(const uint8_t *at, size_t bytes, bool live[REGISTER_LIMIT], struct plan *plan,
                     struct failure *failure);
/* Decodes the step at *cursor of a checked plan and moves the cursor on. */
void plan_next(const struct plan *plan, const uint8_t **cursor, struct step *s);
struct bytes next_text(struct list *list);
uint32_t next_number(struct list *list);
/* A list as execve takes it, with room for `spare` more; NULL without memory. The texts stay in the plan. */
char **text_vector(struct list list, size_t spare);

/* --- run.c --- */
int run_stage(struct executor *x, uint32_t stage);
/* Runs host stage and, when it is over or has failed, the clean-up. Returns the exit status. */
int run_plan(struct executor *x);
/* The child stage, in the child; never returns. */
void run_child(struct executor *x) __attribute__((noreturn));
/* Notes what an operation was about when it failed: `return fail(x, errno, "open %s", path)` -> -errno. */
int fail(struct executor *x, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
const struct stage *stage_of(const struct executor *x, uint32_t stage);
int reg(const struct executor *x, const union operand *v); /* the descriptor; -1 for none */
void set_reg(struct executor *x, const union operand *v, int fd);

/* --- tell.c --- */
const char *errno_words(int error); /* as Go and so runc has them, whatever the C library says */
size_t escape(const char *text, char *out, size_t size); /* as a string of JSON or of a log line, without the quotes */
void tell_starter(struct executor *x); /* in the child, once it was let go on */
void tell_step(struct executor *x, uint32_t number, const struct step *s); /* before it is taken */
void tell_failure(struct executor *x); /* where there is no controller to report to */

/* --- dialogue.c --- */
enum peer_kind { PEER_STEP = 1, PEER_FD = 2, PEER_FAILED = 3, PEER_NUMBER = 4, PEER_CHILD = 5 };

int write_all(int fd, const void *data, size_t bytes);
int read_all(int fd, void *data, size_t bytes); /* 0, or -errno; -EPIPE at the end of file */
int send_frame(int fd, uint8_t type, const void *payload, uint32_t bytes);
/* Reads one frame header; payload follows on the stream. Returns the type or -errno. */
int read_frame_header(int fd, uint32_t *bytes);
/* {u32 stage, u32 step, i32 errno, u32 status, u32 length, text detail}; its length. */
uint32_t failure_payload(const struct failure *failure, uint8_t out[FAILURE_LIMIT]);
void report_failure(struct executor *x);
int exit_code(int status); /* of what wait(2) gives, as shells have it */
/* {u32 code 0-255, u32 signal, u32 oom}; the code is the executor's own exit status as well. */
void exit_payload(const struct executor *x, uint32_t out[3]);
int peer_send(struct executor *x, uint32_t kind, uint32_t number, int fd);
/* Waits for the message; a failure of the other side arrives as x->failure and -ECANCELED, its end as -EPIPE. */
int peer_receive(struct executor *x, uint32_t kind, uint32_t number, int *fd);
/* The same for a message whose number is the news. */
int peer_number(struct executor *x, uint32_t kind, uint32_t *number);

/* --- root.c --- */
struct in_root {
	int parent; /* descriptor of the directory that holds the last component */
	char name[256];
};
/* Opens what a path inside a root names; flags as open(2), resolve adds RESOLVE_* bits. fd or -errno. */
int open_in_root(int root, const char *path, uint64_t flags, uint64_t resolve);
/*
 * Opens the directory at a path, making what is missing. A link to what is not there makes what it names, as images
 * with /var/run -> /run need. `budget`: how many may be made, or NULL; -EMLINK past it.
 */
int make_directories(int root, const char *path, unsigned *budget);
/* Opens the parent directory of a path, making missing components. 0 or -errno; close .parent after. */
int parent_in_root(int root, const char *path, struct in_root *out);
/* Opens the place at path; makes it (directory, or empty file) with its parents if it is missing. */
int place_in_root(int root, const char *path, bool directory, uint64_t resolve);
int open_directory(int dir, const char *name); /* to be read; no link. fd or -errno */
bool is_dots(const char *name); /* . or .. */
int write_file_at(int dir, const char *name, const char *value, size_t bytes);
int write_proc_of(pid_t pid, const char *name, const char *value, size_t bytes);
int write_beneath(int dir, const char *path, const char *value, size_t bytes);
ssize_t read_whole(int fd, char *buffer, size_t size); /* at most size - 1 bytes and a NUL */
ssize_t read_file_at(int dir, const char *path, char *buffer, size_t size);
enum { STAT_PARENT = 4, STAT_START = 22 };
/* A number of /proc/PID/stat, by its place there (proc(5)); 0 if there is no such process. */
uint64_t stat_field(int dir, const char *path, int number);
uint64_t process_stat(pid_t pid, int number);
uint64_t process_start_time(pid_t pid); /* clock ticks since boot; 0 if there is no such process */

/* --- ops_cgroup.c --- */
void signal_cgroup(int dir, int number, pid_t except); /* every process but one in it and below it */

/* --- ops_exec.c --- */
bool is_null(int fd); /* the device, by its number */
int enter_cwd(struct executor *x, const char *path); /* and proves that it lies under the root */
/* --- ops_criu.c --- */
void end_criu(struct executor *x); /* lets criu undo what it has begun, and waits for its end */

/* --- ops_guard.c --- */
/* In a child: goes on as the guard, and returns in a child of that, with the guard's pid. */
pid_t stand_guard(int socket);
int await_guarded(struct executor *x, int timeout_ms, const char *path); /* as await_program, by the guard's word */
void end_guard(struct executor *x); /* with all that it guards, unless it was dismissed */
int prove_child(struct executor *x, pid_t pid); /* left to us, or to our guard, by a runtime. 0, or -errno after a note */
void stop_adopting(void); /* what is orphaned from now on is not ours to reap */

/* --- ops_cgroup.c --- */
void note_kills(struct executor *x); /* whether the kernel has killed in a cgroup that the clean-up will remove */

/* --- ops_cgroup_control.c --- */
const char *freezer_file(bool v1);
int write_freezer(int dir, bool v1, bool frozen); /* waits for nothing */
bool is_frozen(int dir, const char *path); /* by that file; or about to be */
/* Freezes, waiting until all of it is frozen, or thaws. 0, or -errno after a note; what did not freeze is thawed. */
int freeze_cgroup(struct executor *x, int dir, bool v1, bool frozen, int timeout_ms);

/* --- ops_dialogue.c --- */
/* Reports the point of a step, with a number in the place of the child's pid, and waits for the go. */
int sync_count(struct executor *x, const struct step *s, uint32_t count);

/* --- ops_memory.c --- */
/* How often the kernel has killed, by memory.events of v2 or memory.oom_control of v1; -1 when the cgroup is gone. */
int64_t oom_kills(int file);
/* An eventfd that counts how often a v1 cgroup came to its limit, and once that it was removed. -errno after a note. */
int watch_memory_v1(struct executor *x, int dir);

/* --- ops_record.c --- */
int program_ended(struct executor *x, int status, const char *path); /* 0 if it was good, by what wait(2) gives */
/* Waits for the good end of a program that was started, and kills it at the timeout (-1 for none). pid < 0: errno says why. */
int await_program(struct executor *x, pid_t pid, int timeout_ms, const char *path);
/* In a child: nothing from 3 on stays open, and no signal is held or ignored. */
void become_program(const char *path, char **args, char **env) __attribute__((noreturn));
/* Forks and executes with these strings; `input` becomes descriptor 0, nothing from 3 on stays open. */
pid_t start_program(const char *path, char **args, char **env, int input);
/* Annotations of a config may be long; untouched pages cost nothing. */
#define RECORD_LIMIT (1024 * 1024)
/* A value that a plan could not know. */
struct late {
	const char *name, *value;
};
/* Copies `text` with every @NAME@ replaced. Returns the length, or -1 if it does not fit. */
long fill_in(const char *text, const struct late *values, size_t count, char *out, size_t size);
void reap_compiler(struct executor *x, int options); /* as waitpid(2) has them */
void undo_records(struct executor *x); /* of a start that failed: nothing may tell of it */
/* Copies `text` with every @PID@ replaced by the child's. Returns the length, or -1 if it does not fit. */
long fill_in_pid(const struct executor *x, const char *text, char *out, size_t size);

/* --- ops_filesystem.c --- */
/* Descriptors that stand for long paths while a file system is configured. */
struct held {
	int fds[64];
	size_t count;
};
void let_go(struct held *held);
/*
 * Kernels before 6.8 know no lowerdir+: all layers in one value, each by descriptor. They are the texts of the list
 * that begin with `prefix`, without that. 0 or -errno.
 */
int set_joined_layers(int fs, struct list texts, const char *prefix, struct held *held);

/* --- ops_mount.c --- */
/* pivot_root(2) to a root that is attached; nothing is left of the old one. */
int pivot_to(struct executor *x, int root);

/* --- ops_namespace.c --- */
#define NSFS_MAGIC 0x6e736673
bool is_namespace(int fd, uint64_t kind); /* a CLONE_NEW* bit */

/* --- ops_network.c --- */
void undo_links(struct executor *x); /* of a start that failed: what was moved goes back */
void forget_links(struct executor *x); /* of one that went well: nothing keeps the namespace alive */

void reap_child(struct executor *x);
int kill_child(struct executor *x);

/* --- ops_socket.c --- */
/* Takes one message of the container: true if it says READY=1. */
bool read_ready(int socket);
/* Tells the service manager. Returns a descriptor that hangs up when it has taken that in; -1 if there is none. */
int tell_ready(int manager, pid_t main_pid);

/* --- tree.c --- */
void remove_left(struct executor *x); /* what remove-when-told has named */
/* Removes a tree with a bounded number of descriptors, crossing no symlink. 0 or -errno; missing is fine. */
int remove_tree(int dir, const char *name);

/* --- copy_tree.c --- */
/*
 * Copies what is in a directory, and its own attributes, into another one. `links`: an empty directory beside that,
 * where files with several names are found again, or -1. 0 or -errno.
 */
int copy_tree(int from, int to, int links);
struct stat;
/* Owner, mode, times as `st` tells them, and extended attributes. */
int copy_directory_attributes(int from, int to, const struct stat *st);

/* --- foreground.c --- */
bool in_background(int terminal); /* whether it belongs to another job of our session just now */

/* --- kernel calls that libc lacks --- */
#include "syscalls.h"

/* --- shim.c, layer.c, init.c --- */
/* Takes the socket's name away: who comes now reads the exit record. Who came before is still told. */
void shim_unlisten(void);
void shim_finish(struct executor *x); /* tells every client the exit and closes */
int run_layer_session(struct executor *x, int fd);
int run_init(int argc, char **argv);
/* --- main.c --- */
int sealed_copy(void); /* of this program in memory, to be executed; -1 on failure */

/* --- entry.c --- */
/* quick.c: a verb that needs no compiler; false if it is not one, or has to be done by the other program. */
bool run_quick(char **argv);
int run_entry(char *self, char **argv); /* the commands gantry and gantry-oci; returns only on failure */

#define X(number, symbol, name, kinds, stages, rules) int op_##symbol(struct executor *x, const struct step *s);
OPERATIONS(X)
#undef X

#endif
