/* What the entry knows of a container of gantry-oci, and how it reads a command line. */
#ifndef CONTAINER_H
#define CONTAINER_H
#include "executor.h"

/* A command line whose flags before the verb are all known. */
struct call {
	const char *root, *verb;
	char **rest; /* what follows the verb */
};

struct container {
	char text[65536];
	int dir;
	pid_t pid;
	unsigned long long start;
	const char *freezer, *state;
	char *cgroups; /* first line that names one; walk the text from there */
	bool may_start, may_kill, may_delete;
};

/* False where there is anything that only the TypeScript program knows. */
bool read_call(char **argv, struct call *call);
bool is_id(const char *id);
/* Reads what lies in lines beside state.json; false if it is not there or not whole. */
bool read_container(const struct call *call, const char *id, struct container *c);
/* Its first process, by a descriptor that will not come to mean another one; -1 if it is over. */
int open_init(const struct container *c);
const char *container_status(const struct container *c, int init);

/* --- exec_cache.c --- */
struct exec_call {
	const char *pid_file; /* absolute, or NULL */
	char *key; /* all that the plan depends on */
	size_t key_bytes;
	int dir; /* of the container */
};

/* True if the call is an exec whose plan is the same for every call with the same key. */
bool read_exec_call(char **argv, struct exec_call *call);
int find_plan(const struct exec_call *call); /* a file with the plan, or -1 */
void keep_plan(const struct exec_call *call, int plan);

#endif
