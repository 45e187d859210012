#include <errno.h>
#include <fcntl.h>
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
