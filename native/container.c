/* A container of gantry-oci as the entry sees it: the lines beside state.json (src/plan/compile/quick-record.ts). */
#include "container.h"
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool is_id(const char *id)
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

bool read_call(char **argv, struct call *call)
{
	int at = 1;
	call->root = geteuid() == 0 ? "/run/gantry-oci" : "";
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
	call->verb = argv[at] ? argv[at] : "";
	call->rest = argv[at] ? argv + at + 1 : argv + at;
	return *call->root == '/' && call->root[1];
}

const char *value_of(char ***at, const char *flag)
{
	size_t length = strlen(flag);
	if (strncmp(**at, flag, length) == 0 && (**at)[length] == '=')
		return **at + length + 1;
	if (strcmp(**at, flag) != 0 || !(*at)[1])
		return NULL;
	return *++*at;
}

bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

bool read_builds(const char *program, struct builds *builds)
{
	const char *const files[] = {"/proc/self/exe", program};
	for (size_t i = 0; i < countof(files); i++) {
		struct stat st;
		if (stat(files[i], &st) < 0)
			return false;
		builds->half[i].seconds = st.st_mtim.tv_sec;
		builds->half[i].nanoseconds = st.st_mtim.tv_nsec;
		builds->half[i].size = st.st_size;
		builds->half[i].inode = (int64_t)st.st_ino;
	}
	return true;
}

ssize_t read_uncut(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read_whole(fd, to, room);
	close(fd);
	/* one that just fits may have been cut */
	return n >= (ssize_t)room - 1 ? -1 : n;
}

uint64_t key_hash(const char *key, size_t bytes)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char)key[i]) * 1099511628211u;
	return hash ^ hash >> 32;
}

int terminals_of_caller(void)
{
	int bits = 0;
	for (int fd = 0; fd < 3; fd++)
		bits |= isatty(fd) << fd;
	int tty = bits ? -1 : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		return bits;
	close(tty);
	return 8;
}

bool read_container(const struct call *call, const char *id, struct container *c)
{
	char path[4096];
	if (!is_id(id) || snprintf(path, sizeof path, "%s/%s", call->root, id) >= (int)sizeof path)
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

int open_init(const struct container *c)
{
	int pidfd = sys_pidfd_open(c->pid, 0);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	if (pidfd >= 0 && process_start_time(c->pid) == c->start && poll(&end, 1, 0) == 0)
		return pidfd;
	close(pidfd);
	return -1;
}

const char *container_status(const struct container *c, int init)
{
	if (init < 0)
		return "stopped";
	if (c->freezer && is_frozen(AT_FDCWD, c->freezer))
		return "paused";
	return faccessat(c->dir, "exec.fifo", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? "created" : "running";
}
