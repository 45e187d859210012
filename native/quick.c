/*
 * Verbs of gantry-oci that need no compiler: state, start, kill, delete, pause and resume of a container that has
 * nothing unusual about it. Whatever is not as simple as that, a flag, a hook, an error to be told, is left to the TypeScript program:
 * nothing was done then.
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
#include <unistd.h>
#include "clock.h"
#include "container.h"

#define DEADLINE_MS 10000

static int signal_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {
		{"HUP", SIGHUP}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"KILL", SIGKILL}, {"USR1", SIGUSR1},
		{"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"WINCH", SIGWINCH},
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

/* --- the verbs: false where the other program has to do it --- */

static bool print_state(const struct container *c, int init)
{
	static char out[sizeof c->text];
	char pid[16];
	snprintf(pid, sizeof pid, "%d", init < 0 ? 0 : c->pid);
	const struct late values[] = {{"@STATUS@", container_status(c, init)}, {"@NOW@", pid}};
	long bytes = fill_in(c->state, values, countof(values), out, sizeof out);
	return bytes > 0 && write_all(1, out, (size_t)bytes) == 0;
}

/* Opening the fifo to read lets the program go on; it answers with a byte. */
static bool start(const struct container *c, int init)
{
	char byte;
	if (!c->may_start || init < 0 || strcmp(container_status(c, init), "paused") == 0)
		return false;
	int fifo = openat(c->dir, "exec.fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	struct pollfd wait[] = {{.fd = fifo, .events = POLLIN}, {.fd = init, .events = POLLIN}};
	/* read even if only the end is seen: the program may have answered and ended between the two looks of poll */
	if (fifo < 0 || poll(wait, 2, DEADLINE_MS) <= 0 || read(fifo, &byte, 1) != 1)
		return false;
	unlinkat(c->dir, "exec.fifo", 0);
	return true;
}

/* The freezer of v1 holds back even SIGKILL, so a paused container is not simple. */
static bool send_signal(const struct container *c, int init, int number)
{
	return init >= 0 && number > 0 && c->may_kill && strcmp(container_status(c, init), "paused") != 0 &&
	       sys_pidfd_send_signal(init, number) == 0;
}

/* One that is so already, and whatever goes wrong, takes words. */
static bool freeze(const struct container *c, int init, bool frozen)
{
	static struct executor notes;
	const char *file = c->freezer ? strrchr(c->freezer, '/') : NULL;
	bool paused = strcmp(container_status(c, init), "paused") == 0;
	char path[4096];
	if (init < 0 || !file || paused == frozen ||
	    snprintf(path, sizeof path, "%.*s", (int)(file - c->freezer), c->freezer) >= (int)sizeof path)
		return false;
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 && freeze_cgroup(&notes, dir, strcmp(file, "/freezer.state") == 0, frozen, DEADLINE_MS) == 0;
}

/* The last of its processes is gone a moment after init. */
static bool remove_group(const char *path)
{
	for (int tries = 0; rmdir(path) < 0 && errno != ENOENT; tries++) {
		if (errno != EBUSY || tries == 100)
			return false;
		pause_us(50);
	}
	return true;
}

static bool delete(const struct call *call, const char *id, bool force, const struct container *c, int init)
{
	if (!c->may_delete)
		return false;
	if (init >= 0) {
		struct pollfd end = {.fd = init, .events = POLLIN};
		bool created = strcmp(container_status(c, init), "created") == 0;
		if ((!force && !created) || !send_signal(c, init, SIGKILL) || poll(&end, 1, DEADLINE_MS) <= 0)
			return false;
	}
	for (char *line = c->cgroups; line && strncmp(line, "cgroup ", 7) == 0; line += strlen(line) + 1)
		if (!remove_group(line + 7))
			return false;
	int root = open(call->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root >= 0 && remove_tree(root, id) == 0;
}

static bool is_quick(const char *verb)
{
	static const char *const verbs[] = {"state", "start", "kill", "delete", "pause", "resume"};
	for (size_t i = 0; i < countof(verbs); i++)
		if (strcmp(verb, verbs[i]) == 0)
			return true;
	return false;
}

bool run_quick(char **argv)
{
	static struct container c;
	struct call call;
	bool force = false;
	if (!read_call(argv, &call) || !is_quick(call.verb))
		return false;
	const char *verb = call.verb;
	bool kills = strcmp(verb, "kill") == 0, deletes = strcmp(verb, "delete") == 0;
	char **rest = call.rest;
	if (deletes && *rest && (strcmp(*rest, "--force") == 0 || strcmp(*rest, "-f") == 0)) {
		force = true;
		rest++;
	}
	const char *id = *rest ? *rest++ : "";
	const char *signal = kills && *rest ? *rest++ : "TERM";
	if (*rest || !read_container(&call, id, &c))
		return false;
	int init = open_init(&c);
	if (kills)
		return send_signal(&c, init, signal_number(signal));
	if (deletes)
		return delete(&call, id, force, &c, init);
	if (strcmp(verb, "state") == 0)
		return print_state(&c, init);
	if (strcmp(verb, "start") == 0)
		return start(&c, init);
	return freeze(&c, init, strcmp(verb, "pause") == 0);
}
