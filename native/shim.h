/* What shim.c (the loop) and attach.c (the clients) share. */
#ifndef SHIM_H
#define SHIM_H

#include "executor.h"
#include "log.h"

#define CHUNK_BYTES 32768
/*
 * Output on its way to attached clients: a ring of chunks, each read once from the container and sent
 * from there to every client. While a client has not taken the oldest, reading stops: that is the
 * back-pressure. The reserve is used only after the container's end, so that what its pipes still hold
 * (64 KiB each) reaches the log at once, however slow a client is.
 */
#define CHUNKS 16
#define CHUNK_RESERVE 6
/* Seats: number 0 is for the launching controller, and some are kept free for those who only ask. */
#define CLIENTS 145
#define ATTACHED_LIMIT 64
#define WAITING_LIMIT 64

/* attach bits */
#define ATTACH_STDIN 1u
#define ATTACH_STDOUT 2u
#define ATTACH_STDERR 4u
#define ATTACH_OWNS_STDIN 8u /* stdin ends with this connection */
#define ATTACH_OWNS_PROCESS 16u /* the process ends with it */
#define ATTACH_BITS 31u

struct chunk {
	uint32_t bytes; /* header included */
	uint8_t frame[8 + CHUNK_BYTES];
};

struct client {
	int fd; /* -1: free */
	uint32_t bits;
	bool waits;       /* asked for the exit */
	bool input_over;  /* nothing more to read from it */
	bool stuck;       /* holds bytes that stdin has no room for */
	bool gone;        /* closed its end while stuck */
	bool holds;       /* keeps the container frozen */
	uint32_t got;     /* of `in` */
	uint32_t payload; /* bytes of a stdin frame still to come */
	uint8_t in[24];   /* header and payload of a small frame */
	uint64_t next;    /* number of the chunk that it gets next */
	uint32_t sent;    /* bytes of that chunk it has */
	uint32_t out_bytes, out_sent;
	uint8_t out[64]; /* answers, then the exit */
};

struct shim {
	struct executor *x;
	int in, out[2], listener, dir;
	char name[128]; /* of the socket in dir */
	bool open, terminal, exited;
	struct list pack_args, pack_env; /* of the program that compresses what was turned over; none */
	pid_t packer;                    /* 0: it does not run */
	int packer_end;
	bool was_frozen; /* before the first holder came: it stays so behind the last */
	uint32_t stop_signal;
	int cgroup; /* that has all of the container, -1 for none */
	uint32_t freezer; /* that it has: 0 none, else a version of cgroups */
	uint64_t head;     /* chunks filled so far */
	uint64_t base;     /* the chunk with this number lies in slot 0 */
	bool hung_up; /* the terminal has nobody inside at the moment */
	unsigned seats; /* clients[] up to here have been in use; the rest is untouched memory */
	struct client clients[CLIENTS];
	struct log log;
	struct {
		int64_t last_us;
		unsigned reads; /* in a row that were quick */
		bool more; /* the pipe may hold more already */
	} pour;
	struct {
		unsigned stream;
		const char *at;
		size_t bytes;
	} unlogged; /* output that the log has not taken yet; nothing more is read until it has */
	struct chunk chunks[CHUNKS];
};

/* The memory of the container, watched for kills. */
struct oom_watch {
	int fd, counter; /* what is polled, and the file with the count: the same with v2; fd -1: nothing is watched */
	short events;
	unsigned looks; /* at the counter that are still due */
	int64_t told, told_at;
	uint64_t limit;
	const char *path, *line, *name, *renamed;
};
extern struct oom_watch the_oom_watch;

extern struct shim the_shim;

/* --- attach.c --- */
int listen_at(struct shim *shim, const char *path);
void stop_listening(struct shim *shim); /* takes the name away; connections made before are still served */
void adopt_client(struct shim *shim, unsigned slot, int fd);
void accept_clients(struct shim *shim);
void close_client(struct shim *shim, struct client *c);
void end_owned(struct shim *shim, struct client *c); /* the process of a client that is gone, if it is its own */
void read_client(struct shim *shim, struct client *c);
void write_client(struct shim *shim, struct client *c);
bool client_has_output(const struct shim *shim, const struct client *c);
uint64_t oldest_needed(const struct shim *shim);
struct chunk *free_chunk(struct shim *shim); /* NULL: a client must take something first */
void publish_chunk(struct shim *shim, uint8_t type, uint32_t bytes);
void answer(struct shim *shim, struct client *c, uint8_t type, const void *payload, uint32_t bytes);
void close_stdin(struct shim *shim);

/* --- pack_log.c --- */
void begin_packing(struct shim *shim); /* if something was turned over, and nobody is at it */
void end_packing(struct shim *shim); /* its program has ended */

/* --- ops_events.c --- */
void oom_look(bool woken, int64_t now_ms); /* tells of kills that have not been told */
int oom_timeout(void); /* until the next look; -1 for none */

/* --- shim.c --- */
int signal_container(struct shim *shim, uint32_t number, bool all);
/* 0 or errno. */
uint32_t hold_container(struct shim *shim, struct client *c, bool hold);

#endif
