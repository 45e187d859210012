/*
 * The log of a container: lines of two streams into one file, in Docker's json-file or in CRI's form,
 * rotated by size, and to a receiver besides, if there is one. Knows nothing of plans, clients or
 * processes, so that tests drive it alone.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "log_forward.h"

/* Longest line in one entry; longer ones become several, as Docker and containerd split them. */
#define LOG_LINE_LIMIT 16384
/* An entry of escaped bytes only: six for one, and the rest of the entry. */
#define LOG_ENTRY_LIMIT (6 * LOG_LINE_LIMIT + 128)
/* Longest attributes. */
#define LOG_ATTRIBUTES_LIMIT 65536

enum log_format { LOG_NONE = 0, LOG_JSON = 1, LOG_CRI = 2 };

struct log_stream {
	uint32_t length; /* bytes of an unfinished line */
	bool continued;  /* earlier parts of this line are written already */
	char time[40];   /* of the first part */
	uint32_t parts;  /* of this line so far */
	char id[65];     /* of a line in parts, where somebody asks for it */
	char line[LOG_LINE_LIMIT];
};

struct log {
	int dir, fd; /* directory of the file, and the file; fd -1 for none */
	char name[256];
	enum log_format format;
	uint64_t limit; /* bytes of one file; 0 for no limit */
	uint32_t files; /* kept, the current one included */
	uint64_t size;  /* of the current file, with what is pending */
	uint64_t lost;  /* bytes of entries that could not be written */
	int error;      /* errno of the first loss */
	bool packs;     /* files that are not written to any more may come compressed */
	bool turned;    /* over since this was last set to false */
	const char *attributes; /* JSON that stands in every entry of a json-file; NULL for none */
	uint32_t attributes_bytes;
	struct forward *forward; /* NULL for none */
	struct log_stream streams[2];
	uint32_t pending;
	char out[LOG_ENTRY_LIMIT + LOG_ATTRIBUTES_LIMIT + 4096];
};

/* Opens or continues the file at an absolute path. 0 or -errno; LOG_NONE opens nothing. */
int log_open(struct log *log, const char *path, enum log_format format, uint64_t limit, uint32_t files);
/*
 * Takes output of stream 0 (stdout) or 1 (stderr); every finished line is in the file when it returns. Returns how
 * much it took: less than all of it while a receiver holds it up.
 */
size_t log_write(struct log *log, unsigned stream, const char *data, size_t bytes);
/* The stream is over: an unfinished line is written as it is. */
void log_end(struct log *log, unsigned stream);
void log_close(struct log *log);
/*
 * Puts what somebody has compressed of rotated files in their places: NAME.packed.INODE.MTIME, whole, becomes NAME.1.gz
 * and so on. Only the writer of the log moves its files, so nobody has to wait for anybody.
 */
void log_take_packed(struct log *log);
/* The time now: RFC 3339 in UTC with as many digits of the second as it takes, as Go's RFC3339Nano prints it. */
void log_time(char out[40]);

#endif
