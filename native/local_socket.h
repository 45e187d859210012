/* Sockets of this machine, by the path of their name. */
#ifndef LOCAL_SOCKET_H
#define LOCAL_SOCKET_H

/* Connects; a path that is too long for an address goes by a descriptor of what it names. 0 or -errno. */
int connect_path(int fd, const char *path);

#endif
