/*
 * Receives datagrams at a unix socket, as journald and syslog daemons do, and prints each in hexadecimal digits on a
 * line of its own. Says `ready` first. Ends with its stdin.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static unsigned char data[1 << 20];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
		return 2;
	strcpy(address.sun_path, argv[1]);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		perror(argv[1]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd p[2] = {{fd, POLLIN, 0}, {0, POLLIN, 0}};
		if (poll(p, 2, -1) < 0)
			return 1;
		if (p[0].revents) {
			ssize_t n = recv(fd, data, sizeof data, 0);
			for (ssize_t i = 0; i < n; i++)
				printf("%02x", data[i]);
			putchar('\n');
			fflush(stdout);
		} else if (p[1].revents) {
			return 0;
		}
	}
}
