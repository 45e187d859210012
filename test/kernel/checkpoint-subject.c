/*
 * What is checkpointed: holds one thing that criu has to bring back, and counts in the file n of /vol as long as it has
 * it. A word on stdout says that it is gone.
 *
 *     locks                a flock on /vol/whole, a lock of the process on /vol/part
 *     tcp                  both ends of a connection on loopback, and bytes going to and fro
 *     backlog              a connection that nobody has accepted
 *     unix                 sends each count to a socket that is somebody else's, /vol/socket
 *     memory               4096 pages of a known content, all looked at for each count; even ones are written again once
 *                          there is a file /vol/again
 *
 * And what looks from outside:
 *
 *     held DIR             prints "held" or "free" for the flock, and the same for the other lock
 *     receive PATH FILE    is the somebody else: the last datagram that came stands in FILE
 *     terminal COMMAND     runs it on a terminal of its own, and prints what comes there until all is closed
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAGES = 4096, WORDS = 4096 / sizeof(uint64_t) };

static void die(const char *what)
{
	perror(what);
	exit(3);
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

/* Of one length always: criu compares the sizes of open files. */
static const char *count(void)
{
	static char text[32];
	static int file = -1;
	static long n = 10000000;
	if (file < 0 && (file = open("/vol/n", O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) < 0)
		die("/vol/n");
	snprintf(text, sizeof text, "%ld\n", ++n);
	if (pwrite(file, text, strlen(text), 0) < 0)
		die("/vol/n");
	usleep(20000);
	return text;
}

static int lock_file(const char *dir, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (file < 0)
		die(path);
	return file;
}

static void locks(void)
{
	struct flock part = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
	if (flock(lock_file("/vol", "whole"), LOCK_EX | LOCK_NB) < 0 || fcntl(lock_file("/vol", "part"), F_SETLK, &part) < 0)
		die("lock");
	for (;;)
		count();
}

static void held(const char *dir)
{
	struct flock part = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 1};
	bool whole = flock(lock_file(dir, "whole"), LOCK_EX | LOCK_NB) < 0;
	if (fcntl(lock_file(dir, "part"), F_GETLK, &part) < 0)
		die("F_GETLK");
	printf("%s %s\n", whole ? "held" : "free", part.l_type != F_UNLCK ? "held" : "free");
}

static const struct sockaddr_in loopback = {.sin_family = AF_INET};

static struct sockaddr_in address(void)
{
	struct sockaddr_in a = loopback;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(7000);
	return a;
}

/* A connection from this process to itself, or to its own backlog. */
static void connected(int ends[2], bool accepted)
{
	struct sockaddr_in a = address();
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    bind(listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(listener, 4) < 0 ||
	    connect(ends[0], (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	if (accepted && (ends[1] = accept(listener, NULL, NULL)) < 0)
		die("accept");
}

static bool crosses(int from, int to, uint64_t sent)
{
	uint64_t got = 0;
	return send(from, &sent, sizeof sent, MSG_NOSIGNAL) == sizeof sent &&
	       recv(to, &got, sizeof got, MSG_WAITALL) == sizeof got && got == sent;
}

static void tcp(void)
{
	int ends[2];
	connected(ends, true);
	for (uint64_t i = 0; crosses(ends[0], ends[1], i) && crosses(ends[1], ends[0], ~i); i++)
		count();
	say("connection lost");
	for (;;)
		count();
}

static void backlog(void)
{
	int ends[2];
	connected(ends, false);
	for (;;)
		count();
}

static void unix_client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/vol/socket"};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	for (;;) {
		const char *text = count();
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
			die("send");
	}
}

static void receive(const char *path, const char *file)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char text[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("bind");
	for (ssize_t n; (n = recv(fd, text, sizeof text, 0)) > 0;) {
		int to = open(file, O_WRONLY | O_CREAT, 0666);
		if (pwrite(to, text, (size_t)n, 0) != n)
			die(file);
		close(to);
	}
}

static uint64_t word_of(uint64_t page, uint64_t word, uint64_t round)
{
	return (page * WORDS + word + 1) * 0x9E3779B97F4A7C15u + round;
}

static void fill(uint64_t *at, uint64_t page, uint64_t round)
{
	for (uint64_t i = 0; i < WORDS; i++)
		at[page * WORDS + i] = word_of(page, i, round);
}

static bool is_whole(const uint64_t *at, uint64_t page, uint64_t round)
{
	for (uint64_t i = 0; i < WORDS; i++)
		if (at[page * WORDS + i] != word_of(page, i, round))
			return false;
	return true;
}

static void memory(void)
{
	uint64_t *at = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), again = 0;
	/* whole pages of 2 MiB would be written where one of 4 KiB has changed */
	if (at == MAP_FAILED || madvise(at, PAGES * 4096, MADV_NOHUGEPAGE) < 0)
		die("mmap");
	for (uint64_t page = 0; page < PAGES; page++)
		fill(at, page, 0);
	for (;;) {
		for (uint64_t page = 0; page < PAGES; page++)
			if (!is_whole(at, page, page % 2 ? 0 : again)) {
				say("another content");
				exit(3);
			}
		count();
		if (!again && access("/vol/again", F_OK) == 0) {
			for (uint64_t page = 0; page < PAGES; page += 2)
				fill(at, page, 1);
			again = 1;
		}
	}
}

static void terminal(char **command)
{
	char text[1024];
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master < 0 || unlockpt(master) < 0)
		die("terminal");
	if (fork() == 0) {
		int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
		setsid();
		for (int fd = 0; fd < 3; fd++)
			if (slave < 0 || dup2(slave, fd) < 0)
				die("terminal");
		close(slave);
		close(master);
		execvp(command[0], command);
		die(command[0]);
	}
	for (ssize_t n; (n = read(master, text, sizeof text)) > 0;)
		if (write(STDOUT_FILENO, text, (size_t)n) != n)
			die("write");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "locks") == 0)
		locks();
	else if (strcmp(what, "tcp") == 0)
		tcp();
	else if (strcmp(what, "backlog") == 0)
		backlog();
	else if (strcmp(what, "unix") == 0)
		unix_client();
	else if (strcmp(what, "memory") == 0)
		memory();
	else if (strcmp(what, "held") == 0 && argc > 2)
		held(argv[2]);
	else if (strcmp(what, "receive") == 0 && argc > 3)
		receive(argv[2], argv[3]);
	else if (strcmp(what, "terminal") == 0 && argc > 2)
		terminal(argv + 2);
	else
		return 2;
	return 0;
}
