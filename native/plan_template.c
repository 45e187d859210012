/*
 * Plans of `create` and `run` that were compiled before, kept below the state root with the names of their container
 * still to be filled in (src/oci/plan-template.ts writes them):
 *
 *     <root>/.plans/N        struct header | key | places | plan | filter
 *     <root>/.plans/N.seen   hash of a key that came once
 *
 * N is a hash of the key, and says only where to look: the key is compared byte by byte. A call that comes for the
 * second time has its plan kept, so what comes once costs nothing. A plan is checked whole, whoever kept it: one that
 * would be refused is compiled and kept anew.
 *
 * What the other half does around a plan is done here too: the container's directory, the config and the filter in it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "container.h"

enum {
	SLOTS = 256, /* two kinds in one place would drive each other out */
	FILE_LIMIT = 256 * 1024, /* as in src/oci/kept-launch.ts */
	NO_FILTER = 0xffffffff, /* not even an empty one */
};

struct header {
	uint32_t key_bytes, place_count, plan_bytes, filter_bytes;
};

/* Where in the plan a name stands. Names of one number are as long as those of another call with the same key. */
struct place {
	uint32_t offset, name;
};

/* The directory of kept plans; -1 where anybody else may write. */
static int open_plans(const struct launch_call *call)
{
	char path[4096];
	struct stat st;
	if (snprintf(path, sizeof path, "%s/.plans", call->root) >= (int)sizeof path)
		return -1;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir >= 0 && fstat(dir, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 077))
		return dir;
	close(dir);
	return -1;
}

static const struct header *map_kept(int dir, const char *name, size_t *bytes)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	void *at = MAP_FAILED;
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > (off_t)sizeof(struct header) && st.st_size <= FILE_LIMIT)
		at = mmap(NULL, *bytes = (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static uint64_t filter_room(const struct header *h)
{
	return h->filter_bytes == NO_FILTER ? 0 : h->filter_bytes;
}

static bool is_of(const struct header *h, size_t bytes, const struct launch_call *call)
{
	uint64_t all = sizeof *h + (uint64_t)h->key_bytes + (uint64_t)h->place_count * sizeof(struct place) +
	               h->plan_bytes + filter_room(h);
	return all == bytes && h->key_bytes == call->key_bytes && memcmp(h + 1, call->key, call->key_bytes) == 0;
}

/* Puts the names of this call into the plan; false at a place that cannot be. */
static bool fill_in_names(char *plan, const struct header *h, const char *places, const struct launch_call *call)
{
	for (uint32_t i = 0; i < h->place_count; i++) {
		struct place place;
		memcpy(&place, places + i * sizeof place, sizeof place);
		if (place.name >= call->name_count)
			return false;
		const struct bytes *name = &call->names[place.name];
		if (place.offset > h->plan_bytes || name->length > h->plan_bytes - place.offset)
			return false;
		memcpy(plan + place.offset, name->at, name->length);
	}
	return true;
}

static bool put_file(int dir, const char *name, const void *data, size_t bytes)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write_all(fd, data, bytes) == 0;
	close(fd);
	return good;
}

/* Claims the id. What goes wrong here goes wrong in the other half too, which has the words for it. */
static bool begin_container(const struct launch_call *call, const char *filter, const struct header *h)
{
	int root = open(call->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mkdirat(root, call->id, 0711) < 0) {
		close(root);
		return false;
	}
	int dir = openat(root, call->id, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	bool good = dir >= 0 && put_file(dir, "config.json", call->config, (size_t)call->config_bytes) &&
	            (h->filter_bytes == NO_FILTER || put_file(dir, "seccomp.filter", filter, h->filter_bytes));
	if (!good)
		remove_tree(root, call->id);
	close(dir);
	close(root);
	return good;
}

void abandon_launch(const struct launch_call *call)
{
	int root = open(call->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	remove_tree(root, call->id);
	close(root);
}

/* The container is begun only if its plan will not be refused: then nothing has to be taken back. */
static int plan_of(const struct header *h, const struct launch_call *call)
{
	static struct plan checked;
	static struct failure failure;
	char *places = (char *)(uintptr_t)(h + 1) + h->key_bytes;
	char *plan = places + (size_t)h->place_count * sizeof(struct place);
	if (!fill_in_names(plan, h, places, call) || plan_check((uint8_t *)plan, h->plan_bytes, &checked, &failure) < 0)
		return -1;
	int file = (int)syscall(SYS_memfd_create, "plan", 0);
	if (file >= 0 && write_all(file, plan, h->plan_bytes) == 0 && begin_container(call, plan + h->plan_bytes, h))
		return file;
	close(file);
	return -1;
}

int find_launch_plan(struct launch_call *call)
{
	int dir = open_plans(call), plan = -1;
	size_t bytes = 0;
	uint64_t hash = key_hash(call->key, call->key_bytes), seen = 0;
	char name[32];
	snprintf(call->slot, sizeof call->slot, "%u", (unsigned)(hash % SLOTS));
	snprintf(name, sizeof name, "%s.seen", call->slot);
	const struct header *h = dir < 0 ? NULL : map_kept(dir, call->slot, &bytes);
	bool kept = h && is_of(h, bytes, call);
	if (kept)
		plan = plan_of(h, call);
	call->came_before = kept;
	if (dir >= 0 && !kept) {
		int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		call->came_before = read(fd, &seen, sizeof seen) == sizeof seen && seen == hash;
		/* best effort: what is not noted is compiled once more */
		if (!call->came_before && pwrite(fd, &hash, sizeof hash, 0) < 0)
			unlinkat(dir, name, 0);
		close(fd);
	}
	if (h)
		munmap((void *)(uintptr_t)h, bytes);
	close(dir);
	return plan;
}

/*
 * Hands over what the other half needs to keep the plan, in a file:
 *
 *     u32 bytes of the key | u32 names | u32 marks | u32 bytes of the config | char slot[16]
 *     marks | key | config
 */
int describe_launch(const struct launch_call *call)
{
	const uint32_t head[] = {(uint32_t)call->key_bytes, call->name_count, call->mark_count, (uint32_t)call->config_bytes};
	int file = (int)syscall(SYS_memfd_create, "launch", MFD_CLOEXEC);
	if (file < 0 || write_all(file, head, sizeof head) < 0 || write_all(file, call->slot, sizeof call->slot) < 0 ||
	    write_all(file, call->marks, call->mark_count * sizeof *call->marks) < 0 ||
	    write_all(file, call->key, call->key_bytes) < 0 || write_all(file, call->config, (size_t)call->config_bytes) < 0) {
		close(file);
		return -1;
	}
	return file;
}
