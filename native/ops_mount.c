/*
 * Mounts. A mount is made detached, given its attributes, and only then attached to a place that was
 * opened inside the root: no path is resolved twice. Needs mount_setattr (Linux 5.12).
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "executor.h"

#define PROC_SUPER_MAGIC 0x9fa0

int op_set_propagation(struct executor *x, const struct step *s)
{
	unsigned long flags = s->v[SET_PROPAGATION_FLAGS].number;
	return mount(NULL, "/", NULL, flags, NULL) < 0 ? fail(x, errno, "propagation of /") : 0;
}

int op_clone_tree(struct executor *x, const struct step *s)
{
	const char *path = s->v[CLONE_TREE_PATH].text.at;
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (s->v[CLONE_TREE_RECURSIVE].number ? AT_RECURSIVE : 0);
	int fd = sys_open_tree(AT_FDCWD, path, flags);
	if (fd < 0)
		return fail(x, errno, "%s", path);
	set_reg(x, &s->v[CLONE_TREE_FD], fd);
	return 0;
}

int op_set_mount_attributes(struct executor *x, const struct step *s)
{
	int userns = reg(x, &s->v[SET_MOUNT_ATTRIBUTES_USERNS]);
	struct mount_attr attr = {
		.attr_set = s->v[SET_MOUNT_ATTRIBUTES_SET].number,
		.attr_clr = s->v[SET_MOUNT_ATTRIBUTES_CLEAR].number,
		.propagation = s->v[SET_MOUNT_ATTRIBUTES_PROPAGATION].number,
		.userns_fd = userns >= 0 ? (uint64_t)userns : 0,
	};
	unsigned flags = AT_EMPTY_PATH | (s->v[SET_MOUNT_ATTRIBUTES_RECURSIVE].number ? AT_RECURSIVE : 0);
	if (sys_mount_setattr(reg(x, &s->v[SET_MOUNT_ATTRIBUTES_FD]), "", flags, &attr) < 0)
		return fail(x, errno, "attributes 0x%llx%s", (unsigned long long)attr.attr_set, userns >= 0 ? " with id map" : "");
	return 0;
}

static bool on_proc(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static int is_directory(int fd)
{
	struct stat st;
	return fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode);
}

int op_attach_mount(struct executor *x, const struct step *s)
{
	enum { no_symlinks = 1, is_proc = 4, over_proc = 8 };
	const char *path = s->v[ATTACH_MOUNT_PATH].text.at;
	int mount = reg(x, &s->v[ATTACH_MOUNT_MOUNT]), root = reg(x, &s->v[ATTACH_MOUNT_ROOT]);
	uint64_t options = s->v[ATTACH_MOUNT_OPTIONS].number;
	uint64_t resolve = options & no_symlinks ? RESOLVE_NO_SYMLINKS : 0;
	int directory = is_directory(mount);
	if (directory < 0)
		return fail(x, -directory, "%s", path);
	int place = place_in_root(root, path, directory, resolve);
	if (place < 0)
		return fail(x, -place, "%s", path);
	/* nothing but proc may stand in for proc or for a part of it (CVE-2019-16884, CVE-2019-19921) */
	const char *wrong = on_proc(mount)                           ? NULL
	                    : options & is_proc                      ? "it is not of type proc"
	                    : on_proc(place) && !(options & over_proc) ? "it is inside /proc"
	                                                             : NULL;
	if (wrong) {
		close(place);
		return fail(x, EPERM, "\"%s\" cannot be mounted because %s", path, wrong);
	}
	int r = attach_mount(mount, place) < 0 ? -errno : 0;
	close(place);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

int op_attach_root(struct executor *x, const struct step *s)
{
	int mount = reg(x, &s->v[ATTACH_ROOT_MOUNT]);
	if (sys_move_mount(mount, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(x, errno, "root");
	return 0;
}

int pivot_to(struct executor *x, int root)
{
	if (fchdir(root) < 0)
		return fail(x, errno, "enter root");
	int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0 || sys_pivot_root(".", ".") < 0)
		return fail(x, errno, "pivot_root");
	/* the old root now lies over the new one: no event of ours may reach it, then it goes */
	if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0)
		return fail(x, errno, "leave old root");
	close(old);
	return 0;
}

int op_pivot(struct executor *x, const struct step *s)
{
	int root = reg(x, &s->v[PIVOT_ROOT]);
	if (!s->v[PIVOT_MODE].number)
		return pivot_to(x, root);
	if (fchdir(root) < 0)
		return fail(x, errno, "enter root");
	return chroot(".") < 0 || chdir("/") < 0 ? fail(x, errno, "chroot") : 0;
}

/* --- masked and read-only paths --- */

/* A detached copy of the host's /dev/null, proved to be the device 1:3 (CVE-2025-31133). */
static int null_mount(void)
{
	int fd = sys_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (is_null(fd))
		return fd;
	close(fd);
	return -ENODEV;
}

static int empty_mount(void)
{
	int mount = -1, fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) == 0 &&
	    sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "755", 0) == 0 &&
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = sys_fsmount(fs, FSMOUNT_CLOEXEC,
		                    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	int error = errno;
	close(fs);
	return mount < 0 ? -error : mount;
}

int op_mask_path(struct executor *x, const struct step *s)
{
	const char *path = s->v[MASK_PATH_PATH].text.at;
	int place = open_in_root(reg(x, &s->v[MASK_PATH_ROOT]), path, O_PATH, 0);
	if (place == -ENOENT || place == -ENOTDIR)
		return 0;
	if (place < 0)
		return fail(x, -place, "%s", path);
	int directory = is_directory(place);
	int mount = directory < 0 ? directory : directory ? empty_mount() : null_mount();
	int r = mount;
	if (mount >= 0) {
		r = attach_mount(mount, place) < 0 ? -errno : 0;
		close(mount);
	}
	close(place);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

int op_readonly_path(struct executor *x, const struct step *s)
{
	const char *path = s->v[READONLY_PATH_PATH].text.at;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	int place = open_in_root(reg(x, &s->v[READONLY_PATH_ROOT]), path, O_PATH, 0);
	if (place == -ENOENT || place == -ENOTDIR)
		return 0;
	if (place < 0)
		return fail(x, -place, "%s", path);
	int r = 0;
	int tree = sys_open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr) < 0 ||
	    attach_mount(tree, place) < 0)
		r = -errno;
	if (tree >= 0)
		close(tree);
	close(place);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

/* --- proc --- */

int op_open_proc(struct executor *x, const struct step *s)
{
	struct statfs fs;
	int context = sys_fsopen("proc", FSOPEN_CLOEXEC), fd = -1;
	if (context >= 0) {
		/* processes alone, without sys: less to reach for who gets at it; kernels before 5.8 show it all */
		if (s->v[OPEN_PROC_PIDS].number)
			sys_fsconfig(context, FSCONFIG_SET_STRING, "subset", "pid", 0);
		if (sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
			fd = sys_fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		close(context);
	}
	/* in a user namespace under a masked proc no new one may be mounted: a copy of the caller's */
	if (fd < 0)
		fd = sys_open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return fail(x, errno, "proc");
	if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
		close(fd);
		return fail(x, EINVAL, "/proc is not procfs");
	}
	set_reg(x, &s->v[OPEN_PROC_FD], fd);
	return 0;
}

int op_write_proc(struct executor *x, const struct step *s)
{
	const struct bytes *value = &s->v[WRITE_PROC_VALUE].text;
	int r = write_beneath(reg(x, &s->v[WRITE_PROC_PROC]), s->v[WRITE_PROC_PATH].text.at, value->at, value->length);
	return r < 0 ? fail(x, -r, "/proc/%s = %.64s", s->v[WRITE_PROC_PATH].text.at, value->at) : 0;
}
