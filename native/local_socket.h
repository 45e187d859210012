/* Sockets of this machine: the paths of their names, and descriptors that go with what they say. */
#ifndef LOCAL_SOCKET_H
#define LOCAL_SOCKET_H
#include <sys/types.h>

/* Connects; a path that is too long for an address goes by a descriptor of what it names. 0 or -errno. */
int connect_path(int fd, const char *path);
/* Gives it a name in a directory, whose path may be of any length. 0 or -errno. */
int bind_in(int fd, int dir, const char *name);
/* Sends a descriptor with what is said. How much of that was taken, or -errno. */
ssize_t send_with(int socket, const void *data, size_t bytes, int fd);
/* Receives, and the one descriptor that came with it or -1. How much was said, or -errno. */
ssize_t receive_with(int socket, void *data, size_t bytes, int flags, int *fd);

#endif
