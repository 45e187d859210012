/*
 * Plans of `exec` that were compiled before. A health check asks for the same exec every few seconds: its plan is kept
 * in the container's state directory, beside all that it depends on, and taken again when nothing of that differs:
 * every word of the command line but those that only say where to put the pid, the file with the process byte by byte,
 * the cgroups that init is in, the caller's capabilities, its limits of open files and which of its streams are terminals,
 * and both halves of Gantry themselves.
 *
 * Only root has this, in a directory that only root can write to. A plan is checked whole before it runs, whoever kept
 * it.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "container.h"

enum {
	SLOTS = 16, /* plans that a container keeps: a place is taken by the hash of its key */
	KEY_LIMIT = 256 * 1024,
	PLAN_LIMIT = 1024 * 1024,
};

struct room {
	char *at;
	size_t bytes;
	bool full;
};

static void add(struct room *key, const void *data, size_t bytes)
{
	if (key->bytes + bytes > KEY_LIMIT) {
		key->full = true;
		return;
	}
	memcpy(key->at + key->bytes, data, bytes);
	key->bytes += bytes;
}

/* Its length before it, so that no two keys of different files are the same. */
static void add_file(struct room *key, const char *path)
{
	char *at = key->at + key->bytes + sizeof(ssize_t);
	ssize_t left = (ssize_t)(KEY_LIMIT - key->bytes - sizeof(ssize_t));
	ssize_t n = left < 2 ? -1 : read_uncut(path, at, (size_t)left);
	if (n < 0) {
		key->full = true;
		return;
	}
	memcpy(at - sizeof n, &n, sizeof n);
	key->bytes += sizeof n + (size_t)n;
}

/* Walks the flags of exec; false at one that makes each call different from the next. */
static bool read_flags(char ***rest, struct exec_call *call, struct room *key)
{
	static const char *const alone[] = {"-d", "--detach", "--no-new-privs", NULL};
	static const char *const valued[] = {"-e", "--env", "-u", "--user", "-c", "--cap", "-g", "--additional-gids",
	                                     "--cwd", "--apparmor", "--process-label", NULL};
	const char *value;
	for (char **at = *rest; (*rest = at, *at) && (*at)[0] == '-'; at++) {
		if ((value = value_of(&at, "--pid-file"))) {
			call->pid_file = value;
			add(key, "pid-file", 9);
		} else if ((value = value_of(&at, "--process")) || (value = value_of(&at, "-p"))) {
			if (*value != '/')
				return false;
			add_file(key, value);
		} else if (is_one_of(*at, valued) && at[1]) {
			add(key, at[0], strlen(at[0]) + 1);
			at++;
			add(key, *at, strlen(*at) + 1);
		} else if (is_one_of(*at, alone))
			add(key, *at, strlen(*at) + 1);
		else
			return false;
	}
	return true;
}

/* Both halves of Gantry, and what the caller may do. */
static void add_surroundings(struct room *key, const char *program, pid_t init)
{
	char path[64];
	struct {
		struct builds builds;
		struct rlimit files;
		struct __user_cap_data_struct capabilities[2];
		int terminals;
	} facts;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	memset(&facts, 0, sizeof facts);
	if (!read_builds(program, &facts.builds) || getrlimit(RLIMIT_NOFILE, &facts.files) < 0 ||
	    syscall(SYS_capget, &header, facts.capabilities) < 0) {
		key->full = true;
		return;
	}
	facts.terminals = terminals_of_caller();
	add(key, &facts, sizeof facts);
	snprintf(path, sizeof path, "/proc/%d/cgroup", init);
	add_file(key, path);
}

bool read_exec_call(char **argv, const char *program, struct exec_call *call)
{
	static struct container c;
	static char text[KEY_LIMIT + 1];
	struct room key = {.at = text};
	struct call line;
	if (geteuid() != 0 || getenv("LISTEN_FDS") || !read_call(argv, &line) || strcmp(line.verb, "exec") != 0)
		return false;
	/* where the log is, and its form */
	for (char **at = argv + 1; at < line.rest; at++)
		add(&key, *at, strlen(*at) + 1);
	char **rest = line.rest;
	if (!read_flags(&rest, call, &key) || !*rest || !read_container(&line, *rest, &c))
		return false;
	for (; *rest; rest++)
		add(&key, *rest, strlen(*rest) + 1);
	int init = open_init(&c);
	bool running = strcmp(container_status(&c, init), "running") == 0;
	close(init);
	add_surroundings(&key, program, c.pid);
	call->key = key.at;
	call->key_bytes = key.bytes;
	call->dir = c.dir;
	return running && !key.full && (!call->pid_file || *call->pid_file == '/');
}

static void name_of(const struct exec_call *call, char out[32])
{
	snprintf(out, 32, "exec-%u.plan", (unsigned)(key_hash(call->key, call->key_bytes) % SLOTS));
}

int find_plan(const struct exec_call *call)
{
	char name[32];
	struct stat st;
	name_of(call, name);
	int kept = openat(call->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t skip = sizeof(uint64_t) + call->key_bytes;
	if (kept < 0 || fstat(kept, &st) < 0 || (size_t)st.st_size <= skip || st.st_size > KEY_LIMIT + PLAN_LIMIT) {
		close(kept);
		return -1;
	}
	char *all = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, kept, 0);
	close(kept);
	uint64_t bytes = call->key_bytes;
	int plan = -1;
	if (all != MAP_FAILED && memcmp(all, &bytes, sizeof bytes) == 0 && memcmp(all + sizeof bytes, call->key, bytes) == 0)
		plan = (int)syscall(SYS_memfd_create, "plan", 0);
	if (plan >= 0 && write_all(plan, all + skip, (size_t)st.st_size - skip) < 0) {
		close(plan);
		plan = -1;
	}
	if (all != MAP_FAILED)
		munmap(all, (size_t)st.st_size);
	return plan;
}

/* Best effort: without it the next call compiles again. */
void keep_plan(const struct exec_call *call, int plan)
{
	char name[32], temporary[64];
	struct stat st;
	uint64_t bytes = call->key_bytes;
	if (fstat(plan, &st) < 0 || st.st_size > PLAN_LIMIT)
		return;
	name_of(call, name);
	snprintf(temporary, sizeof temporary, ".%s.%d", name, getpid());
	int fd = openat(call->dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	char *all = fd < 0 ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, plan, 0);
	bool good = all != MAP_FAILED && write_all(fd, &bytes, sizeof bytes) == 0 &&
	            write_all(fd, call->key, call->key_bytes) == 0 && write_all(fd, all, (size_t)st.st_size) == 0;
	close(fd);
	if (!good || renameat(call->dir, temporary, call->dir, name) < 0)
		unlinkat(call->dir, temporary, 0);
}
