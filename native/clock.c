#include "clock.h"
#include <time.h>

int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t now_ms(void)
{
	return now_us() / 1000;
}

void pause_us(long us)
{
	struct timespec rest = {.tv_nsec = us * 1000};
	nanosleep(&rest, NULL);
}
