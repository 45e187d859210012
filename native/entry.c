/*
 * The commands `gantry` and `gantry-oci`: this program under another name. The work is done by the TypeScript program
 * that lies beside it.
 *
 *     gantry       becomes it
 *     gantry-oci   does a few simple verbs by itself (quick.c), and runs plans that it has had before (exec_cache.c,
 *                  plan_template.c); else starts it, and becomes the executor when a plan comes back
 *
 *         caller ── gantry-oci ──┬── TypeScript: reads the bundle, compiles the plan, writes it to a pipe, ends
 *                                └── executor with that plan: still the process that the caller started, with its
 *                                    descriptors, limits and signals as they were
 *
 * A verb for which no plan comes back is over when the TypeScript program is: its exit status is handed on.
 *
 * Neither lets that program compile machine code, since a command is over before that pays, and would take half as long
 * again; but for those of `gantry` that move data or stay, and there late.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "container.h"

extern char **environ;

enum {
	EXIT_TROUBLE = 125,
	HIGH_DESCRIPTOR = 200, /* above what callers hand on to the container */
	PLAN_HEADER = 12, /* magic, version, length of the whole */
};

static int die(const char *what)
{
	dprintf(2, "gantry: %s: %s\n", what, errno_words(errno));
	return EXIT_TROUBLE;
}

static int put_number(const char *name, unsigned long long value)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", value);
	return setenv(name, text, 1);
}

/* The TypeScript program raises its own limit of open files; no container shall inherit that. */
static int note_file_limit(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -1 : put_number("GANTRY_NOFILE", limit.rlim_cur);
}

/* Whether a command of `gantry` moves data or stays: what is done again and again is worth compiling then. */
static bool runs_long(char **argv)
{
	static const char *const verbs[] = {"logs", "attach", "cp", "export", "import", "commit", "pull", "events", "stats",
	                                    "serve", "registry", "system", NULL};
	char **at = argv + 1;
	/* flags before the verb: all but one have a value */
	for (; *at && **at == '-'; at++)
		if (!strchr(*at, '=') && strcmp(*at, "--debug") != 0 && at[1])
			at++;
	return *at && is_one_of(*at, verbs);
}

/* What JavaScriptCore is told, unless the user has said something else. */
static int choose_machine_code(bool wanted)
{
	static const char *const late[][2] = {
		{"BUN_JSC_useConcurrentJIT", "0"},
		{"BUN_JSC_thresholdForJITAfterWarmUp", "20000"},
		{"BUN_JSC_thresholdForJITSoon", "20000"},
	};
	if (!wanted)
		return setenv("BUN_JSC_useJIT", "0", 0);
	for (size_t i = 0; i < countof(late); i++)
		if (setenv(late[i][0], late[i][1], 0) < 0)
			return -1;
	return 0;
}

static bool is_oci(const char *path)
{
	const char *name = strrchr(path, '/');
	return strcmp(name ? name + 1 : path, "gantry-oci") == 0;
}

/* Starts the TypeScript program with the writing end of a pipe for its plan. */
static pid_t start_compiler(const char *program, char **argv, int *plan)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*plan = ends[0];
	pid_t pid = fork();
	if (pid != 0) {
		close(ends[1]);
		return pid;
	}
	/* without us nobody would wait for its plan */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = fcntl(ends[1], F_DUPFD, HIGH_DESCRIPTOR);
	/* the limit of open files may be lower than that */
	if (fd < 0)
		fd = fcntl(ends[1], F_DUPFD, 3);
	if (fd < 0 || put_number("GANTRY_PLAN_FD", (unsigned)fd) < 0)
		_exit(die("hand over a pipe"));
	execve(program, argv, environ);
	_exit(die(program));
}

/* The whole plan as a file for the executor; -1 if none came, or not all of it. */
static int receive_plan(int from)
{
	char piece[65536];
	uint32_t total;
	if (read_all(from, piece, PLAN_HEADER) < 0)
		return -1;
	memcpy(&total, piece + 8, sizeof total);
	int plan = (int)syscall(SYS_memfd_create, "plan", 0);
	size_t have = PLAN_HEADER;
	for (size_t left = total; plan >= 0 && left > 0; have = left < sizeof piece ? left : sizeof piece) {
		if (left < total && read_all(from, piece, have) < 0)
			return -1;
		if (write_all(plan, piece, have) < 0)
			return -1;
		left -= have;
	}
	return plan;
}

/* Waits for the plan or the end of the program, handing signals on to it. True if there is something to read. */
static bool await_plan(int from, int signals, pid_t compiler)
{
	struct pollfd wait[] = {{.fd = from, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	struct signalfd_siginfo info;
	for (;;) {
		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			return false;
		if (wait[1].revents && read(signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
			kill(compiler, (int)info.ssi_signo);
		if (wait[0].revents)
			return wait[0].revents & POLLIN;
	}
}

static int status_of(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return die("wait");
	return exit_code(status);
}

/* The descriptor is an executable copy of this program. */
static int become_executor(int executor, int plan, pid_t compiler, const char *pid_file)
{
	char fd[12], pid[12];
	char *const args[] = {"gantry-executor", "plan", fd, pid, (char *)(uintptr_t)pid_file, NULL}, *const none[] = {NULL};
	snprintf(fd, sizeof fd, "%d", plan);
	snprintf(pid, sizeof pid, "%d", compiler);
	syscall(SYS_execveat, executor, "", args, none, AT_EMPTY_PATH);
	return die("become a sealed copy");
}

/* Has the compiler keep the plan of a launch that is no longer the first of its kind. */
static int ask_to_keep(const struct launch_call *launch)
{
	int file = describe_launch(launch), fd = file < 0 ? -1 : fcntl(file, F_DUPFD, HIGH_DESCRIPTOR);
	close(file);
	if (fd >= 0)
		put_number("GANTRY_KEEP_FD", (unsigned)fd);
	return fd;
}

static int run_oci(const char *program, char **argv)
{
	static struct launch_call launch;
	sigset_t all, before;
	struct exec_call exec = {.pid_file = NULL};
	int from, keep = -1;
	bool again = read_exec_call(argv, program, &exec);
	int plan = again ? find_plan(&exec) : -1;
	if (plan >= 0)
		return become_executor(sealed_copy(), plan, 0, exec.pid_file);
	unsetenv("GANTRY_KEEP_FD");
	if (read_launch_call(argv, program, &launch)) {
		plan = find_launch_plan(&launch);
		if (plan >= 0) {
			int status = become_executor(sealed_copy(), plan, 0, NULL);
			abandon_launch(&launch);
			return status;
		}
		keep = launch.came_before ? ask_to_keep(&launch) : -1;
	}
	if (again && exec.pid_file)
		setenv("GANTRY_LATE_PID_FILE", "1", 1);
	else
		unsetenv("GANTRY_LATE_PID_FILE");
	sigfillset(&all);
	pid_t compiler = start_compiler(program, argv, &from);
	close(keep);
	if (compiler < 0)
		return die("start");
	sigprocmask(SIG_BLOCK, &all, &before);
	int signals = signalfd(-1, &all, SFD_CLOEXEC);
	int executor = sealed_copy(); /* while the other one works */
	bool more = await_plan(from, signals, compiler);
	plan = more ? receive_plan(from) : -1;
	if (plan < 0)
		return status_of(compiler);
	if (again)
		keep_plan(&exec, plan);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return become_executor(executor, plan, compiler, again ? exec.pid_file : NULL);
}

int run_entry(char *self, char **argv)
{
	char *name = strrchr(self, '/');
	char program[4096];
	bool oci = is_oci(self) || (argv[0] && is_oci(argv[0]));
	if (!name || snprintf(program, sizeof program, "%.*s/gantry-program", (int)(name - self), self) >= (int)sizeof program)
		return die("find own folder");
	if (oci && run_quick(argv))
		return 0;
	if (note_file_limit() < 0 || choose_machine_code(!oci && runs_long(argv)) < 0)
		return die("prepare");
	/* by this name it knows itself, whatever the link was called */
	argv[0] = oci ? "gantry-oci" : "gantry";
	if (oci)
		return run_oci(program, argv);
	unsetenv("GANTRY_PLAN_FD");
	execve(program, argv, environ);
	return die(program);
}
