/*
 * The other end of a container's terminal, for tests: JavaScript can neither receive descriptors nor hold a
 * terminal. Prints one line about what it got, then relays between its own stdin and stdout and the terminal.
 *
 *   terminal-peer receive SOCKET               waits for the master at a console socket
 *   terminal-peer pidfd SOCKET                 waits for a pidfd, tells whose it is
 *   terminal-peer drive WHICH ROWS COLUMNS PROGRAM ARGS...
 *                                              runs a program on a terminal of its own; WHICH of 0, 1 and 2 are
 *                                              the terminal ("012"), the others are /dev/null or files 8 and 9
 *   terminal-peer manager SOCKET               a service manager: prints what is said, lets go of barriers
 *   terminal-peer say TEXT                     tells NOTIFY_SOCKET, as sd_notify(3) does, and stays
 *   terminal-peer inject                       types into the terminal on descriptor 0 and into /dev/tty
 *
 * On stdin the byte 0xff is followed by rows and columns (a byte each): the new size. The end of stdin hangs the
 * terminal up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "terminal-peer: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* A socket at a path of any length. */
static int listen_at(const char *path, int type)
{
	char dir[4096];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *slash = strrchr(path, '/');
	snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
	int place = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.60s", place, slash + 1);
	if (fd < 0 || place < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		die(path);
	if (type == SOCK_STREAM && listen(fd, 1) < 0)
		die("listen");
	printf("listening\n");
	fflush(stdout);
	return fd;
}

static ssize_t receive(int socket, char *text, size_t size, int *fd)
{
	struct iovec data = {text, size - 1};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
	ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	*fd = -1;
	text[n > 0 ? n : 0] = 0;
	if (n >= 0 && m.msg_controllen >= CMSG_LEN(sizeof(int)) && control.header.cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(&control.header), sizeof *fd);
	return n;
}

static int accept_descriptor(const char *path, char *payload, size_t size)
{
	char rest;
	int fd, listener = listen_at(path, SOCK_STREAM), peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (peer < 0 || receive(peer, payload, size, &fd) < 0)
		die("receive");
	if (fd < 0 || read(peer, &rest, 1) != 0) {
		fprintf(stderr, "terminal-peer: not one message with one descriptor: %s\n", payload);
		exit(125);
	}
	return fd;
}

static void put(int fd, const char *at, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, at, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		at += n;
		bytes -= (size_t)n;
	}
}

/* What a test says on stdin: bytes to type, or a new size. */
static size_t obey(int master, char *at, size_t bytes)
{
	char *mark = memchr(at, 0xff, bytes);
	size_t plain = mark ? (size_t)(mark - at) : bytes;
	put(master, at, plain);
	if (!mark || bytes - plain < 3) {
		memmove(at, at + plain, bytes - plain);
		return bytes - plain;
	}
	struct winsize size = {.ws_row = (unsigned char)mark[1], .ws_col = (unsigned char)mark[2]};
	ioctl(master, TIOCSWINSZ, &size);
	memmove(at, mark + 3, bytes - plain - 3);
	return obey(master, at, bytes - plain - 3);
}

/* Until the other side has closed the terminal, or stdin has ended. */
static void relay(int master)
{
	static char out[65536], in[65536];
	size_t kept = 0;
	struct pollfd p[] = {{.fd = master, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (p[0].revents) {
			ssize_t n = read(master, out, sizeof out);
			if (n <= 0 && !(n < 0 && errno == EINTR))
				return;
			put(1, out, n > 0 ? (size_t)n : 0);
		}
		if (p[1].revents) {
			ssize_t n = read(0, in + kept, sizeof in - kept);
			if (n <= 0)
				return;
			kept = obey(master, in, kept + (size_t)n);
		}
	}
}

static int receive_terminal(const char *path)
{
	char payload[4097];
	struct winsize size = {0};
	struct termios mode;
	int number = -1, master = accept_descriptor(path, payload, sizeof payload);
	ioctl(master, TIOCGWINSZ, &size);
	ioctl(master, TIOCGPTN, &number);
	if (tcgetattr(master, &mode) < 0)
		die("no terminal");
	printf("payload=%s number=%d rows=%d columns=%d onlcr=%d\n", payload, number, size.ws_row, size.ws_col,
	       (mode.c_oflag & ONLCR) != 0);
	fflush(stdout);
	relay(master);
	return 0;
}

static int receive_pidfd(const char *path)
{
	char payload[4097], name[64], line[256];
	int fd = accept_descriptor(path, payload, sizeof payload);
	snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(name, "re");
	while (info && fgets(line, sizeof line, info))
		if (strncmp(line, "Pid:", 4) == 0)
			printf("payload=%s pid=%d\n", payload, atoi(line + 4));
	return 0;
}

static int same_modes(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_lflag == b->c_lflag;
}

static int drive(char **argv)
{
	char name[64];
	int unlocked = 0, number, status, before[2];
	struct winsize size = {.ws_row = (unsigned short)atoi(argv[1]), .ws_col = (unsigned short)atoi(argv[2])};
	struct termios first, last;
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		die("terminal");
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (slave < 0 || pipe2(before, O_CLOEXEC) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0 || tcgetattr(slave, &first) < 0)
		die(name);
	pid_t pid = fork();
	if (pid == 0) {
		static const int instead[] = {8, 9, 9};
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			if (strchr(argv[0], '0' + fd))
				dup2(slave, fd);
			else
				dup2(fcntl(instead[fd], F_GETFD) >= 0 ? instead[fd] : null, fd);
		close(8);
		close(9);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	printf("pid=%d tty=%d:%d\n", pid, 136 + number / 256, number % 256);
	fflush(stdout);
	/* the slave stays open until the program has ended: its modes are asked for then */
	pid_t watcher = fork();
	if (watcher == 0) {
		close(slave);
		relay(master);
		_exit(0);
	}
	close(master);
	waitpid(pid, &status, 0);
	tcgetattr(slave, &last);
	/* one that was killed can at best have somebody who sets the terminal as it was a moment later */
	for (int tries = 0; WIFSIGNALED(status) && !same_modes(&first, &last) && tries < 500; tries++) {
		usleep(10000);
		tcgetattr(slave, &last);
	}
	close(slave);
	waitpid(watcher, NULL, 0);
	fprintf(stderr, "status=%d restored=%d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
	        same_modes(&first, &last));
	return 0;
}

static int manage(const char *path)
{
	char text[4097];
	int fd, socket = listen_at(path, SOCK_DGRAM);
	while (receive(socket, text, sizeof text, &fd) >= 0) {
		text[strcspn(text, "\n")] = 0;
		printf("%s%s\n", text, fd >= 0 ? " with a descriptor" : "");
		fflush(stdout);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int inject(void)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC), fds[] = {0, 1, 2, tty};
	for (int i = 0; i < 4; i++)
		printf("%d:%s\n", i, ioctl(fds[i], TIOCSTI, "!") == 0 ? "typed" : strerror(errno));
	return 0;
}

static int say(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !path || strlen(path) >= sizeof address.sun_path)
		die("NOTIFY_SOCKET");
	strcpy(address.sun_path, path);
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof address) < 0)
		die(path);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "receive") == 0)
		return receive_terminal(argv[2]);
	if (argc == 3 && strcmp(argv[1], "pidfd") == 0)
		return receive_pidfd(argv[2]);
	if (argc > 5 && strcmp(argv[1], "drive") == 0)
		return drive(argv + 2);
	if (argc == 3 && strcmp(argv[1], "manager") == 0)
		return manage(argv[2]);
	if (argc == 3 && strcmp(argv[1], "say") == 0)
		return say(argv[2]);
	if (argc == 2 && strcmp(argv[1], "inject") == 0)
		return inject();
	return 125;
}
