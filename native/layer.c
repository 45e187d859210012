/*
 * A layer session: plans of `layer` operations arrive as frames, each is checked whole, run, and
 * answered by `done`. The controller may have sent the next frames already. The first failure ends
 * the session.
 *
 * Paths come from hostile archives. The directory part goes through one openat2 with
 * RESOLVE_IN_ROOT, so that a layer's own symbolic links work and lead nowhere else; the last
 * component is only ever used with *at calls that do not follow it (CVE-2018-15664, CVE-2021-32760).
 * Nobody else has the directory open while a layer is made.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "layer.h"

#define FORGOTTEN UINT32_MAX
/* Directories made for the targets of symlinks: the controller, which counts the members, does not see them. */
#define UNSEEN_LIMIT 4096

void layer_forget(struct layer *l, int in_use)
{
	for (int i = 0; i < PARENTS; i++) {
		struct parent *p = &l->parents[i];
		p->length = FORGOTTEN;
		if (p->fd >= 0 && p->fd != in_use) {
			close(p->fd);
			p->fd = -1;
		}
	}
}

int layer_parent(struct executor *x, int root, const struct bytes *path, const char **name)
{
	struct layer *l = x->layer;
	const char *slash = memrchr(path->at, '/', path->length);
	uint32_t length = slash ? (uint32_t)(slash - path->at) : 0;
	*name = slash ? slash + 1 : path->at;
	if (path->length >= PATH_MAX || strlen(*name) > NAME_MAX)
		return fail(x, ENAMETOOLONG, "%.200s", path->at);
	if (**name == 0 || is_dots(*name))
		return fail(x, EINVAL, "%.200s", path->at);
	if (!slash)
		return root;
	for (int i = 0; i < PARENTS; i++) {
		const struct parent *p = &l->parents[i];
		if (p->fd >= 0 && p->length == length && p->root == root && memcmp(p->path, path->at, length) == 0)
			return p->fd;
	}
	struct parent *p = &l->parents[l->oldest++ % PARENTS];
	if (p->fd >= 0)
		close(p->fd);
	memcpy(p->path, path->at, length);
	p->path[length] = 0;
	p->root = root;
	p->length = length;
	p->fd = open_in_root(root, p->path, O_PATH | O_DIRECTORY, 0);
	if (p->fd == -ENOENT)
		p->fd = make_directories(root, p->path, &l->unseen);
	if (p->fd < 0) {
		int error = -p->fd;
		p->fd = -1;
		return fail(x, error, "%.200s", path->at);
	}
	return p->fd;
}

int layer_make_way(struct layer *l, int parent, const char *name)
{
	layer_forget(l, parent);
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if ((l->options & LAYER_KEEP_KIND) && (errno == EISDIR || errno == EPERM))
		return -EISDIR;
	return errno == EISDIR || errno == EPERM ? remove_tree(parent, name) : -errno;
}

/* Reads one frame whole into `room`, which grows to the largest. Its length, 0 at the end, or -errno. */
static int64_t read_plan(int fd, uint8_t **room, size_t *size)
{
	uint32_t bytes;
	int type = read_frame_header(fd, &bytes);
	if (type == -EPIPE)
		return 0;
	if (type != REQUEST_PLAN || bytes == 0)
		return type < 0 ? type : -EPROTO;
	if (bytes > *size) {
		size_t wanted = (bytes + 0xfffffu) & ~(size_t)0xfffffu;
		void *larger = *room ? mremap(*room, *size, wanted, MREMAP_MAYMOVE)
		                     : mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (larger == MAP_FAILED)
			return -ENOMEM;
		*room = larger;
		*size = wanted;
	}
	int r = read_all(fd, *room, bytes);
	return r < 0 ? r : (int64_t)bytes;
}

int run_layer_session(struct executor *x, int fd)
{
	static struct layer layer;
	bool live[REGISTER_LIMIT] = {false};
	uint8_t *room = NULL;
	size_t size = 0;

	x->layer = &layer;
	x->controller = fd;
	layer.file = -1;
	layer.unseen = UNSEEN_LIMIT;
	for (int i = 0; i < PARENTS; i++)
		layer.parents[i].fd = -1;
	/* modes are set as the archive has them */
	umask(0);
	for (;;) {
		int64_t bytes = read_plan(fd, &room, &size);
		if (bytes <= 0)
			return bytes < 0;
		if (plan_check_layer(room, (size_t)bytes, live, &x->plan, &x->failure) < 0 ||
		    run_stage(x, STAGE_LAYER) < 0) {
			report_failure(x);
			/* until the controller has read that: data that it cannot send would cost it the report */
			while (read(fd, room, size) > 0)
				;
			return 1;
		}
		if (send_frame(fd, REPLY_DONE, NULL, 0) < 0)
			return 1;
	}
}
