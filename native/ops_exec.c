/* The last steps of the child: standard streams, working directory, finding the program, becoming it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "executor.h"

/* Docker's and the shells' exit codes for a program that cannot be started. */
enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

bool is_null(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Anything else in its place leaves the host's where it is. */
static int take_own_null(void)
{
	int own = -1, r = 0;
	for (int target = 0; r == 0 && target < 3; target++) {
		if (!is_null(target))
			continue;
		if (own < 0)
			own = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		if (!is_null(own))
			break;
		if (fcntl(own, F_SETFL, 0) < 0 || dup2(own, target) < 0)
			r = -errno;
	}
	if (own >= 0)
		close(own);
	return r;
}

int op_set_stdio(struct executor *x, const struct step *s)
{
	for (int target = 0; target < 3; target++) {
		int fd = reg(x, &s->v[target]);
		if (fd < 0)
			continue;
		if (fd == target ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, target) < 0)
			return fail(x, errno, "descriptor %d", target);
	}
	int r = s->v[SET_STDIO_NULL].number ? take_own_null() : 0;
	return r < 0 ? fail(x, -r, "/dev/null") : 0;
}

/* mkdir -p after pivot, where every path is the container's own. */
static int make_path(const char *path)
{
	char part[4096];
	size_t length = strlen(path);
	if (length >= sizeof part)
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= length; i++)
		if (path[i] == '/' || path[i] == 0) {
			memcpy(part, path, i);
			part[i] = 0;
			if (mkdir(part, 0755) < 0 && errno != EEXIST)
				return -errno;
		}
	return 0;
}

int enter_cwd(struct executor *x, const char *path)
{
	char now[4096];
	if (chdir(path) < 0)
		return fail(x, errno, "%s", path);
	/* through a descriptor in /proc one could stand outside of the root (CVE-2024-21626): the kernel
	   then has no path for it, or one that says unreachable */
	long n = syscall(SYS_getcwd, now, sizeof now);
	if (n < 0 || now[0] != '/')
		return fail(x, EPERM, "%s is outside of the root", path);
	return 0;
}

int op_set_cwd(struct executor *x, const struct step *s)
{
	const char *path = s->v[SET_CWD_PATH].text.at;
	int r = enter_cwd(x, path);
	if (r == -ENOENT && s->v[SET_CWD_CREATE].number) {
		r = make_path(path);
		r = r < 0 ? fail(x, -r, "%s", path) : enter_cwd(x, path);
	}
	if (r != -EACCES)
		return r;
	x->late_cwd = path;
	return 0;
}

int op_default_home(struct executor *x, const struct step *s)
{
	static char text[256 * 1024];
	struct stat st;
	strcpy(x->home, "/");
	/* never a fifo, a device or a link (CVE-2022-4318) */
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return 0;
	bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	ssize_t length = regular ? read_whole(fd, text, sizeof text) : 0;
	close(fd);
	if (length <= 0)
		return 0;
	char *rest = text, *line;
	while ((line = strsep(&rest, "\n"))) {
		char *field[7] = {0};
		for (int i = 0; i < 7; i++)
			field[i] = strsep(&line, ":");
		if (!field[5] || !field[2] || !isdigit((unsigned char)field[2][0]))
			continue;
		char *end;
		unsigned long uid = strtoul(field[2], &end, 10);
		if (*end || uid != s->v[DEFAULT_HOME_UID].number)
			continue;
		if (field[5][0] == '/' && strlen(field[5]) < sizeof x->home)
			strcpy(x->home, field[5]);
		return 0;
	}
	return 0;
}

static int refuse_program(struct executor *x, int error, uint32_t status, const char *format, const char *name)
{
	fail(x, error, format, name, name);
	x->failure.status = status;
	return -error;
}

/* 0 if the path can be executed, or -errno. */
static int executable(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int op_find_program(struct executor *x, const struct step *s)
{
	const char *name = s->v[FIND_PROGRAM_NAME].text.at;
	struct list directories = s->v[FIND_PROGRAM_DIRECTORIES].list;
	bool denied = false;
	if (strchr(name, '/')) {
		snprintf(x->program, sizeof x->program, "%s", name);
		int r = executable(name);
		if (r == -EISDIR)
			return refuse_program(x, EISDIR, NOT_EXECUTABLE, "exec: \"%s\": is a directory", name);
		if (r == -EACCES)
			return refuse_program(x, EACCES, NOT_EXECUTABLE, "exec: \"%s\": permission denied", name);
		if (r == -ENOTDIR)
			return refuse_program(x, ENOTDIR, NOT_FOUND, "exec: \"%s\": stat %s: not a directory", name);
		return r < 0 ? refuse_program(x, -r, NOT_FOUND, "exec: \"%s\": stat %s: no such file or directory", name) : 0;
	}
	while (directories.count > 0) {
		const char *directory = next_text(&directories).at;
		int n = snprintf(x->program, sizeof x->program, "%s/%s", *directory ? directory : ".", name);
		if (n >= (int)sizeof x->program)
			continue;
		int r = executable(x->program);
		if (r == 0)
			return 0;
		denied |= r == -EACCES;
	}
	if (denied)
		return refuse_program(x, EACCES, NOT_EXECUTABLE, "exec: \"%s\": permission denied", name);
	return refuse_program(x, ENOENT, NOT_FOUND, "exec: \"%s\": executable file not found in $PATH", name);
}

int op_await_start(struct executor *x, const struct step *s)
{
	char path[32];
	/* a reader lets open return; an O_PATH descriptor opens through proc, and ours is a checked one */
	snprintf(path, sizeof path, "self/fd/%d", reg(x, &s->v[AWAIT_START_FIFO]));
	int fd = openat(reg(x, &s->v[AWAIT_START_PROC]), path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) < 0)
		return fail(x, errno, "exec fifo");
	/* its end tells whoever let us go that the program runs; before that it takes the reason why it does not */
	x->starter = fd;
	close(reg(x, &s->v[AWAIT_START_FIFO]));
	return 0;
}

int op_close_descriptors(struct executor *x, const struct step *s)
{
	unsigned first = 3 + (unsigned)s->v[CLOSE_DESCRIPTORS_KEEP].number;
	if (sys_close_range(first, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return fail(x, errno, "close_range from %u", first);
	return 0;
}

int op_exec(struct executor *x, const struct step *s)
{
	static char home[sizeof x->home + 5] = "HOME=", listen_pid[32];
	char **args = text_vector(s->v[EXEC_ARGS].list, 0), **env = text_vector(s->v[EXEC_ENV].list, 2);
	bool has_home = false;
	size_t count = 0;
	if (!args || !env)
		return fail(x, ENOMEM, "arguments");
	for (; env[count]; count++)
		has_home |= strncmp(env[count], "HOME=", 5) == 0;
	if (!has_home && x->home[0]) {
		strcat(home, x->home);
		env[count++] = home;
	}
	if (x->names_listener) {
		snprintf(listen_pid, sizeof listen_pid, "LISTEN_PID=%d", getpid());
		env[count] = listen_pid;
	}
	execve(x->program, args, env);
	int error = errno;
	fail(x, error, "exec %s: %s", x->program, errno_words(error));
	x->failure.status = error == ENOENT || error == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
	return -error;
}
