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
bool is_one_of(const char *word, const char *const *list);
/* The value of a flag, as a word of its own or after "="; moves on to the last word that it takes. NULL if it is not that flag. */
const char *value_of(char ***at, const char *flag);
/* Which of the caller's streams are terminals: a plan names the one that it relays to. */
int terminals_of_caller(void);
bool is_id(const char *id);
/* Reads what lies in lines beside state.json; false if it is not there or not whole. */
bool read_container(const struct call *call, const char *id, struct container *c);
/* Its first process, by a descriptor that will not come to mean another one; -1 if it is over. */
int open_init(const struct container *c);
const char *container_status(const struct container *c, int init);

/* Both halves of Gantry as they are now: what another build would compile may be another plan. */
struct builds {
	struct {
		int64_t seconds, nanoseconds, size, inode;
	} half[2];
};
bool read_builds(const char *program, struct builds *builds);
ssize_t read_uncut(const char *path, char *to, size_t room); /* a whole file, or -1 */
uint64_t key_hash(const char *key, size_t bytes); /* only says where to look */

/* --- exec_cache.c --- */
struct exec_call {
	const char *pid_file; /* absolute, or NULL */
	char *key; /* all that the plan depends on */
	size_t key_bytes;
	int dir; /* of the container */
};

/* True if the call is an exec whose plan is the same for every call with the same key. `program`: the other half. */
bool read_exec_call(char **argv, const char *program, struct exec_call *call);
int find_plan(const struct exec_call *call); /* a file with the plan, or -1 */
void keep_plan(const struct exec_call *call, int plan);

/* --- launch_key.c and plan_template.c --- */
/* A name in a text of a call: in which word of the command line (0: the config), where, and which one. */
struct mark {
	uint32_t word, offset, length, name;
};

/* A `create` or `run` whose plan depends on nothing but this. */
struct launch_call {
	const char *root, *bundle, *id;
	bool id_is_name, unusual;
	char config[256 * 1024];
	ssize_t config_bytes;
	struct bytes names[128];
	uint32_t name_count;
	struct mark marks[2048];
	uint32_t mark_count;
	char key[512 * 1024];
	size_t key_bytes;
	char slot[16];
	bool came_before;
};

bool read_launch_call(char **argv, const char *program, struct launch_call *call);
/* A file with the plan, and the container's directory is begun; or -1, and it is known whether the call came before. */
int find_launch_plan(struct launch_call *call);
void abandon_launch(const struct launch_call *call); /* takes back what was begun */
int describe_launch(const struct launch_call *call); /* a file, or -1 */

#endif
