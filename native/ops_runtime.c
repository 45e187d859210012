/*
 * A container that another OCI runtime makes: this executor is its shim all the same. `create` works in mounts that
 * nobody else sees, and what it leaves behind when it is over becomes our child.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "executor.h"
#include "local_socket.h"

int op_prepare_runtime(struct executor *x, const struct step *s)
{
	(void)s;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return fail(x, errno, "become a subreaper");
	x->host_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (x->host_mounts < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return fail(x, errno, "mount namespace");
	return 0;
}

static void become_runtime(const struct step *s, const int fds[3], char **args, char **env, pid_t parent)
{
	/* half a container of a runtime that nobody waits for is found by its cgroup */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(127);
	for (int target = 0; target < 3; target++)
		if (fds[target] >= 0 && dup2(fds[target], target) < 0)
			_exit(127);
	const char *directory = s->v[RUN_RUNTIME_DIRECTORY].text.at;
	if (*directory && chdir(directory) < 0)
		_exit(127);
	become_program(s->v[RUN_RUNTIME_PATH].text.at, args, env);
}

int op_run_runtime(struct executor *x, const struct step *s)
{
	const char *path = s->v[RUN_RUNTIME_PATH].text.at;
	const int fds[3] = {reg(x, &s->v[RUN_RUNTIME_STDIN]), reg(x, &s->v[RUN_RUNTIME_STDOUT]),
	                    reg(x, &s->v[RUN_RUNTIME_STDERR])};
	int timeout_ms = (int)s->v[RUN_RUNTIME_TIMEOUT_MS].number, ends[2];
	bool guarded = x->guard.wanted;
	x->guard.wanted = false;
	if (guarded && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return fail(x, errno, "socketpair");
	char **args = text_vector(s->v[RUN_RUNTIME_ARGS].list, 0), **env = text_vector(s->v[RUN_RUNTIME_ENV].list, 0);
	pid_t parent = getpid(), pid = args && env ? fork() : -1;
	if (pid == 0)
		become_runtime(s, fds, args, env, guarded ? stand_guard(ends[1]) : parent);
	int error = pid < 0 ? (args && env ? errno : ENOMEM) : 0;
	free(args);
	free(env);
	if (guarded) {
		close(ends[1]);
		x->guard.pid = pid;
		x->guard.socket = ends[0];
	}
	if (pid < 0)
		return fail(x, error, "%s", path);
	return guarded ? await_guarded(x, timeout_ms, path) : await_program(x, pid, timeout_ms, path);
}

/* --- the terminal: a runtime makes it, and hands its master to who listens --- */

/* What a runtime has sent when it was done is there already; it is waited for all the same. */
#define CONSOLE_MS 10000

int op_listen_console(struct executor *x, const struct step *s)
{
	const char *path = s->v[LISTEN_CONSOLE_DIR].text.at, *name = s->v[LISTEN_CONSOLE_NAME].text.at;
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return fail(x, errno, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : bind_in(fd, dir, name);
	if (r == 0 && listen(fd, 1) < 0)
		r = -errno;
	close(dir);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return fail(x, -r, "listen at %s/%s", path, name);
	}
	set_reg(x, &s->v[LISTEN_CONSOLE_FD], fd);
	return 0;
}

/* The one descriptor of one message. fd or -errno. */
static int take_descriptor(int socket)
{
	char text[4096];
	struct pollfd wait = {.fd = socket, .events = POLLIN};
	int fd;
	if (poll(&wait, 1, CONSOLE_MS) <= 0)
		return -ETIMEDOUT;
	ssize_t n = receive_with(socket, text, sizeof text, MSG_DONTWAIT, &fd);
	return n < 0 ? (int)n : fd < 0 ? -EPROTO : fd;
}

int op_accept_console(struct executor *x, const struct step *s)
{
	int listener = reg(x, &s->v[ACCEPT_CONSOLE_SOCKET]);
	struct pollfd wait = {.fd = listener, .events = POLLIN};
	int connection = -1, fd = -ETIMEDOUT;
	unsigned number;
	if (poll(&wait, 1, CONSOLE_MS) > 0) {
		connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		fd = connection < 0 ? -errno : take_descriptor(connection);
	}
	close(listener);
	set_reg(x, &s->v[ACCEPT_CONSOLE_SOCKET], -1);
	if (connection >= 0)
		close(connection);
	/* a master, and nothing else that could be read from and written to */
	if (fd >= 0 && ioctl(fd, TIOCGPTN, &number) < 0) {
		close(fd);
		fd = -ENOTTY;
	}
	if (fd < 0)
		return fail(x, -fd, "the terminal that the runtime was to hand over");
	set_reg(x, &s->v[ACCEPT_CONSOLE_FD], fd);
	return 0;
}

int op_adopt_container(struct executor *x, const struct step *s)
{
	const char *path = s->v[ADOPT_CONTAINER_PID_FILE].text.at;
	char text[32], *end = NULL;
	ssize_t length = read_file_at(AT_FDCWD, path, text, sizeof text);
	if (length < 0)
		return fail(x, (int)-length, "%s", path);
	long pid = strtol(text, &end, 10);
	if (pid <= 1 || pid > INT32_MAX || (*end && *end != '\n'))
		return fail(x, EINVAL, "%s", path);
	int pidfd = sys_pidfd_open((pid_t)pid, 0);
	if (pidfd < 0)
		return fail(x, errno, "process %ld", pid);
	int r = prove_child(x, (pid_t)pid);
	if (r < 0) {
		close(pidfd);
		return r;
	}
	x->child = (pid_t)pid;
	x->child_pidfd = pidfd;
	/* the container has mounts of its own by now; a shim that kept copies of the host's would keep them in use */
	if (x->host_mounts >= 0 && setns(x->host_mounts, CLONE_NEWNS) < 0)
		return fail(x, errno, "go back to the mounts of the host");
	close(x->host_mounts);
	x->host_mounts = -1;
	if (x->guard.pid <= 0)
		stop_adopting();
	return 0;
}
