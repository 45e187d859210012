/*
 * Entries are put together in one buffer and written whole, so that a full disk never leaves half an
 * entry behind: what cannot be written is cut off at an entry's end, counted, and the container goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "log.h"

static const char *const stream_names[] = {"stdout", "stderr"};

static char *put_digits(char *to, unsigned value, unsigned digits)
{
	for (unsigned i = digits; i-- > 0; value /= 10)
		to[i] = (char)('0' + value % 10);
	return to + digits;
}

static void format_time(char out[40], const struct timespec *now)
{
	/* days to date: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days */
	uint64_t seconds = (uint64_t)now->tv_sec, days = seconds / 86400 + 719468;
	uint64_t era = days / 146097, of_era = days % 146097;
	uint64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * years + years / 4 - years / 100);
	uint64_t shifted = (5 * of_year + 2) / 153;
	unsigned month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
	unsigned rest = (unsigned)(seconds % 86400), nanos = (unsigned)now->tv_nsec, digits = 9;
	char *at = put_digits(out, (unsigned)(years + era * 400 + (month <= 2)), 4);
	*at++ = '-';
	at = put_digits(at, month, 2);
	*at++ = '-';
	at = put_digits(at, (unsigned)(of_year - (153 * shifted + 2) / 5 + 1), 2);
	*at++ = 'T';
	at = put_digits(at, rest / 3600, 2);
	*at++ = ':';
	at = put_digits(at, rest / 60 % 60, 2);
	*at++ = ':';
	at = put_digits(at, rest % 60, 2);
	for (; digits > 0 && nanos % 10 == 0; digits--)
		nanos /= 10;
	if (digits > 0) {
		*at++ = '.';
		at = put_digits(at, nanos, digits);
	}
	*at++ = 'Z';
	*at = 0;
}

void log_time(char out[40])
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	format_time(out, &now);
}

/* Length of the UTF-8 sequence at `at`; 0 if it is not valid, -1 if it is cut off by the end. */
static int rune_length(const unsigned char *at, const unsigned char *end)
{
	unsigned char lead = *at;
	unsigned char low = 0x80, high = 0xbf;
	int length;
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	/* no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629) */
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	for (int i = 1; i < length; i++, low = 0x80, high = 0xbf) {
		if (at + i == end)
			return -1;
		if (at[i] < low || at[i] > high)
			return 0;
	}
	return length;
}

static char *put(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

/* ASCII that stands for itself in a JSON string of Docker's: most bytes there are. */
static bool is_plain(unsigned char c)
{
	static const uint32_t plain[8] = {0, ~(1u << 2 | 1u << 6 | 1u << 28 | 1u << 30), ~(1u << 28), ~0u};
	return plain[c >> 5] >> (c & 31) & 1;
}

/* As Docker's json-file writes strings: Go's rules, <, > and & escaped too, bad bytes as U+FFFD. */
static char *put_escaped(char *to, const char *data, size_t bytes)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *at = (const unsigned char *)data, *end = at + bytes;
	while (at < end) {
		unsigned char c = *at;
		if (is_plain(c)) {
			*to++ = (char)c;
			at++;
			continue;
		}
		if (c >= 0x80) {
			int length = rune_length(at, end);
			if (length <= 0) {
				to = put(to, "\\ufffd");
				at++;
			} else if (length == 3 && c == 0xe2 && at[1] == 0x80 && (at[2] & 0xfe) == 0xa8) {
				to = put(to, at[2] == 0xa8 ? "\\u2028" : "\\u2029"); /* line ends for JavaScript */
				at += 3;
			} else {
				memcpy(to, at, (size_t)length);
				to += length;
				at += length;
			}
			continue;
		}
		at++;
		if (c == '"' || c == '\\') {
			*to++ = '\\';
			*to++ = (char)c;
		} else if (c == '\n' || c == '\r') {
			*to++ = '\\';
			*to++ = c == '\n' ? 'n' : 'r';
		} else {
			to = put(to, "\\u00");
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		}
	}
	return to;
}

static void lose(struct log *log, int error, uint64_t bytes)
{
	if (!log->error) {
		log->error = error;
		dprintf(2, "gantry-executor: write log %s: %s: output is being lost\n", log->name, strerror(error));
	}
	log->lost += bytes;
}

/* Cuts a half-written entry off, so that what stands in the file stays readable. Every entry ends in a newline. */
static uint32_t keep_whole_entries(struct log *log, uint32_t written)
{
	uint32_t whole = written;
	struct stat st;
	while (whole > 0 && log->out[whole - 1] != '\n')
		whole--;
	if (whole < written && fstat(log->fd, &st) == 0 && ftruncate(log->fd, st.st_size - (off_t)(written - whole)) < 0)
		lose(log, errno, 0);
	return whole;
}

static void flush(struct log *log)
{
	uint32_t written = 0;
	int error = 0;
	while (written < log->pending && !error) {
		ssize_t n = write(log->fd, log->out + written, log->pending - written);
		if (n >= 0)
			written += (uint32_t)n;
		else if (errno != EINTR)
			error = errno;
	}
	if (error) {
		uint32_t whole = keep_whole_entries(log, written);
		lose(log, error, log->pending - whole);
		log->size -= log->pending - whole;
	}
	log->pending = 0;
}

static int open_file(struct log *log)
{
	struct stat st;
	int fd = openat(log->dir, log->name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	log->size = (uint64_t)st.st_size;
	return fd;
}

static void numbered(const struct log *log, char out[280], uint32_t number)
{
	char *at = put(out, log->name);
	if (number > 0) {
		*at++ = '.';
		at = put_digits(at, number, number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : 10);
	}
	*at = 0;
}

void log_take_packed(struct log *log)
{
	char plain[280], packed[400], zipped[300];
	struct stat st;
	for (uint32_t i = 1; log->fd >= 0 && i < log->files; i++) {
		numbered(log, plain, i);
		if (fstatat(log->dir, plain, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		snprintf(packed, sizeof packed, "%s.packed.%llu.%llu%09lu", log->name, (unsigned long long)st.st_ino,
		         (unsigned long long)st.st_mtim.tv_sec, (unsigned long)st.st_mtim.tv_nsec);
		snprintf(zipped, sizeof zipped, "%s.gz", plain);
		/* for a moment both are there, and say the same */
		if (renameat(log->dir, packed, log->dir, zipped) == 0 && unlinkat(log->dir, plain, 0) < 0)
			lose(log, errno, 0);
	}
}

/* Moves a file and what it may be compressed to; where nothing is there is nothing to move. */
static void shift(struct log *log, uint32_t number)
{
	char from[300], to[300];
	numbered(log, from, number - 1);
	numbered(log, to, number);
	if (renameat(log->dir, from, log->dir, to) < 0 && errno != ENOENT)
		lose(log, errno, 0);
	if (!log->packs || number == 1)
		return;
	strcat(from, ".gz");
	strcat(to, ".gz");
	if (renameat(log->dir, from, log->dir, to) < 0 && errno != ENOENT)
		lose(log, errno, 0);
}

/* The oldest may be there in the other form than what comes in its place. */
static void make_room(struct log *log)
{
	char oldest[300];
	log_take_packed(log);
	numbered(log, oldest, log->files - 1);
	unlinkat(log->dir, oldest, 0);
	strcat(oldest, ".gz");
	unlinkat(log->dir, oldest, 0);
}

/*
 * name -> name.1 -> name.2 …; the oldest is overwritten, or goes where there is only one. Never by cutting a file off:
 * who reads it has it open, and finds its end before the next one.
 */
static void rotate(struct log *log)
{
	flush(log);
	if (log->files < 2 && unlinkat(log->dir, log->name, 0) < 0 && errno != ENOENT)
		lose(log, errno, 0);
	if (log->packs && log->files > 1)
		make_room(log);
	for (uint32_t i = log->files - 1; i > 0; i--)
		shift(log, i);
	int fd = open_file(log);
	if (fd < 0) {
		/* goes on in the old file rather than lose anything, and tries again a file's length later */
		lose(log, -fd, 0);
		log->size = 0;
		return;
	}
	close(log->fd);
	log->fd = fd;
	log->turned = true;
}

/* An entry with all that surrounds the line. */
static size_t entry_room(const struct log *log, size_t bytes)
{
	return 6 * bytes + log->attributes_bytes + 160;
}

static void put_in_file(struct log *log, unsigned stream, const char *time, const char *data, size_t bytes, bool partial)
{
	if (log->limit && log->size >= log->limit)
		rotate(log);
	if (log->pending && log->pending + entry_room(log, bytes) > LOG_ENTRY_LIMIT + 4096)
		flush(log);
	char *start = log->out + log->pending, *at = start;
	if (log->format == LOG_JSON) {
		at = put(at, "{\"log\":\"");
		at = put_escaped(at, data, bytes);
		at = put(at, partial ? "\",\"stream\":\"" : "\\n\",\"stream\":\"");
		at = put(at, stream_names[stream]);
		if (log->attributes_bytes) {
			at = put(at, "\",\"attrs\":");
			memcpy(at, log->attributes, log->attributes_bytes);
			at += log->attributes_bytes;
			at = put(at, ",\"time\":\"");
		} else {
			at = put(at, "\",\"time\":\"");
		}
		at = put(at, time);
		at = put(at, "\"}\n");
	} else {
		at = put(at, time);
		*at++ = ' ';
		at = put(at, stream_names[stream]);
		at = put(at, partial ? " P " : " F ");
		memcpy(at, data, bytes);
		at += bytes;
		*at++ = '\n';
	}
	log->pending += (uint32_t)(at - start);
	log->size += (uint64_t)(at - start);
}

static void random_id(char out[65])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[32] = {0};
	/* what it is for is to tell lines apart: zeros from a kernel without randomness do no harm */
	ssize_t got = getrandom(bytes, sizeof bytes, GRND_NONBLOCK);
	(void)got;
	for (unsigned i = 0; i < sizeof bytes; i++) {
		out[2 * i] = hex[bytes[i] >> 4];
		out[2 * i + 1] = hex[bytes[i] & 15];
	}
	out[64] = 0;
}

static void put_entry(struct log *log, unsigned stream, const char *time, const char *data, size_t bytes, bool partial)
{
	struct log_stream *s = &log->streams[stream];
	if (log->fd >= 0)
		put_in_file(log, stream, time, data, bytes, partial);
	if (!log->forward)
		return;
	bool in_parts = partial || s->continued;
	if (in_parts && s->parts++ == 0)
		random_id(s->id);
	struct forward_line line = {stream, time, data, bytes, in_parts ? s->id : NULL, s->parts, !partial};
	forward_line(log->forward, &line);
	if (!partial)
		s->parts = 0;
}

/* Bytes at the end of an unfinished line that begin a character: they wait for the rest of it. */
static uint32_t cut_rune(const struct log_stream *s)
{
	const unsigned char *line = (const unsigned char *)s->line, *end = line + s->length;
	for (uint32_t back = 1; back <= 3 && back <= s->length; back++)
		if (end[-(int)back] >= 0xc0)
			return rune_length(end - back, end) < 0 ? back : 0;
	return 0;
}

/* The line is too long for one entry. All parts carry the time of the first, as Docker's do. */
static void put_part(struct log *log, unsigned stream, const char *time)
{
	struct log_stream *s = &log->streams[stream];
	uint32_t keep = log->format == LOG_JSON ? cut_rune(s) : 0;
	if (!s->continued)
		strcpy(s->time, time);
	put_entry(log, stream, s->time, s->line, s->length - keep, true);
	s->continued = true;
	memmove(s->line, s->line + s->length - keep, keep);
	s->length = keep;
}

static bool is_held_up(const struct log *log)
{
	return log->forward && forward_waits(log->forward);
}

size_t log_write(struct log *log, unsigned stream, const char *data, size_t bytes)
{
	struct log_stream *s = &log->streams[stream];
	/* containerd counts the newline apart from the line, Docker within it */
	size_t slack = log->format == LOG_CRI, given = bytes;
	char time[40];
	if (log->fd < 0 && !log->forward)
		return bytes;
	log_time(time);
	while (bytes > 0 && !is_held_up(log)) {
		size_t room = LOG_LINE_LIMIT + slack - s->length;
		size_t take = bytes < room ? bytes : room;
		const char *newline = memchr(data, '\n', take);
		if (newline)
			take = (size_t)(newline - data);
		else if (take > LOG_LINE_LIMIT - s->length)
			take = LOG_LINE_LIMIT - s->length;
		if (newline && s->length == 0) {
			put_entry(log, stream, s->continued ? s->time : time, data, take, false);
			s->continued = false;
		} else {
			memcpy(s->line + s->length, data, take);
			s->length += (uint32_t)take;
			if (newline) {
				put_entry(log, stream, s->continued ? s->time : time, s->line, s->length, false);
				s->length = 0;
				s->continued = false;
			} else if (s->length == LOG_LINE_LIMIT && take + slack <= bytes) {
				put_part(log, stream, time);
			}
		}
		take += newline != NULL;
		data += take;
		bytes -= take;
	}
	flush(log);
	return given - bytes;
}

void log_end(struct log *log, unsigned stream)
{
	struct log_stream *s = &log->streams[stream];
	char time[40];
	if (s->length == 0 || (log->fd < 0 && !log->forward))
		return;
	log_time(time);
	put_entry(log, stream, s->continued ? s->time : time, s->line, s->length, true);
	s->length = 0;
	flush(log);
}

int log_open(struct log *log, const char *path, enum log_format format, uint64_t limit, uint32_t files)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	/* field by field: writing the buffers would make their pages resident */
	log->dir = log->fd = -1;
	log->format = format;
	log->limit = limit;
	log->files = files;
	log->size = log->lost = log->pending = 0;
	log->error = 0;
	log->attributes = NULL;
	log->attributes_bytes = 0;
	log->forward = NULL;
	for (unsigned i = 0; i < 2; i++) {
		log->streams[i].length = 0;
		log->streams[i].continued = false;
		log->streams[i].parts = 0;
	}
	if (format == LOG_NONE)
		return 0;
	if (format > LOG_CRI || !slash || path[0] != '/' || (size_t)(slash - path) >= sizeof dir ||
	    slash[1] == 0 || strlen(slash + 1) >= sizeof log->name)
		return -EINVAL;
	memcpy(dir, path, (size_t)(slash - path));
	strcpy(dir + (slash - path), slash == path ? "/" : "");
	strcpy(log->name, slash + 1);
	log->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (log->dir < 0)
		return -errno;
	int fd = open_file(log);
	if (fd < 0) {
		close(log->dir);
		log->dir = -1;
		return fd;
	}
	log->fd = fd;
	return 0;
}

void log_close(struct log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	if (log->dir >= 0)
		close(log->dir);
	if (log->forward) {
		forward_close(log->forward);
		log->lost += log->forward->lost;
	}
	log->fd = log->dir = -1;
	log->forward = NULL;
}
