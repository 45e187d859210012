/*
 * Verbs of gantry-oci that need no compiler: state, start, kill and delete of a container that has nothing unusual
 * about it. What they need lies beside state.json in lines (src/plan/compile/quick-record.ts). Whatever is not as
 * simple as that, a flag, a hook, an error to be told, is left to the TypeScript program: nothing was done then.
 *
 * Callers ask for these verbs more often than for a start, and the start of that program alone takes longer than
 * all that is to be done.
 */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "executor.h"

#define DEADLINE_MS 10000

struct call {
	const char *root, *verb, *id, *signal;
	bool force;
};

struct container {
	char text[65536];
	int dir;
	pid_t pid;
	unsigned long long start;
	const char *freezer, *state;
	char *cgroups; /* first line that names one; walk the text from there */
	bool may_start, may_kill, may_delete;
};

/* --- the command line: false where it holds anything but what is known here --- */

static bool is_id(const char *id)
{
	if (!*id || *id == '.' || strlen(id) > 255)
		return false;
	for (; *id; id++)
		if (!isalnum((unsigned char)*id) && !strchr("_+-.", *id))
			return false;
	return true;
}

/* Flags before the verb whose value may follow as a word of its own. */
static bool is_passed_over(const char *flag)
{
	return strcmp(flag, "--log") == 0 || strcmp(flag, "--log-format") == 0 || strcmp(flag, "--rootless") == 0;
}

static bool parse(char **argv, struct call *call)
{
	int at = 1;
	for (; argv[at] && argv[at][0] == '-'; at++) {
		if (strncmp(argv[at], "--root=", 7) == 0)
			call->root = argv[at] + 7;
		else if (argv[at + 1] && strcmp(argv[at], "--root") == 0)
			call->root = argv[++at];
		else if (argv[at + 1] && is_passed_over(argv[at]))
			at++;
		else if (strncmp(argv[at], "--log=", 6) && strncmp(argv[at], "--log-format=", 13) && strcmp(argv[at], "--systemd-cgroup"))
			return false;
	}
	call->verb = argv[at] ? argv[at++] : "";
	if (strcmp(call->verb, "delete") == 0 && argv[at] && (!strcmp(argv[at], "--force") || !strcmp(argv[at], "-f"))) {
		call->force = true;
		at++;
	}
	call->id = argv[at] ? argv[at++] : "";
	call->signal = strcmp(call->verb, "kill") == 0 && argv[at] ? argv[at++] : "TERM";
	return !argv[at] && *call->root == '/' && call->root[1] && is_id(call->id);
}

static int signal_number(const char *name)
{
	static const struct { const char *name; int number; } known[] = {
		{"HUP", SIGHUP}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
		{"TERM", SIGTERM}, {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"WINCH", SIGWINCH},
	};
	char *end;
	long number = strtol(name, &end, 10);
	if (isdigit((unsigned char)*name) && !*end)
		return number > 0 && number < 32 ? (int)number : 0;
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < countof(known); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].number;
	return 0;
}

/* --- the container --- */

static bool read_container(const struct call *call, struct container *c)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s", call->root, call->id) >= (int)sizeof path)
		return false;
	c->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t length = c->dir < 0 ? -1 : read_file_at(c->dir, "quick", c->text, sizeof c->text);
	if (length <= 0 || length >= (ssize_t)sizeof c->text - 1)
		return false;
	for (char *line = c->text, *next; (next = strchr(line, '\n')); line = next + 1) {
		*next = 0;
		if (strncmp(line, "pid ", 4) == 0)
			c->pid = atoi(line + 4);
		else if (strncmp(line, "start ", 6) == 0)
			c->start = strtoull(line + 6, NULL, 10);
		else if (strncmp(line, "freezer ", 8) == 0)
			c->freezer = line + 8;
		else if (strncmp(line, "cgroup ", 7) == 0)
			c->cgroups = c->cgroups ? c->cgroups : line;
		else if (strcmp(line, "may start") == 0)
			c->may_start = true;
		else if (strcmp(line, "may kill") == 0)
			c->may_kill = true;
		else if (strcmp(line, "may delete") == 0)
			c->may_delete = true;
		else if (strcmp(line, "state") == 0) {
			c->state = next + 1;
			return c->pid > 1 && c->start > 0;
		}
	}
	return false;
}

/* The process that the file speaks of, by a descriptor that will not come to mean another one; -1 if it is over. */
static int open_init(const struct container *c)
{
	int pidfd = sys_pidfd_open(c->pid, 0);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	if (pidfd >= 0 && process_start_time(c->pid) == c->start && poll(&end, 1, 0) == 0)
		return pidfd;
	close(pidfd);
	return -1;
}

static bool is_paused(const struct container *c)
{
	char text[32];
	if (!c->freezer || read_file_at(AT_FDCWD, c->freezer, text, sizeof text) <= 0)
		return false;
	return text[0] == '1' || text[0] == 'F';
}

static const char *status_of(const struct container *c, int init)
{
	if (init < 0)
		return "stopped";
	if (is_paused(c))
		return "paused";
	return faccessat(c->dir, "exec.fifo", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? "created" : "running";
}

/* --- the verbs: 0, or -1 where the other program has to do it --- */

static int print_state(const struct container *c, int init)
{
	static char out[sizeof c->text];
	char pid[16];
	snprintf(pid, sizeof pid, "%d", init < 0 ? 0 : c->pid);
	const struct late values[] = {{"@STATUS@", status_of(c, init)}, {"@NOW@", pid}};
	long bytes = fill_in(c->state, values, countof(values), out, sizeof out);
	return bytes > 0 && write_all(1, out, (size_t)bytes) == 0 ? 0 : -1;
}

/* Opening the fifo to read lets the program go on; it answers with a byte. */
static int start(const struct container *c, int init)
{
	char byte;
	if (!c->may_start || init < 0)
		return -1;
	int fifo = openat(c->dir, "exec.fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	struct pollfd wait[] = {{.fd = fifo, .events = POLLIN}, {.fd = init, .events = POLLIN}};
	if (fifo < 0 || poll(wait, 2, DEADLINE_MS) <= 0 || !(wait[0].revents & POLLIN) || read(fifo, &byte, 1) != 1)
		return -1;
	unlinkat(c->dir, "exec.fifo", 0);
	return 0;
}

static int send_signal(const struct container *c, int init, int number)
{
	/* the freezer of v1 holds back even SIGKILL */
	if (init < 0 || number == 0 || !c->may_kill || is_paused(c))
		return -1;
	return sys_pidfd_send_signal(init, number) == 0 ? 0 : -1;
}

/* The last of its processes is gone a moment after init. */
static bool remove_group(const char *path)
{
	const struct timespec moment = {.tv_nsec = 50000};
	for (int tries = 0; rmdir(path) < 0 && errno != ENOENT; tries++) {
		if (errno != EBUSY || tries == 100)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

static int delete(const struct call *call, const struct container *c, int init)
{
	if (!c->may_delete)
		return -1;
	if (init >= 0) {
		struct pollfd end = {.fd = init, .events = POLLIN};
		bool created = strcmp(status_of(c, init), "created") == 0;
		if ((!call->force && !created) || send_signal(c, init, SIGKILL) < 0 || poll(&end, 1, DEADLINE_MS) <= 0)
			return -1;
	}
	for (char *line = c->cgroups; line && strncmp(line, "cgroup ", 7) == 0; line += strlen(line) + 1)
		if (!remove_group(line + 7))
			return -1;
	int root = open(call->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root >= 0 && remove_tree(root, call->id) == 0 ? 0 : -1;
}

bool run_quick(char **argv)
{
	static struct container c;
	struct call call = {.root = geteuid() == 0 ? "/run/gantry-oci" : ""};
	if (!parse(argv, &call))
		return false;
	bool known = !strcmp(call.verb, "state") || !strcmp(call.verb, "start") || !strcmp(call.verb, "kill") || !strcmp(call.verb, "delete");
	if (!known || !read_container(&call, &c))
		return false;
	int init = open_init(&c);
	switch (call.verb[0]) {
	case 'k': return send_signal(&c, init, signal_number(call.signal)) == 0;
	case 'd': return delete(&call, &c, init) == 0;
	default: return (strcmp(call.verb, "state") == 0 ? print_state(&c, init) : start(&c, init)) == 0;
	}
}
