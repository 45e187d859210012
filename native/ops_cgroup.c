/*
 * cgroups, v1 and v2. Paths come from the plan and lie below a cgroup mount; a directory is walked
 * once, component by component, and used by descriptor from then on.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "clock.h"
#include "executor.h"

#define CGROUP1_MAGIC 0x27e0eb
#define CGROUP2_MAGIC 0x63677270

static int open_cgroup_mount(struct executor *x, const char *path)
{
	struct statfs fs;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(x, errno, "%s", path);
	if (fstatfs(fd, &fs) < 0 || (fs.f_type != CGROUP1_MAGIC && fs.f_type != CGROUP2_MAGIC)) {
		close(fd);
		return fail(x, EINVAL, "%s is not a cgroup mount", path);
	}
	return fd;
}

/* Takes the next component of *path: 1, or 0 at its end. One that cannot name a cgroup is an error, never the end. */
static int next_component(const char **path, char name[256])
{
	while (**path == '/')
		(*path)++;
	size_t length = strcspn(*path, "/");
	if (length > 255)
		return -ENAMETOOLONG;
	memcpy(name, *path, length);
	name[length] = 0;
	*path += length;
	return is_dots(name) ? -EINVAL : length > 0;
}

/* The same for a path that is only used when all of it can be walked. */
static int check_path(struct executor *x, const char *path)
{
	const char *rest = path;
	char name[256];
	int r;
	while ((r = next_component(&rest, name)) > 0)
		;
	return r < 0 ? fail(x, -r, "%.300s", path) : 0;
}

/* cpuset on v1 starts empty and takes no process until both files are set. */
static void inherit_cpuset(int parent, int dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char own[4096], above[4096];
	for (size_t i = 0; i < countof(files); i++) {
		if (read_file_at(dir, files[i], own, sizeof own) < 0 || (own[0] && own[0] != '\n'))
			continue;
		ssize_t n = read_file_at(parent, files[i], above, sizeof above);
		if (n > 0)
			write_file_at(dir, files[i], above, (size_t)n);
	}
}

static bool holds_processes(int dir)
{
	char text[16];
	return read_file_at(dir, "cgroup.procs", text, sizeof text) > 0;
}

int op_make_cgroup(struct executor *x, const struct step *s)
{
	const char *path = s->v[MAKE_CGROUP_PATH].text.at;
	uint64_t init = s->v[MAKE_CGROUP_INIT].number;
	char name[256];
	int dir = check_path(x, path);
	if (dir == 0)
		dir = open_cgroup_mount(x, s->v[MAKE_CGROUP_MOUNT].text.at);
	if (dir < 0)
		return dir;
	while (next_component(&path, name) > 0) {
		/* a sibling's last process may remove an empty parent between the two calls: once more */
		int next = -1;
		for (int tries = 0; next < 0 && tries < 3; tries++) {
			if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
				break;
			next = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		}
		if (next < 0) {
			int error = errno;
			close(dir);
			return fail(x, error, "%s", s->v[MAKE_CGROUP_PATH].text.at);
		}
		if (init == 1)
			inherit_cpuset(dir, next);
		close(dir);
		dir = next;
	}
	if (init == 2 && holds_processes(dir)) {
		close(dir);
		return fail(x, EEXIST, "%s holds processes", s->v[MAKE_CGROUP_PATH].text.at);
	}
	set_reg(x, &s->v[MAKE_CGROUP_DIR], dir);
	x->cgroups++;
	return 0;
}

int op_open_cgroup(struct executor *x, const struct step *s)
{
	const char *path = s->v[OPEN_CGROUP_PATH].text.at;
	int mount = check_path(x, path);
	if (mount == 0)
		mount = open_cgroup_mount(x, s->v[OPEN_CGROUP_MOUNT].text.at);
	if (mount < 0)
		return mount;
	while (*path == '/')
		path++;
	int dir = openat(mount, *path ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int error = errno;
	close(mount);
	if (dir < 0)
		return fail(x, error, "%s", s->v[OPEN_CGROUP_PATH].text.at);
	set_reg(x, &s->v[OPEN_CGROUP_DIR], dir);
	return 0;
}

/* Writes a value; -ENOENT, without a note, where there is no such file. */
static int write_value(struct executor *x, int dir, const struct bytes *file, const struct bytes *value)
{
	if (strchr(file->at, '/'))
		return fail(x, EINVAL, "%s holds a slash", file->at);
	int r = write_file_at(dir, file->at, value->at, value->length);
	return r < 0 && r != -ENOENT ? fail(x, -r, "%s = %.64s", file->at, value->at) : r;
}

int op_write_cgroup(struct executor *x, const struct step *s)
{
	const struct bytes *file = &s->v[WRITE_CGROUP_FILE].text, *value = &s->v[WRITE_CGROUP_VALUE].text;
	int r = write_value(x, reg(x, &s->v[WRITE_CGROUP_DIR]), file, value);
	if (r != -ENOENT)
		return r;
	return s->v[WRITE_CGROUP_OPTIONAL].number ? 0 : fail(x, ENOENT, "%s = %.64s", file->at, value->at);
}

int op_write_cgroup_either(struct executor *x, const struct step *s)
{
	const struct bytes *file = &s->v[WRITE_CGROUP_EITHER_FILE].text;
	const struct bytes *other = &s->v[WRITE_CGROUP_EITHER_OTHERWISE].text;
	int dir = reg(x, &s->v[WRITE_CGROUP_EITHER_DIR]);
	int r = write_value(x, dir, file, &s->v[WRITE_CGROUP_EITHER_VALUE].text);
	if (r == -ENOENT)
		r = write_value(x, dir, other, &s->v[WRITE_CGROUP_EITHER_OTHER_VALUE].text);
	return r == -ENOENT ? fail(x, ENOENT, "neither %s nor %s", file->at, other->at) : r;
}

/*
 * What cannot be enabled is passed over, as other runtimes do: the parent may not have it, the directory may
 * be somebody else's who has enabled it already, or hold processes. A value that needs it fails with its name.
 */
static void enable_controller(int dir, const char *controller)
{
	char line[80];
	int n = snprintf(line, sizeof line, "+%s", controller);
	if (n < (int)sizeof line)
		write_file_at(dir, "cgroup.subtree_control", line, (size_t)n);
}

int op_enable_controllers(struct executor *x, const struct step *s)
{
	const char *path = s->v[ENABLE_CONTROLLERS_PATH].text.at;
	char name[256];
	int dir = check_path(x, path);
	if (dir == 0)
		dir = open_cgroup_mount(x, s->v[ENABLE_CONTROLLERS_MOUNT].text.at);
	if (dir < 0)
		return dir;
	while (next_component(&path, name) > 0) {
		struct list list = s->v[ENABLE_CONTROLLERS_CONTROLLERS].list;
		while (list.count > 0)
			enable_controller(dir, next_text(&list).at);
		if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
			break;
		int next = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (next < 0)
			break;
		close(dir);
		dir = next;
	}
	close(dir);
	return 0;
}

int op_move_child(struct executor *x, const struct step *s)
{
	char text[16];
	int n = snprintf(text, sizeof text, "%d", x->child);
	int r = write_file_at(reg(x, &s->v[MOVE_CHILD_DIR]), "cgroup.procs", text, (size_t)n);
	return r < 0 ? fail(x, -r, "cgroup.procs") : 0;
}

/*
 * A thread that moves itself needs no lock on its process (kernel/cgroup/cgroup.c, cgroup_procs_write_start);
 * moving a process does, and the first such lock waits for an RCU grace period: up to 12 ms on a busy machine.
 */
int op_enter_cgroup(struct executor *x, const struct step *s)
{
	const char *path = s->v[ENTER_CGROUP_PATH].text.at;
	char file[4096];
	int mount = check_path(x, path);
	if (mount == 0)
		mount = open_cgroup_mount(x, s->v[ENTER_CGROUP_MOUNT].text.at);
	if (mount < 0)
		return mount;
	while (*path == '/')
		path++;
	int n = snprintf(file, sizeof file, "%s/tasks", path);
	int r = n < (int)sizeof file ? write_file_at(mount, file, "0", 1) : -ENAMETOOLONG;
	close(mount);
	return r < 0 ? fail(x, -r, "%s", file) : 0;
}

/* --- removal --- */

static void signal_members(int dir, int number, pid_t except)
{
	char text[4096];
	pid_t pid = 0;
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	for (ssize_t n; fd >= 0 && (n = read(fd, text, sizeof text)) > 0;)
		for (ssize_t i = 0; i < n; i++) {
			if (text[i] != '\n') {
				pid = pid * 10 + (text[i] - '0');
				continue;
			}
			/* 0 is a process of another pid namespace */
			if (pid > 1 && pid != getpid() && pid != except)
				kill(pid, number);
			pid = 0;
		}
	if (fd >= 0)
		close(fd);
}

/* The directories in a cgroup; NULL where there are too many levels of them. */
static DIR *open_children(int dir, int depth)
{
	int fd = depth < 32 ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !list)
		close(fd);
	return list;
}

static const char *next_child(DIR *list)
{
	struct dirent *entry = NULL;
	while (list && (entry = readdir(list)))
		if (entry->d_type == DT_DIR && !is_dots(entry->d_name))
			break;
	return entry ? entry->d_name : NULL;
}

static void signal_below(int dir, int number, pid_t except, int depth)
{
	DIR *list = open_children(dir, depth);
	signal_members(dir, number, except);
	for (const char *name; (name = next_child(list));) {
		int below = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below < 0)
			continue;
		signal_below(below, number, except, depth + 1);
		close(below);
	}
	if (list)
		closedir(list);
}

void signal_cgroup(int dir, int number, pid_t except)
{
	signal_below(dir, number, except, 0);
}

/* Kills every process of one cgroup directory; on v2 also of those below. */
static void kill_members(int dir)
{
	if (write_file_at(dir, "cgroup.kill", "1", 1) == 0)
		return;
	/* a frozen v1 group does not die before it thaws */
	write_freezer(dir, true, false);
	signal_members(dir, SIGKILL, 0);
}

static int remove_below(int parent, const char *name, int depth, int *patience);

static void remove_children(int dir, int depth, int *patience)
{
	DIR *list = open_children(dir, depth);
	for (const char *name; (name = next_child(list));)
		remove_below(dir, name, depth + 1, patience);
	if (list)
		closedir(list);
}

/*
 * Removes a cgroup and what lies below it, depth first. Killed processes leave when they are reaped, and one
 * that is being killed may still make cgroups: `patience` is how often all of it together may be waited for.
 */
static int remove_below(int parent, const char *name, int depth, int *patience)
{
	for (int tries = 0; unlinkat(parent, name, AT_REMOVEDIR) < 0; tries++) {
		if (errno != EBUSY && errno != ENOTEMPTY)
			return errno == ENOENT ? 0 : -errno;
		if (tries > 0) {
			if (--*patience < 0)
				return -EBUSY;
			pause_us(tries > 4 ? 5000 : 1000);
		}
		int dir = open_directory(parent, name);
		if (dir < 0)
			return dir == -ENOENT ? 0 : dir;
		kill_members(dir);
		remove_children(dir, depth, patience);
		close(dir);
	}
	return 0;
}

/* Empties a v2 cgroup. Its maker is told so by the kernel, and must still find it then: only what lies below goes. */
static int empty_below(int parent, const char *name, int *patience)
{
	char events[256];
	int r = 0, dir = open_directory(parent, name);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	for (int tries = 0;; tries++) {
		kill_members(dir);
		remove_children(dir, 0, patience);
		/* where it cannot be read the cgroup is gone */
		if (read_file_at(dir, "cgroup.events", events, sizeof events) <= 0 || strstr(events, "populated 0"))
			break;
		if (--*patience < 0) {
			r = -EBUSY;
			break;
		}
		pause_us(tries > 4 ? 5000 : 1000);
	}
	close(dir);
	return r;
}

/* True if the kernel killed something in the cgroup, of either version. */
static bool oom_killed_in(int cgroup)
{
	static const char *const files[] = {"memory.events", "memory.oom_control"};
	bool killed = false;
	for (size_t i = 0; i < countof(files); i++) {
		int file = openat(cgroup, files[i], O_RDONLY | O_CLOEXEC);
		if (file < 0)
			continue;
		killed |= oom_kills(file) > 0;
		close(file);
	}
	return killed;
}

static bool same_text(const union operand *a, const union operand *b)
{
	return strcmp(a->text.at, b->text.at) == 0;
}

_Static_assert(REMOVE_CGROUP_MOUNT == EMPTY_CGROUP_MOUNT && REMOVE_CGROUP_PATH == EMPTY_CGROUP_PATH, "one serves both");

/* True if this plan was to make the cgroup and did not come to it: it may be somebody else's then. */
static bool was_not_made(const struct executor *x, const struct step *s)
{
	const uint8_t *cursor = x->plan.host.at;
	uint32_t makings = 0;
	struct step host;
	for (uint32_t i = 0; i < x->plan.host.steps; i++) {
		plan_next(&x->plan, &cursor, &host);
		if (host.operation->run != op_make_cgroup)
			continue;
		if (same_text(&host.v[MAKE_CGROUP_MOUNT], &s->v[REMOVE_CGROUP_MOUNT]) &&
		    same_text(&host.v[MAKE_CGROUP_PATH], &s->v[REMOVE_CGROUP_PATH]))
			return makings >= x->cgroups;
		makings++;
	}
	return false;
}

/* The directory above a cgroup, and its name there: a descriptor, -ENOENT where that is gone, or -errno after a note. */
static int open_above(struct executor *x, const struct step *s, char name[256])
{
	const char *path = s->v[REMOVE_CGROUP_PATH].text.at;
	char above[4096];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	int r = check_path(x, path);
	if (r < 0)
		return r;
	if (length >= sizeof above || next_component(&(const char *){slash ? slash + 1 : path}, name) == 0)
		return fail(x, EINVAL, "%.300s", path);
	memcpy(above, path, length);
	above[length] = 0;
	int mount = open_cgroup_mount(x, s->v[REMOVE_CGROUP_MOUNT].text.at);
	if (mount < 0)
		return mount;
	const char *rest = above;
	while (*rest == '/')
		rest++;
	int parent = *rest ? openat(mount, rest, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : dup(mount);
	r = parent < 0 ? -errno : parent;
	close(mount);
	return r < 0 && r != -ENOENT ? fail(x, -r, "%s", path) : r;
}

static void look_for_kills(struct executor *x, int parent, const char *name)
{
	int own = openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (own < 0)
		return;
	x->oom_killed |= oom_killed_in(own);
	close(own);
}

void note_kills(struct executor *x)
{
	const uint8_t *cursor = x->plan.cleanup.at;
	struct step s;
	char name[256];
	for (uint32_t i = 0; i < x->plan.cleanup.steps; i++) {
		plan_next(&x->plan, &cursor, &s);
		bool cleans = s.operation->run == op_remove_cgroup || s.operation->run == op_empty_cgroup;
		if (!cleans || was_not_made(x, &s))
			continue;
		int parent = open_above(x, &s, name);
		if (parent < 0)
			continue;
		look_for_kills(x, parent, name);
		close(parent);
	}
}

static int clean_up(struct executor *x, const struct step *s, int (*remove)(int, const char *, int *))
{
	char name[256];
	int patience = 400; /* two seconds */
	if (was_not_made(x, s))
		return 0;
	int parent = open_above(x, s, name);
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	look_for_kills(x, parent, name);
	int r = remove(parent, name, &patience);
	close(parent);
	return r < 0 ? fail(x, -r, "%s", s->v[REMOVE_CGROUP_PATH].text.at) : 0;
}

static int remove_whole(int parent, const char *name, int *patience)
{
	return remove_below(parent, name, 0, patience);
}

int op_remove_cgroup(struct executor *x, const struct step *s)
{
	return clean_up(x, s, remove_whole);
}

int op_empty_cgroup(struct executor *x, const struct step *s)
{
	return clean_up(x, s, empty_below);
}
