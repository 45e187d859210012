#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "local_socket.h"

int connect_path(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int held = -1, r = 0;
	if (strlen(path) < sizeof address.sun_path)
		strcpy(address.sun_path, path);
	else if ((held = open(path, O_PATH | O_CLOEXEC)) < 0)
		return -errno;
	else
		snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", held);
	while (r == 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		if (errno != EINTR)
			r = -errno;
	if (held >= 0)
		close(held);
	return r;
}

int bind_in(int fd, int dir, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir, name);
	if ((size_t)length >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	return bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

union passed {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

ssize_t send_with(int socket, const void *data, size_t bytes, int fd)
{
	struct iovec part = {(void *)(uintptr_t)data, bytes};
	union passed control = {.header = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
	ssize_t n;
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	while ((n = sendmsg(socket, &m, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return n < 0 ? -errno : n;
}

ssize_t receive_with(int socket, void *data, size_t bytes, int flags, int *fd)
{
	struct iovec part = {data, bytes};
	union passed control;
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
	ssize_t n;
	*fd = -1;
	while ((n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | flags)) < 0 && errno == EINTR)
		;
	const struct cmsghdr *header = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof *fd))
		memcpy(fd, CMSG_DATA(header), sizeof *fd);
	return n < 0 ? -errno : n;
}
