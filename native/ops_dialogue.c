/* Descriptors, the dialogue with the controller, and the steps between host side and child. */
#include <sys/stat.h>
#include <unistd.h>
#include "executor.h"

int op_close(struct executor *x, const struct step *s)
{
	close(reg(x, &s->v[CLOSE_FD]));
	set_reg(x, &s->v[CLOSE_FD], -1);
	return 0;
}

int op_make_pipe(struct executor *x, const struct step *s)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(x, errno, "pipe");
	set_reg(x, &s->v[MAKE_PIPE_READ], ends[0]);
	set_reg(x, &s->v[MAKE_PIPE_WRITE], ends[1]);
	return 0;
}

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

int op_make_state_directory(struct executor *x, const struct step *s)
{
	const char *dir = s->v[MAKE_STATE_DIRECTORY_DIR].text.at, *name = s->v[MAKE_STATE_DIRECTORY_NAME].text.at;
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || mkdirat(fd, name, 0700) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r < 0 ? fail(x, -r, "%s/%s", dir, name) : 0;
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

static int exchange(struct executor *x, int r, const char *what)
{
	if (r == -ECANCELED || r == 0)
		return r;
	return r == -EPIPE ? fail(x, EPIPE, "%s: the other side ended", what) : fail(x, -r, "%s", what);
}

int op_tell_child(struct executor *x, const struct step *s)
{
	int r = peer_send(x, PEER_STEP, (uint32_t)s->v[0].number, -1);
	/* a child that is gone has left its reason behind */
	if (r == -EPIPE || r == -ECONNRESET)
		r = peer_receive(x, PEER_STEP, UINT32_MAX, NULL);
	return exchange(x, r, "release child");
}

int op_await_child(struct executor *x, const struct step *s)
{
	return exchange(x, peer_receive(x, PEER_STEP, (uint32_t)s->v[0].number, NULL), "await child");
}

int op_tell_host(struct executor *x, const struct step *s)
{
	return exchange(x, peer_send(x, PEER_STEP, (uint32_t)s->v[0].number, -1), "report to host side");
}

int op_await_host(struct executor *x, const struct step *s)
{
	return exchange(x, peer_receive(x, PEER_STEP, (uint32_t)s->v[0].number, NULL), "await host side");
}

int op_send_fd(struct executor *x, const struct step *s)
{
	return exchange(x, peer_send(x, PEER_FD, 0, reg(x, &s->v[SEND_FD_FD])), "send descriptor");
}

int op_receive_fd(struct executor *x, const struct step *s)
{
	int fd = -1;
	int r = exchange(x, peer_receive(x, PEER_FD, 0, &fd), "receive descriptor");
	if (r == 0)
		set_reg(x, &s->v[RECEIVE_FD_FD], fd);
	return r;
}

static int send_point(struct executor *x, uint8_t type, const struct step *s, uint32_t number)
{
	uint32_t payload[2] = {(uint32_t)s->v[0].number, number};
	return send_frame(x->controller, type, payload, sizeof payload);
}

int sync_count(struct executor *x, const struct step *s, uint32_t count)
{
	uint32_t bytes;
	if (x->controller < 0)
		return fail(x, ENOTCONN, "no controller");
	int r = send_point(x, REPLY_SYNC, s, count);
	if (r == 0)
		r = read_frame_header(x->controller, &bytes);
	if (r == REQUEST_GO && bytes == 0)
		return 0;
	return fail(x, r < 0 ? -r : ECONNABORTED, r < 0 ? "the controller is gone" : "the controller said no");
}

static uint32_t child_of(const struct executor *x)
{
	return x->child > 0 ? (uint32_t)x->child : 0;
}

int op_sync(struct executor *x, const struct step *s)
{
	return sync_count(x, s, child_of(x));
}

int op_report(struct executor *x, const struct step *s)
{
	int r = x->controller < 0 ? -ENOTCONN : send_point(x, REPLY_REPORTED, s, child_of(x));
	/* once the program runs, a client that went away changes nothing */
	return r == -EPIPE || r == -ECONNRESET ? 0 : r < 0 ? fail(x, -r, "report") : 0;
}

int op_await_exec(struct executor *x, const struct step *s)
{
	(void)s;
	int r = peer_receive(x, PEER_STEP, UINT32_MAX, NULL);
	/* the socket is close-on-exec: its end is the sign of a successful exec */
	if (r == -EPIPE) {
		forget_links(x);
		return 0;
	}
	return r == -ECANCELED ? r : fail(x, -r, "await exec");
}
