/* A clock that nobody sets, and rests. */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdint.h>

int64_t now_us(void);
int64_t now_ms(void);
void pause_us(long us); /* less than a second */

#endif
