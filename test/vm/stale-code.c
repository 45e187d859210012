/*
 * Comes into qemu by LD_PRELOAD: drops all that qemu has translated whenever a byte comes to descriptor 3, and answers
 * with "+", or with "-" where qemu has no such function under that name. qemu exports what its modules need, tb_flush
 * among it; its plugin interface offers nothing of the kind, and another one in each version.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { LINE = 3 };

static void *serve(void *none)
{
	void *(*processor)(int) = (void *(*)(int))dlsym(RTLD_DEFAULT, "qemu_get_cpu");
	void (*flush)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "tb_flush");
	char word, able = processor && flush;
	while (read(LINE, &word, 1) == 1) {
		if (able)
			flush(processor(0));
		if (write(LINE, able ? "+" : "-", 1) != 1)
			break;
	}
	return none;
}

/* Signals are for the threads of qemu. */
__attribute__((constructor)) static void begin(void)
{
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_create(&thread, NULL, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
