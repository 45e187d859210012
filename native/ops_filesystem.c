/*
 * New file systems, as detached mounts: made at once from all their options, or begun and given option by option
 * where some of them are directories by descriptor (an overlay of id-mapped layers).
 */
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include "executor.h"

/* fsconfig takes values shorter than this; longer paths go in as /proc/self/fd/N. */
#define VALUE_LIMIT 256

void let_go(struct held *held)
{
	while (held->count > 0)
		close(held->fds[--held->count]);
}

/* A value short enough for fsconfig: the path itself, or a descriptor of it. */
static const char *short_path(struct held *held, const char *path, size_t limit, char buffer[32])
{
	if (strlen(path) < limit)
		return path;
	if (held->count == countof(held->fds)) {
		errno = E2BIG;
		return NULL;
	}
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	held->fds[held->count++] = fd;
	snprintf(buffer, 32, "/proc/self/fd/%d", fd);
	return buffer;
}

int set_joined_layers(int fs, struct list texts, const char *prefix, struct held *held)
{
	char value[VALUE_LIMIT] = "", buffer[32];
	size_t length = strlen(prefix);
	while (texts.count > 0) {
		const char *text = next_text(&texts).at;
		if (strncmp(text, prefix, length) != 0)
			continue;
		const char *path = short_path(held, text + length, 0, buffer);
		if (!path || strlen(value) + strlen(path) + 2 > sizeof value)
			return path ? -E2BIG : -errno;
		if (*value)
			strcat(value, ":");
		strcat(value, path);
	}
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", value, 0) < 0 ? -errno : 0;
}

static int set_option(int fs, const char *option, struct held *held)
{
	char key[64], buffer[32];
	const char *equals = strchr(option, '=');
	size_t length = equals ? (size_t)(equals - option) : strlen(option);
	if (length >= sizeof key)
		return -ENAMETOOLONG;
	memcpy(key, option, length);
	key[length] = 0;
	if (!equals)
		return sys_fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? -errno : 0;
	const char *value = equals[1] == '/' ? short_path(held, equals + 1, VALUE_LIMIT, buffer) : equals + 1;
	if (!value)
		return -errno;
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* With what the file system itself said, where it did: "e overlay: No changes allowed …". */
static int fail_context(struct executor *x, int context, int error, const char *what, const char *option)
{
	char said[200];
	ssize_t n = read(context, said, sizeof said - 1);
	said[n > 0 ? n : 0] = 0;
	said[strcspn(said, "\n")] = 0;
	return fail(x, error, "%s%s%s%s%s", what, *option ? " option " : "", option, *said ? ": " : "", said);
}

/* Fills and creates a file system. `joined`: all layers in one value, for kernels that know no lowerdir+. */
static int fill_fs(int fs, struct list all, bool joined, struct held *held, const char **option)
{
	bool layers_set = false;
	int r = 0;
	for (struct list options = all; r == 0 && options.count > 0;) {
		*option = next_text(&options).at;
		bool layer = strncmp(*option, "lowerdir+=", 10) == 0;
		if (!layer || !joined)
			r = set_option(fs, *option, held);
		else if (!layers_set) {
			layers_set = true;
			r = set_joined_layers(fs, all, "lowerdir+=", held);
		}
	}
	if (r < 0)
		return r;
	*option = "";
	return sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
}

static bool has_layers(struct list options)
{
	while (options.count > 0)
		if (strncmp(next_text(&options).at, "lowerdir+=", 10) == 0)
			return true;
	return false;
}

int op_make_mount(struct executor *x, const struct step *s)
{
	const char *type = s->v[MAKE_MOUNT_TYPE].text.at, *option = "";
	struct list options = s->v[MAKE_MOUNT_OPTIONS].list;
	struct held held = {.count = 0};
	int r, mount = -1, fs = sys_fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return fail(x, errno, "file system %s", type);
	r = fill_fs(fs, options, false, &held, &option);
	/* Kernels before 6.5 take any option of an overlay without a look and refuse only when it is created; those
	 * before 6.8 refuse the option. Either way a context that has failed cannot be used again. */
	if (r == -EINVAL && has_layers(options)) {
		let_go(&held);
		close(fs);
		fs = sys_fsopen(type, FSOPEN_CLOEXEC);
		r = fs < 0 ? -errno : fill_fs(fs, options, true, &held, &option);
	}
	if (r == 0) {
		mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)s->v[MAKE_MOUNT_ATTRIBUTES].number);
		if (mount < 0)
			r = -errno;
	}
	if (r < 0)
		fail_context(x, fs, -r, type, option);
	let_go(&held);
	close(fs);
	if (r < 0)
		return r;
	set_reg(x, &s->v[MAKE_MOUNT_FD], mount);
	return 0;
}

/* Options of a file system that is there already. */
static int reconfigure(struct executor *x, int place, struct list options)
{
	struct held held = {.count = 0};
	const char *option = "";
	int r = 0, context = sys_fspick(place, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (context < 0)
		return fail(x, errno, "file system");
	while (r == 0 && options.count > 0)
		r = set_option(context, option = next_text(&options).at, &held);
	if (r == 0) {
		option = "";
		r = sys_fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0 ? -errno : 0;
	}
	if (r < 0)
		fail_context(x, context, -r, "file system", option);
	let_go(&held);
	close(context);
	return r;
}

int op_remount(struct executor *x, const struct step *s)
{
	const char *path = s->v[REMOUNT_PATH].text.at;
	struct list options = s->v[REMOUNT_OPTIONS].list;
	struct mount_attr attr = {.attr_set = s->v[REMOUNT_SET].number, .attr_clr = s->v[REMOUNT_CLEAR].number};
	unsigned flags = AT_EMPTY_PATH | (s->v[REMOUNT_RECURSIVE].number ? AT_RECURSIVE : 0);
	int place = open_in_root(reg(x, &s->v[REMOUNT_ROOT]), path, O_PATH, 0);
	if (place < 0)
		return fail(x, -place, "%s", path);
	int r = options.count > 0 ? reconfigure(x, place, options) : 0;
	/* EINVAL: nothing is mounted there */
	if (r == 0 && (attr.attr_set || attr.attr_clr) && sys_mount_setattr(place, "", flags, &attr) < 0)
		r = fail(x, errno, "%s", path);
	close(place);
	return r;
}

/* --- option by option --- */

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
	int context = reg(x, &s->v[SET_FILE_SYSTEM_OPTION_CONTEXT]);
	const char *option = s->v[SET_FILE_SYSTEM_OPTION_OPTION].text.at;
	struct held held = {.count = 0};
	int r = set_option(context, option, &held);
	let_go(&held);
	return r < 0 ? fail_context(x, context, -r, "file system", option) : 0;
}

int op_set_file_system_directory(struct executor *x, const struct step *s)
{
	int context = reg(x, &s->v[SET_FILE_SYSTEM_DIRECTORY_CONTEXT]), dir = reg(x, &s->v[SET_FILE_SYSTEM_DIRECTORY_DIR]);
	const char *key = s->v[SET_FILE_SYSTEM_DIRECTORY_KEY].text.at;
	if (sys_fsconfig(context, FSCONFIG_SET_FD, key, NULL, dir) < 0)
		return fail_context(x, context, errno, "file system", key);
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
		fail_context(x, context, -r, "make file system", "");
	if (r == 0) {
		mount = sys_fsmount(context, FSMOUNT_CLOEXEC, (unsigned)s->v[CREATE_MOUNT_ATTRIBUTES].number);
		if (mount < 0)
			r = fail_context(x, context, errno, "mount", "");
	}
	close(context);
	set_reg(x, &s->v[CREATE_MOUNT_CONTEXT], -1);
	if (r == 0)
		set_reg(x, &s->v[CREATE_MOUNT_FD], mount);
	return r;
}
