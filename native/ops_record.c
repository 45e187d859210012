/* The life of a container as files tell it, hooks, and what the clean-up does besides cgroups. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"
#include "log.h"

long fill_in(const char *text, const struct late *values, size_t count, char *out, size_t size)
{
	size_t length = 0;
	while (*text) {
		const char *piece = text;
		size_t bytes = 1;
		text++;
		for (size_t i = 0; *piece == '@' && i < count; i++) {
			size_t name = strlen(values[i].name);
			if (strncmp(piece, values[i].name, name) == 0) {
				text = piece + name;
				piece = values[i].value;
				bytes = strlen(piece);
				break;
			}
		}
		if (length + bytes >= size)
			return -1;
		memcpy(out + length, piece, bytes);
		length += bytes;
	}
	out[length] = 0;
	return (long)length;
}

long fill_in_pid(const struct executor *x, const char *text, char *out, size_t size)
{
	char number[16];
	const struct late pid = {"@PID@", number};
	snprintf(number, sizeof number, "%d", x->child > 0 ? x->child : getpid());
	return fill_in(text, &pid, 1, out, size);
}

static int write_record(struct executor *x, const char *path, const char *name, const char *data, size_t bytes)
{
	char temporary[280];
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return fail(x, errno, "%s", path);
	snprintf(temporary, sizeof temporary, ".%.200s.%d", name, getpid());
	/* a pid file may lie where others write: never open what they put there, nor block on their fifo */
	unlinkat(dir, temporary, 0);
	int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : write_all(fd, data, bytes);
	if (fd >= 0)
		close(fd);
	if (r == 0 && renameat(dir, temporary, dir, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, temporary, 0);
	close(dir);
	return r < 0 ? fail(x, -r, "%s/%s", path, name) : 0;
}

/* Room for a number in a late value. */
struct number {
	char text[24];
};

static const char *put(struct number *room, unsigned long long value)
{
	snprintf(room->text, sizeof room->text, "%llu", value);
	return room->text;
}

/* What stands on 0, 1 and 2, as a JSON array; "" for what is closed. */
static const char *stdio_names(char *out, size_t size)
{
	size_t length = 0;
	for (int fd = 0; fd < 3; fd++) {
		char link[32], name[1024] = "", quoted[2048 + sizeof name];
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		if (readlink(link, name, sizeof name - 1) < 0)
			*name = 0;
		escape(name, quoted, sizeof quoted);
		length += (size_t)snprintf(out + length, size - length, "%s\"%s\"", fd ? "," : "[", quoted);
	}
	snprintf(out + length, size - length, "]");
	return out;
}

int op_record_start(struct executor *x, const struct step *s)
{
	struct number room[4];
	static char text[RECORD_LIMIT], stdio[8192];
	const char *record = s->v[RECORD_START_RECORD].text.at;
	/* all records of a start tell the same time */
	if (!x->started[0])
		log_time(x->started);
	const struct late values[] = {
		{"@PID@", put(&room[0], (unsigned)x->child)},
		{"@START@", put(&room[1], process_start_time(x->child))},
		{"@SHIM@", put(&room[2], (unsigned)getpid())},
		{"@SHIMSTART@", put(&room[3], process_start_time(getpid()))},
		{"@TIME@", x->started},
		{"@STDIO@", strstr(record, "@STDIO@") ? stdio_names(stdio, sizeof stdio) : ""},
	};
	long bytes = fill_in(record, values, countof(values), text, sizeof text);
	if (bytes < 0)
		return fail(x, E2BIG, "record");
	x->records++;
	return write_record(x, s->v[RECORD_START_DIR].text.at, s->v[RECORD_START_NAME].text.at, text, (size_t)bytes);
}

int op_record_pid(struct executor *x, const struct step *s)
{
	struct number room;
	(void)s;
	char *name = x->pid_file ? strrchr(x->pid_file, '/') : NULL;
	if (!name || !name[1])
		return fail(x, EINVAL, "no file was named");
	char dir[4096];
	snprintf(dir, sizeof dir, "%.*s", name == x->pid_file ? 1 : (int)(name - x->pid_file), x->pid_file);
	put(&room, (unsigned)x->child);
	x->pid_recorded = true;
	return write_record(x, dir, name + 1, room.text, strlen(room.text));
}

void undo_records(struct executor *x)
{
	const uint8_t *cursor = x->plan.host.at;
	struct step s = {.operation = NULL};
	if (x->pid_recorded)
		unlink(x->pid_file);
	for (uint32_t i = 0; i < x->plan.host.steps && x->records > 0; i++) {
		plan_next(&x->plan, &cursor, &s);
		if (s.operation->run != op_record_start)
			continue;
		int dir = open(s.v[RECORD_START_DIR].text.at, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0) {
			unlinkat(dir, s.v[RECORD_START_NAME].text.at, 0);
			close(dir);
		}
		x->records--;
	}
}

int op_record_exit(struct executor *x, const struct step *s)
{
	struct number room[4];
	char text[4096], now[40];
	uint32_t status[3];
	/* a container that never became its program has no exit to record */
	if (!x->child_reaped || !x->supervised)
		return 0;
	exit_payload(x, status);
	log_time(now);
	const struct late values[] = {
		{"@CODE@", put(&room[0], status[0])},
		{"@SIGNAL@", put(&room[1], status[1])},
		{"@OOM@", status[2] ? "true" : "false"},
		{"@TIME@", now},
		{"@PID@", put(&room[2], (unsigned)x->child)},
		{"@LOST@", put(&room[3], x->log_bytes_lost)},
	};
	shim_unlisten();
	long bytes = fill_in(s->v[RECORD_EXIT_RECORD].text.at, values, countof(values), text, sizeof text);
	if (bytes < 0)
		return fail(x, E2BIG, "record");
	return write_record(x, s->v[RECORD_EXIT_DIR].text.at, s->v[RECORD_EXIT_NAME].text.at, text, (size_t)bytes);
}

/* --- the end of the child --- */

void reap_child(struct executor *x)
{
	if (!x->child_reaped && waitpid(x->child, &x->wait_status, 0) == x->child)
		x->child_reaped = true;
}

void reap_compiler(struct executor *x, int options)
{
	if (x->compiler > 0 && waitpid(x->compiler, NULL, options) == x->compiler)
		x->compiler = 0;
}

int kill_child(struct executor *x)
{
	struct pollfd end = {.fd = x->child_pidfd, .events = POLLIN};
	sys_pidfd_send_signal(x->child_pidfd, SIGKILL);
	/* a child that was born to somebody else is reaped by them: its end is enough */
	if (poll(&end, 1, 10000) == 0)
		return fail(x, ETIMEDOUT, "process %d does not end", x->child);
	reap_child(x);
	return 0;
}

int op_kill_child(struct executor *x, const struct step *s)
{
	(void)s;
	end_criu(x);
	end_guard(x);
	return x->child <= 0 || x->child_reaped ? 0 : kill_child(x);
}

int op_await_exit(struct executor *x, const struct step *s)
{
	(void)s;
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	int signals = signalfd(-1, &all, SFD_CLOEXEC);
	struct pollfd wait[] = {{.fd = x->child_pidfd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	while (poll(wait, 2, -1) >= 0 || errno == EINTR) {
		struct signalfd_siginfo info;
		if (wait[1].revents && read(signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
			sys_pidfd_send_signal(x->child_pidfd, (int)info.ssi_signo);
		reap_compiler(x, WNOHANG);
		if (wait[0].revents)
			break;
	}
	close(signals);
	reap_child(x);
	return x->child_reaped ? 0 : fail(x, ECHILD, "the child belongs to another process");
}

/* --- hooks and programs --- */

void become_program(const char *path, char **args, char **env)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	sys_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	execve(path, args, env);
	_exit(127);
}

pid_t start_program(const char *path, char **args, char **env, int input)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	dup2(input, 0);
	become_program(path, args, env);
}

int program_ended(struct executor *x, int status, const char *path)
{
	if (status == 0)
		return 0;
	fail(x, 0, WIFSIGNALED(status) ? "%s: ended by signal %d" : "%s: exit status %d", path,
	     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return -EIO;
}

int await_program(struct executor *x, pid_t pid, int timeout_ms, const char *path)
{
	int status = 0, pidfd = pid < 0 ? -1 : sys_pidfd_open(pid, 0);
	if (pidfd < 0)
		return fail(x, errno, "%s", path);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	bool late = poll(&end, 1, timeout_ms) == 0;
	if (late)
		sys_pidfd_send_signal(pidfd, SIGKILL);
	waitpid(pid, &status, 0);
	close(pidfd);
	return late ? fail(x, ETIMEDOUT, "%s", path) : program_ended(x, status, path);
}

int op_run_hook(struct executor *x, const struct step *s)
{
	static char state[RECORD_LIMIT];
	const char *path = s->v[RUN_HOOK_PATH].text.at;
	uint64_t timeout = s->v[RUN_HOOK_TIMEOUT_MS].number;
	int input[2];
	long bytes = fill_in_pid(x, s->v[RUN_HOOK_STATE].text.at, state, sizeof state);
	if (bytes < 0)
		return fail(x, E2BIG, "state for %s", path);
	char **args = text_vector(s->v[RUN_HOOK_ARGS].list, 0), **env = text_vector(s->v[RUN_HOOK_ENV].list, 0);
	if (!args || !env || pipe2(input, O_CLOEXEC) < 0) {
		free(args);
		free(env);
		return fail(x, errno, "%s", path);
	}
	/* less than usual for a user who has many of them (pipe(7)) */
	if (bytes > fcntl(input[1], F_GETPIPE_SZ) && fcntl(input[1], F_SETPIPE_SZ, (int)bytes) < bytes) {
		int error = errno;
		free(args);
		free(env);
		close(input[0]);
		close(input[1]);
		return fail(x, error, "state for %s", path);
	}
	/* it fits the pipe: a hook that does not read cannot block us, nor its end raise SIGPIPE here */
	write_all(input[1], state, (size_t)bytes);
	close(input[1]);
	pid_t hook = start_program(path, args, env, input[0]);
	free(args);
	free(env);
	close(input[0]);
	return await_program(x, hook, timeout ? (int)timeout : -1, path);
}

static int run_program(struct executor *x, struct list program, struct list environment)
{
	char **args = text_vector(program, 0), **env = text_vector(environment, 0);
	int status = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t middle = args && env && args[0] ? fork() : -1;
	if (middle == 0) {
		/* a grandchild in a session of its own: it outlives us and is nobody's zombie */
		setsid();
		dup2(null, 1);
		dup2(null, 2);
		_exit(start_program(args[0], args, env, null) < 0 ? 1 : 0);
	}
	int error = errno;
	if (middle > 0 && (waitpid(middle, &status, 0) < 0 || status != 0))
		error = EAGAIN, middle = -1;
	if (null >= 0)
		close(null);
	free(args);
	free(env);
	return middle < 0 ? fail(x, error, "start program") : 0;
}

int op_run_program(struct executor *x, const struct step *s)
{
	return run_program(x, s->v[RUN_PROGRAM_ARGS].list, s->v[RUN_PROGRAM_ENV].list);
}

int op_run_program_asked(struct executor *x, const struct step *s)
{
	if (access(s->v[RUN_PROGRAM_ASKED_MARKER].text.at, F_OK) < 0)
		return 0;
	return run_program(x, s->v[RUN_PROGRAM_ASKED_ARGS].list, s->v[RUN_PROGRAM_ASKED_ENV].list);
}
