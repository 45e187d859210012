/* What a power cut does to a file system: nothing that is not on the disk yet gets there any more. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* linux/fs.h has them since 6.18; ext4, xfs and f2fs take them much longer */
#define SHUTDOWN _IOR('X', 125, uint32_t)
#define WITHOUT_THE_LOG 2u

int main(int argc, char **argv)
{
	uint32_t how = WITHOUT_THE_LOG;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
	if (fd < 0 || ioctl(fd, SHUTDOWN, &how) < 0) {
		perror("power-cut");
		return 1;
	}
	return 0;
}
