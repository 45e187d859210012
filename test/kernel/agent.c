/*
 * A seccomp agent: listens at the path of its first argument, writes the state that comes with the first listener to
 * the file of its second, that of the next to the same name with ".1" behind it and so on, then answers calls: mkdir and mkdirat fail with ENOMEDIUM, all others go on. Prints the number of
 * each call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	static char text[1 << 20];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct iovec data = {text, sizeof text};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
	char state[4096];
	int listener = -1;
	if (argc < 3 || strlen(argv[1]) >= sizeof address.sun_path)
		return 2;
	strcpy(address.sun_path, argv[1]);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4) < 0)
		return fail("listen");
	puts("ready");
	fflush(stdout);
	int client, count = 0;
	for (;; count++) {
		client = accept(fd, NULL, NULL);
		if (client < 0)
			return fail("accept");
		if (fork() == 0)
			break;
		close(client);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(state, sizeof state, count ? "%s.%d" : "%s", argv[2], count);
	ssize_t n = recvmsg(client, &m, 0);
	if (n <= 0 || m.msg_controllen < CMSG_LEN(sizeof(int)))
		return fail("no descriptor");
	memcpy(&listener, CMSG_DATA(&control.header), sizeof listener);
	printf("descriptors %zu\n", (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int));
	FILE *file = fopen(state, "w");
	if (!file || fwrite(text, 1, (size_t)n, file) != (size_t)n || fclose(file))
		return fail("state");
	printf("more %zd\n", recv(client, text, 1, MSG_DONTWAIT));
	fflush(stdout);
	for (;;) {
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp answer = {0};
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return 0;
		}
		printf("call %d\n", call.data.nr);
		fflush(stdout);
		answer.id = call.id;
		if (call.data.nr == SYS_mkdirat
#ifdef SYS_mkdir
		    || call.data.nr == SYS_mkdir
#endif
		)
			answer.error = -ENOMEDIUM;
		else
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT)
			return fail("answer");
	}
}
