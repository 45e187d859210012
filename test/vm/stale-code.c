/*
 * A plugin of qemu (docs/devel/tcg-plugins.rst): drops all that qemu has translated whenever a byte comes to a
 * descriptor, and answers with one.
 *
 *   -plugin stale-code.so,fd=3
 *
 * qemu exports what its modules need, tb_flush among it; the plugin interface itself offers no such thing to a thread
 * that is no processor's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static int line;

static void *serve(void *none)
{
	void *(*processor)(int) = (void *(*)(int))dlsym(RTLD_DEFAULT, "qemu_get_cpu");
	void (*flush)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "tb_flush");
	char word, able = processor && flush;
	while (read(line, &word, 1) == 1) {
		if (able)
			flush(processor(0));
		if (write(line, able ? "+" : "-", 1) != 1)
			break;
	}
	return none;
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	pthread_t thread;
	(void)id, (void)info;
	if (argc != 1 || strncmp(argv[0], "fd=", 3) != 0)
		return -1;
	line = atoi(argv[0] + 3);
	return pthread_create(&thread, NULL, serve, NULL) ? -1 : 0;
}
