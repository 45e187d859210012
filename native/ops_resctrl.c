/*
 * Cache and memory bandwidth of the processor (resctrl, Documentation/filesystems/resctrl.rst in Linux): groups are
 * directories below its mount, whose files `schemata` and `tasks` say what a group has and who is in it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "executor.h"

static int open_mount(struct executor *x, const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail(x, errno, "%s", path) : fd;
}

static int open_group(int mount, const char *path)
{
	return open_in_root(mount, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

/* The directory above a group that is not the root one, and the name of the group in it. */
static int open_parent(int mount, const char *path, const char **name)
{
	char above[512];
	const char *slash = strrchr(path, '/');
	if (!slash || !slash[1] || (size_t)(slash - path) >= sizeof above)
		return slash && slash[1] ? -ENAMETOOLONG : -EINVAL;
	memcpy(above, path, (size_t)(slash - path));
	above[slash - path] = 0;
	*name = slash + 1;
	return is_dots(*name) ? -EINVAL : open_group(mount, above);
}

static int make_group(int mount, const char *path)
{
	const char *name;
	int r = 0, parent = open_parent(mount, path, &name);
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		r = -errno;
	close(parent);
	return r < 0 ? r : open_group(mount, path);
}

int op_make_resctrl_group(struct executor *x, const struct step *s)
{
	const char *path = s->v[MAKE_RESCTRL_GROUP_PATH].text.at;
	int mount = open_mount(x, s->v[MAKE_RESCTRL_GROUP_MOUNT].text.at);
	if (mount < 0)
		return mount;
	int dir = open_group(mount, path);
	if (dir == -ENOENT && s->v[MAKE_RESCTRL_GROUP_MAKE].number)
		dir = make_group(mount, path);
	close(mount);
	if (dir < 0)
		return fail(x, -dir, "%s%s", s->v[MAKE_RESCTRL_GROUP_MOUNT].text.at, path);
	set_reg(x, &s->v[MAKE_RESCTRL_GROUP_DIR], dir);
	return 0;
}

/* The kernel says in a file of its own why it refused (info/last_cmd_status). */
static int refused(struct executor *x, int error, const char *mount, const char *value)
{
	char said[200] = "";
	int fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		read_file_at(fd, "info/last_cmd_status", said, sizeof said);
		close(fd);
	}
	said[strcspn(said, "\n")] = 0;
	return fail(x, error, "%.200s%s%s", value, *said ? ": " : "", said);
}

int op_write_schemata(struct executor *x, const struct step *s)
{
	const struct bytes *value = &s->v[WRITE_SCHEMATA_VALUE].text;
	int r = write_file_at(reg(x, &s->v[WRITE_SCHEMATA_DIR]), "schemata", value->at, value->length);
	return r < 0 ? refused(x, -r, s->v[WRITE_SCHEMATA_MOUNT].text.at, value->at) : 0;
}

int op_join_resctrl_group(struct executor *x, const struct step *s)
{
	char pid[16];
	int length = snprintf(pid, sizeof pid, "%d", x->child);
	int r = write_file_at(reg(x, &s->v[JOIN_RESCTRL_GROUP_DIR]), "tasks", pid, (size_t)length);
	return r < 0 ? fail(x, -r, "tasks") : 0;
}

int op_remove_resctrl_group(struct executor *x, const struct step *s)
{
	const char *path = s->v[REMOVE_RESCTRL_GROUP_PATH].text.at, *name;
	int mount = open_mount(x, s->v[REMOVE_RESCTRL_GROUP_MOUNT].text.at);
	if (mount < 0)
		return mount;
	int r = 0, parent = open_parent(mount, path, &name);
	if (parent >= 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		r = -errno;
	else if (parent < 0)
		r = parent;
	if (parent >= 0)
		close(parent);
	close(mount);
	return r < 0 && r != -ENOENT ? fail(x, -r, "%s", path) : 0;
}
