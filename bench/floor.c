/*
 * The floor: the kernel work of one container and nothing else.
 *
 *     floor LOWER SCRATCH [RUNS]
 *
 * Namespaces (pid, net, mount, ipc, uts, cgroup), one control group per v1 controller or one v2 group, an overlay
 * over LOWER with its upper folder below SCRATCH, the default mounts, six devices, masked and read-only paths,
 * pivot_root, exec of /bin/true, wait, removal of the groups. Prints the milliseconds of each run, a line each,
 * measured from the first mkdir to the last rmdir. Everything is done in the cheapest way known here: no engine
 * can be faster and do the same work.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GROUPS 16
#define CGROUP_V1 0x27e0eb

static char groups[GROUPS][256];
static int group_count;

static void die(const char *what) {
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void ok(int result, const char *what) {
	if (result < 0)
		die(what);
}

static void put(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ok(fd, path);
	ok(write(fd, text, strlen(text)), path);
	close(fd);
}

/* One folder per v1 hierarchy that has a controller, or one in the v2 tree. */
static void find_groups(void) {
	char path[400];
	struct statfs fs;
	struct stat st;
	DIR *dir = opendir("/sys/fs/cgroup");
	if (!dir)
		die("/sys/fs/cgroup");
	for (struct dirent *entry; (entry = readdir(dir)) && group_count < GROUPS;) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "systemd"))
			continue;
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", entry->d_name);
		if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || statfs(path, &fs) < 0 || fs.f_type != CGROUP_V1)
			continue;
		snprintf(groups[group_count++], sizeof groups[0], "/sys/fs/cgroup/%.60s/gantry-floor-%d", entry->d_name, getpid());
	}
	closedir(dir);
	if (group_count == 0)
		snprintf(groups[group_count++], sizeof groups[0], "/sys/fs/cgroup/gantry-floor-%d", getpid());
}

/* A v1 cpuset group takes no process before it has processors and memory nodes. */
static void fill_cpuset(const char *group) {
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char path[400], text[256];
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/../%s", group, files[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ok(fd, path);
		ssize_t size = read(fd, text, sizeof text - 1);
		ok((int)size, path);
		close(fd);
		text[size] = 0;
		snprintf(path, sizeof path, "%s/%s", group, files[i]);
		put(path, text);
	}
}

static void make_groups(void) {
	for (int i = 0; i < group_count; i++) {
		ok(mkdir(groups[i], 0755), groups[i]);
		if (strstr(groups[i], "/cpuset/"))
			fill_cpuset(groups[i]);
	}
}

static void join_groups(void) {
	char path[512];
	for (int i = 0; i < group_count; i++) {
		/* a thread that moves itself needs no lock on its process, whose first taking waits for a grace period */
		snprintf(path, sizeof path, "%.255s/tasks", groups[i]);
		if (access(path, F_OK) < 0)
			snprintf(path, sizeof path, "%.255s/cgroup.procs", groups[i]);
		put(path, "0");
	}
}

static void remove_groups(void) {
	for (int i = 0; i < group_count; i++)
		for (int tries = 0; rmdir(groups[i]) < 0; tries++) {
			if (errno != EBUSY || tries == 10000)
				die(groups[i]);
			usleep(50);
		}
}

static void raise_loopback(void) {
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok(fd, "socket");
	ok(ioctl(fd, SIOCSIFFLAGS, &request), "raise lo");
	close(fd);
}

static void mount_at(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
	ok(mount(source, target, type, flags, data), target);
}

static void bind_device(const char *root, const char *name) {
	char from[64], to[400];
	snprintf(from, sizeof from, "/dev/%s", name);
	snprintf(to, sizeof to, "%s/dev/%s", root, name);
	int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
	ok(fd, to);
	close(fd);
	mount_at(from, to, NULL, MS_BIND, NULL);
}

static void mask(const char *path) {
	struct stat st;
	if (lstat(path, &st) < 0)
		return;
	if (S_ISDIR(st.st_mode))
		mount_at("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k");
	else
		mount_at("/dev/null", path, NULL, MS_BIND, NULL);
}

static void make_read_only(const char *path) {
	if (access(path, F_OK) < 0)
		return;
	mount_at(path, path, NULL, MS_BIND | MS_REC, NULL);
	mount_at(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static void build_root(const char *lower, const char *scratch) {
	static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const char *const masked[] = {"/proc/acpi",       "/proc/kcore",       "/proc/keys",   "/proc/latency_stats",
	                                     "/proc/timer_list", "/proc/timer_stats", "/proc/asound", "/proc/sched_debug",
	                                     "/proc/scsi",       "/sys/firmware"};
	static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
	const unsigned long quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char root[300], path[400], options[1200];

	mount_at(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(root, sizeof root, "%s/merged", scratch);
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, scratch, scratch);
	mount_at("overlay", root, "overlay", 0, options);
#define AT(name) (snprintf(path, sizeof path, "%s" name, root), path)
	mount_at("proc", AT("/proc"), "proc", quiet, NULL);
	mount_at("tmpfs", AT("/dev"), "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	ok(mkdir(AT("/dev/pts"), 0755), "dev/pts");
	ok(mkdir(AT("/dev/mqueue"), 0755), "dev/mqueue");
	ok(mkdir(AT("/dev/shm"), 0755), "dev/shm");
	mount_at("devpts", AT("/dev/pts"), "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	mount_at("mqueue", AT("/dev/mqueue"), "mqueue", quiet, NULL);
	mount_at("shm", AT("/dev/shm"), "tmpfs", quiet, "mode=1777,size=65536k");
	mount_at("sysfs", AT("/sys"), "sysfs", quiet | MS_RDONLY, NULL);
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		bind_device(root, devices[i]);
	ok(symlink("/proc/self/fd", AT("/dev/fd")), "dev/fd");
	ok(symlink("pts/ptmx", AT("/dev/ptmx")), "dev/ptmx");

	ok(chdir(root), root);
	ok((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	ok(umount2(".", MNT_DETACH), "umount the old root");
	ok(chdir("/"), "/");
	for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
		mask(masked[i]);
	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
		make_read_only(read_only[i]);
}

static int container(const char *lower, const char *scratch) {
	join_groups();
	ok(unshare(CLONE_NEWCGROUP), "cgroup namespace");
	ok(sethostname("floor", 5), "sethostname");
	raise_loopback();
	build_root(lower, scratch);
	char *const argv[] = {"true", NULL};
	char *const envp[] = {"PATH=/bin", NULL};
	execve("/bin/true", argv, envp);
	die("/bin/true");
	return 1;
}

static double now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void run_once(const char *lower, const char *scratch) {
	const double started = now_ms();
	make_groups();
	const unsigned long flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
	const pid_t pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
	ok(pid, "clone");
	if (pid == 0)
		_exit(container(lower, scratch));
	int status;
	ok(waitpid(pid, &status, 0), "wait");
	remove_groups();
	if (status != 0) {
		fprintf(stderr, "floor: the container ended with status %d\n", status);
		exit(1);
	}
	printf("%.3f\n", now_ms() - started);
}

static void make_scratch(const char *scratch) {
	static const char *const names[] = {"upper", "work", "merged"};
	char path[400];
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", scratch, names[i]);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die(path);
	}
}

int main(int argc, char **argv) {
	if (argc < 3) {
		fprintf(stderr, "usage: floor LOWER SCRATCH [RUNS]\n");
		return 2;
	}
	make_scratch(argv[2]);
	find_groups();
	for (int runs = argc > 3 ? atoi(argv[3]) : 1; runs > 0; runs--)
		run_once(argv[1], argv[2]);
	return 0;
}
