/*
 * The container's own terminal, and who owns its standard streams. The terminal comes from the devpts in
 * the root, which is proved to be one; the slave is opened through the master, never by a name that the
 * container could have prepared (CVE-2025-52565, CVE-2024-21626).
 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>
#include "executor.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#define DEVPTS_SUPER_MAGIC 0x1cd1
/* Number of the descriptor among the messages from child to host side; 1 is the seccomp listener. */
#define TERMINAL_MESSAGE 2

static bool on_devpts(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC;
}

/* The ptmx of a devpts; entries of its root are the kernel's, so there is nothing to race with. fd or -errno. */
static int open_ptmx(struct executor *x, int root)
{
	struct stat st;
	int dir = open_in_root(root, "dev/pts", O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return fail(x, -dir, "/dev/pts");
	if (!on_devpts(dir)) {
		close(dir);
		return fail(x, ENODEV, "/dev/pts is not devpts");
	}
	int ptmx = open_in_root(dir, "ptmx", O_RDWR | O_NOCTTY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	close(dir);
	if (ptmx < 0)
		return fail(x, -ptmx, "/dev/pts/ptmx");
	if (fstat(ptmx, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || !on_devpts(ptmx)) {
		close(ptmx);
		return fail(x, ENODEV, "/dev/pts/ptmx is not a terminal multiplexer");
	}
	return ptmx;
}

/* EPERM and EINVAL: an owner or group that this user namespace does not know; as runc, that stays as it is. */
static int give(int fd, uid_t uid)
{
	if (fchown(fd, uid, (gid_t)-1) == 0 || errno == EPERM || errno == EINVAL || errno == EROFS)
		return 0;
	return -errno;
}

static int set_up(int master, int slave, const struct step *s)
{
	struct winsize size = {.ws_row = (unsigned short)s->v[OPEN_TERMINAL_ROWS].number,
	                       .ws_col = (unsigned short)s->v[OPEN_TERMINAL_COLUMNS].number};
	int like = (int)s->v[OPEN_TERMINAL_LIKE].number;
	struct termios mode;
	bool sized = size.ws_row || size.ws_col || (like < 3 && ioctl(like, TIOCGWINSZ, &size) == 0);
	if (sized && ioctl(master, TIOCSWINSZ, &size) < 0)
		return -errno;
	if (s->v[OPEN_TERMINAL_PLAIN].number) {
		if (tcgetattr(slave, &mode) < 0)
			return -errno;
		mode.c_oflag &= ~(tcflag_t)ONLCR;
		if (tcsetattr(slave, TCSANOW, &mode) < 0)
			return -errno;
	}
	return give(slave, (uid_t)s->v[OPEN_TERMINAL_UID].number);
}

static int bind_console(int root, const char *path, int slave)
{
	struct stat st;
	int place = place_in_root(root, path, false, RESOLVE_NO_SYMLINKS);
	if (place < 0)
		return place;
	int tree = sys_open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH), r = 0;
	if (fstat(place, &st) == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	else if (tree < 0 || attach_mount(tree, place) < 0)
		r = -errno;
	if (tree >= 0)
		close(tree);
	close(place);
	return r;
}

static int make_terminal(struct executor *x, const struct step *s, int root, int master)
{
	const char *console = s->v[OPEN_TERMINAL_CONSOLE].text.at;
	int unlocked = 0, r;
	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return fail(x, errno, "unlock terminal");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return fail(x, errno, "open slave of terminal");
	if ((r = set_up(master, slave, s)) < 0)
		r = fail(x, -r, "set up terminal");
	else if (*console && (r = bind_console(root, console, slave)) < 0)
		r = fail(x, -r, "%s", console);
	else if ((r = peer_send(x, PEER_FD, TERMINAL_MESSAGE, master)) < 0)
		r = fail(x, -r, "hand over terminal");
	if (r < 0) {
		close(slave);
		return r;
	}
	set_reg(x, &s->v[OPEN_TERMINAL_FD], slave);
	return 0;
}

int op_open_terminal(struct executor *x, const struct step *s)
{
	int given = reg(x, &s->v[OPEN_TERMINAL_ROOT]);
	int root = given >= 0 ? given : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return fail(x, errno, "/");
	int master = open_ptmx(x, root);
	int r = master < 0 ? master : make_terminal(x, s, root, master);
	if (master >= 0)
		close(master);
	if (given < 0)
		close(root);
	return r;
}

int op_receive_terminal(struct executor *x, const struct step *s)
{
	int fd = -1, r = peer_receive(x, PEER_FD, TERMINAL_MESSAGE, &fd);
	if (r < 0)
		return r == -ECANCELED ? r : fail(x, -r, "receive terminal");
	set_reg(x, &s->v[RECEIVE_TERMINAL_FD], fd);
	return 0;
}

int op_take_terminal(struct executor *x, const struct step *s)
{
	int fd = reg(x, &s->v[TAKE_TERMINAL_FD]);
	for (int target = 0; target < 3; target++)
		if (dup2(fd, target) < 0)
			return fail(x, errno, "descriptor %d", target);
	close(fd);
	set_reg(x, &s->v[TAKE_TERMINAL_FD], -1);
	return ioctl(0, TIOCSCTTY, 0) < 0 ? fail(x, errno, "take terminal") : 0;
}

int op_own_stdio(struct executor *x, const struct step *s)
{
	enum { pipes = 1 };
	uid_t uid = (uid_t)s->v[OWN_STDIO_UID].number;
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		if (fstat(fd, &st) < 0 || st.st_uid == uid || is_null(fd))
			continue;
		if (s->v[OWN_STDIO_KINDS].number == pipes && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
			continue;
		int r = give(fd, uid);
		if (r < 0)
			return fail(x, -r, "descriptor %d", fd);
	}
	return 0;
}

int op_give_descriptor(struct executor *x, const struct step *s)
{
	int r = give(reg(x, &s->v[GIVE_DESCRIPTOR_FD]), (uid_t)s->v[GIVE_DESCRIPTOR_UID].number);
	return r < 0 ? fail(x, -r, "user %u", (unsigned)s->v[GIVE_DESCRIPTOR_UID].number) : 0;
}

int op_set_listen_pid(struct executor *x, const struct step *s)
{
	(void)s;
	x->names_listener = true;
	return 0;
}
