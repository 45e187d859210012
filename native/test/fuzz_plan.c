/*
 * Fuzzing of the plan reader: whatever the bytes, plan_check refuses them, or every step of the plan can
 * be walked and every operand read within bounds (the sanitizers watch) and the order rules hold.
 *
 * With libFuzzer this is its target; without, main() mutates the plans it is given for some seconds.
 * Operations are not run: what they do is not linked in.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../executor.h"

#define X(number, symbol, name, kinds, stages, rules) \
	int op_##symbol(struct executor *x, const struct step *s) { (void)x; (void)s; abort(); }
OPERATIONS(X)
#undef X

static unsigned long accepted;
volatile unsigned long operands_read; /* not static: the compiler must not leave the reading out */

/* Reads every byte of every operand; the sum keeps the compiler from leaving it out. */
static unsigned long read_operands(const struct step *s)
{
	unsigned long sum = s->where.length + strlen(s->where.at) + strlen(s->phrase.at);
	for (size_t i = 0; s->operation->kinds[i]; i++) {
		union operand v = s->v[i];
		switch (s->operation->kinds[i]) {
		case 't':
			if (strlen(v.text.at) != v.text.length)
				abort();
			break;
		case 'b':
			for (uint32_t k = 0; k < v.text.length; k++)
				sum += (unsigned char)v.text.at[k];
			break;
		case 'T':
			while (v.list.count > 0)
				sum += strlen(next_text(&v.list).at);
			break;
		case 'N':
			while (v.list.count > 0)
				sum += next_number(&v.list);
			break;
		case '4':
		case '8':
			sum += v.number;
			break;
		default:
			if (v.fd < -1 || v.fd >= REGISTER_LIMIT || (v.fd == -1 && s->operation->kinds[i] != '?'))
				abort();
		}
	}
	return sum;
}

static void walk(const struct plan *plan, const struct stage *stage, uint32_t bit)
{
	const uint8_t *cursor = stage->at;
	struct step s;
	uint32_t seen = 0;
	for (uint32_t i = 0; i < stage->steps; i++) {
		plan_next(plan, &cursor, &s);
		if (!(s.operation->stages & bit))
			abort();
		if ((seen & RULE_PIVOT) && (s.operation->rules & RULE_IN_ROOT))
			abort();
		if ((seen & RULE_SECCOMP) && !(s.operation->rules & RULE_CONFINED))
			abort();
		if (seen & RULE_LAST)
			abort();
		seen |= s.operation->rules;
		operands_read += read_operands(&s);
	}
	if (cursor > plan->at + plan->bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan plan;
	struct failure failure = {0};
	bool live[REGISTER_LIMIT] = {false};
	/* a copy of exactly that size: a read beyond it is seen */
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, data, size);
	if (plan_check(copy, size, &plan, &failure) == 0) {
		accepted++;
		walk(&plan, &plan.host, IN_HOST);
		walk(&plan, &plan.child, IN_CHILD);
		walk(&plan, &plan.cleanup, IN_CLEANUP);
	} else if (failure.error == 0 || memchr(failure.detail, 0, sizeof failure.detail) == NULL) {
		abort();
	}
	if (plan_check_layer(copy, size, live, &plan, &failure) == 0) {
		accepted++;
		walk(&plan, &plan.layer, IN_LAYER);
	}
	free(copy);
	return 0;
}

#ifdef STANDALONE
#define INPUT_LIMIT (1 << 16)
#define SEEDS 256

static size_t load(int dir, const char *name, uint8_t *to)
{
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, to, INPUT_LIMIT);
	if (fd >= 0)
		close(fd);
	return n > 0 ? (size_t)n : 0;
}

static void mutate(uint8_t *data, size_t *size)
{
	static const uint32_t odd[] = {0, 1, 3, 4, 8, 16, 47, 48, 255, 256, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
	for (int times = rand() % 4 + 1; times > 0 && *size > 8; times--) {
		size_t at = (size_t)rand() % (*size - 4);
		switch (rand() % 5) {
		case 0: data[at] ^= (uint8_t)(1 << rand() % 8); break;
		case 1: memcpy(data + (at & ~3ul), &odd[(size_t)rand() % countof(odd)], 4); break;
		case 2: data[at & ~3ul] = (uint8_t)(data[at & ~3ul] + rand() % 9 - 4); break;
		case 3: *size -= (size_t)rand() % (*size / 2); break;
		default: {
			size_t from = (size_t)rand() % (*size - 4) & ~3ul, bytes = (size_t)rand() % 64 & ~3ul;
			if (from + bytes < *size && (at & ~3ul) + bytes < *size)
				memmove(data + (at & ~3ul), data + from, bytes);
		}
		}
		/* most mutants keep a true length, so that they come past the header */
		uint32_t length = (uint32_t)*size;
		if (*size >= 12 && rand() % 8)
			memcpy(data + 8, &length, 4);
	}
}

int main(int argc, char **argv)
{
	static uint8_t seeds[SEEDS][INPUT_LIMIT], mutant[INPUT_LIMIT];
	size_t sizes[SEEDS], count = 0;
	static char names[SEEDS][256];
	unsigned long runs = 0;
	DIR *corpus = argc > 1 ? opendir(argv[1]) : NULL;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 5);
	struct dirent *entry;
	while (corpus && count < SEEDS && (entry = readdir(corpus)))
		if (entry->d_name[0] != '.' && (sizes[count] = load(dirfd(corpus), entry->d_name, seeds[count])) > 0)
			strcpy(names[count++], entry->d_name);
	if (corpus)
		closedir(corpus);
	if (count == 0)
		return fprintf(stderr, "no corpus\n"), 1;
	srand((unsigned)time(NULL));
	for (size_t i = 0; i < count; i++) {
		unsigned long before = accepted;
		LLVMFuzzerTestOneInput(seeds[i], sizes[i]);
		if (accepted == before) {
			struct plan plan;
			struct failure failure;
			plan_check(seeds[i], sizes[i], &plan, &failure);
			fprintf(stderr, "refused %s: %s\n", names[i], failure.detail);
		}
	}
	unsigned long whole = accepted;
	for (; time(NULL) < end; runs++) {
		size_t i = (size_t)rand() % count, size = sizes[i];
		memcpy(mutant, seeds[i], size);
		mutate(mutant, &size);
		LLVMFuzzerTestOneInput(mutant, size);
	}
	printf("%zu plans, %lu of them good; %lu mutants, %lu of them good\n", count, whole, runs, accepted - whole);
	return whole == count ? 0 : (fprintf(stderr, "a plan of the corpus was refused\n"), 1);
}
#endif
