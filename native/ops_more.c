/*
 * Acts of rarer containers: the fifo at which `create` leaves a program waiting, file systems made of
 * descriptors (layers that are id-mapped for a user namespace), NUMA policy, the OOM score.
 */
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"

int op_make_fifo(struct executor *x, const struct step *s)
{
	const char *path = s->v[MAKE_FIFO_PATH].text.at;
	mode_t mode = (mode_t)s->v[MAKE_FIFO_MODE].number;
	struct stat st;
	if (mkfifo(path, mode) < 0)
		return fail(x, errno, "%s", path);
	int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || chmod(path, mode) < 0) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		return fail(x, error, "%s", path);
	}
	set_reg(x, &s->v[MAKE_FIFO_FD], fd);
	return 0;
}

int op_open_below(struct executor *x, const struct step *s)
{
	const char *path = s->v[OPEN_BELOW_PATH].text.at;
	int fd = open_in_root(reg(x, &s->v[OPEN_BELOW_DIR]), path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	if (fd < 0)
		return fail(x, -fd, "%s", path);
	set_reg(x, &s->v[OPEN_BELOW_FD], fd);
	return 0;
}

int op_set_oom_score(struct executor *x, const struct step *s)
{
	const struct bytes *value = &s->v[SET_OOM_SCORE_VALUE].text;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", x->child);
	int r = write_file_at(AT_FDCWD, path, value->at, value->length);
	return r < 0 ? fail(x, -r, "oom_score_adj = %s", value->at) : 0;
}

int op_set_memory_policy(struct executor *x, const struct step *s)
{
	const struct bytes *nodes = &s->v[SET_MEMORY_POLICY_NODES].text;
	unsigned long mask[16] = {0};
	if (nodes->length > sizeof mask)
		return fail(x, EINVAL, "more than %zu nodes", 8 * sizeof mask);
	memcpy(mask, nodes->at, nodes->length);
	/* the kernel takes one bit less than it is told of */
	if (syscall(SYS_set_mempolicy, (int)s->v[SET_MEMORY_POLICY_MODE].number, nodes->length ? mask : NULL,
	            nodes->length ? nodes->length * 8 + 1 : 0) < 0)
		return fail(x, errno, "memory policy");
	return 0;
}

/* --- a user namespace of its own, for id-mapped mounts --- */

static int write_maps(pid_t pid, const struct bytes *uids, const struct bytes *gids)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
	int r = write_file_at(AT_FDCWD, path, uids->at, uids->length);
	snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
	return r < 0 ? r : write_file_at(AT_FDCWD, path, gids->at, gids->length);
}

int op_make_user_namespace(struct executor *x, const struct step *s)
{
	char path[64];
	int status, r;
	pid_t parent = getpid();
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0) {
		/* lives for as long as its maps are written, and no longer than who writes them */
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	if (pid < 0)
		return fail(x, errno, "user namespace");
	r = write_maps(pid, &s->v[MAKE_USER_NAMESPACE_UID_MAP].text, &s->v[MAKE_USER_NAMESPACE_GID_MAP].text);
	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	int fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = -errno;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (r < 0)
		return fail(x, -r, "id maps");
	set_reg(x, &s->v[MAKE_USER_NAMESPACE_FD], fd);
	return 0;
}

/* --- file systems, option by option --- */

/* What the file system itself said, where it did. */
static int fail_context(struct executor *x, int context, int error, const char *what)
{
	char said[200];
	ssize_t n = read(context, said, sizeof said - 1);
	said[n > 0 ? n : 0] = 0;
	said[strcspn(said, "\n")] = 0;
	return fail(x, error, "%s%s%s", what, *said ? ": " : "", said);
}

int op_open_file_system(struct executor *x, const struct step *s)
{
	const char *type = s->v[OPEN_FILE_SYSTEM_TYPE].text.at;
	int fd = sys_fsopen(type, FSOPEN_CLOEXEC);
	if (fd < 0)
		return fail(x, errno, "file system %s", type);
	set_reg(x, &s->v[OPEN_FILE_SYSTEM_FD], fd);
	return 0;
}

int op_set_file_system_option(struct executor *x, const struct step *s)
{
	int context = reg(x, &s->v[SET_FILE_SYSTEM_OPTION_CONTEXT]), r;
	const char *option = s->v[SET_FILE_SYSTEM_OPTION_OPTION].text.at, *equals = strchr(option, '=');
	char key[64];
	size_t length = equals ? (size_t)(equals - option) : strlen(option);
	if (length >= sizeof key)
		return fail(x, ENAMETOOLONG, "option %s", option);
	memcpy(key, option, length);
	key[length] = 0;
	r = equals ? sys_fsconfig(context, FSCONFIG_SET_STRING, key, equals + 1, 0)
	           : sys_fsconfig(context, FSCONFIG_SET_FLAG, key, NULL, 0);
	return r < 0 ? fail_context(x, context, errno, option) : 0;
}

int op_set_file_system_directory(struct executor *x, const struct step *s)
{
	int context = reg(x, &s->v[SET_FILE_SYSTEM_DIRECTORY_CONTEXT]), dir = reg(x, &s->v[SET_FILE_SYSTEM_DIRECTORY_DIR]);
	const char *key = s->v[SET_FILE_SYSTEM_DIRECTORY_KEY].text.at;
	if (sys_fsconfig(context, FSCONFIG_SET_FD, key, NULL, dir) < 0)
		return fail_context(x, context, errno, key);
	return 0;
}

/*
 * overlayfs works with the credentials of who made it: where its upper layer is id-mapped, only an id
 * that is mapped can make files there. The other capabilities stay (SECBIT_NO_SETUID_FIXUP).
 */
static int create_as(int context, uid_t uid, gid_t gid)
{
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), r;
	uid_t old_uid = geteuid();
	gid_t old_gid = getegid();
	if (uid == old_uid && gid == old_gid)
		return sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
	if (bits < 0 || prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
		return -errno;
	setfsgid(gid);
	setfsuid(uid);
	r = sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
	setfsuid(old_uid);
	setfsgid(old_gid);
	return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 && r == 0 ? -errno : r;
}

int op_create_mount(struct executor *x, const struct step *s)
{
	int context = reg(x, &s->v[CREATE_MOUNT_CONTEXT]), mount = -1;
	int r = create_as(context, (uid_t)s->v[CREATE_MOUNT_UID].number, (gid_t)s->v[CREATE_MOUNT_GID].number);
	if (r < 0)
		fail_context(x, context, -r, "make file system");
	if (r == 0) {
		mount = sys_fsmount(context, FSMOUNT_CLOEXEC, (unsigned)s->v[CREATE_MOUNT_ATTRIBUTES].number);
		if (mount < 0)
			r = fail_context(x, context, errno, "mount");
	}
	close(context);
	set_reg(x, &s->v[CREATE_MOUNT_CONTEXT], -1);
	if (r == 0)
		set_reg(x, &s->v[CREATE_MOUNT_FD], mount);
	return r;
}

int op_take_mode(struct executor *x, const struct step *s)
{
	const char *path = s->v[TAKE_MODE_PATH].text.at;
	struct stat st;
	int covered = open_in_root(reg(x, &s->v[TAKE_MODE_ROOT]), path, O_PATH | O_DIRECTORY, 0), own = -1, r = 0;
	if (covered == -ENOENT || covered == -ENOTDIR)
		return 0;
	if (covered < 0)
		return fail(x, -covered, "%s", path);
	/* a mount comes as an O_PATH descriptor, which cannot be changed itself */
	own = openat(reg(x, &s->v[TAKE_MODE_MOUNT]), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own < 0 || fstat(covered, &st) < 0 || fchmod(own, st.st_mode & 07777) < 0)
		r = fail(x, errno, "%s", path);
	if (own >= 0)
		close(own);
	close(covered);
	return r;
}
