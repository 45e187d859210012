/* Unit tests of log.c: escaping, splitting, rotation, full disks. One line a test; run by run.sh. */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include "../clock.c"
#include "../log.c"
#include "../local_socket.c"
#include "../log_forward.c"

#define countof(a) (sizeof(a) / sizeof *(a))

static unsigned passed, failed;
static char folder[] = "/tmp/gantry-log-test-XXXXXX";
static char path[64];
static struct log the_log;

static void check(bool good, const char *name)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	good ? passed++ : failed++;
}

static void begin(enum log_format format, uint64_t limit, uint32_t files)
{
	unlink(path);
	if (log_open(&the_log, path, format, limit, files) < 0)
		abort();
}

/* The whole file, NUL-terminated. */
static char *content(const char *of, size_t *bytes)
{
	static char buffer[8 << 20];
	int fd = open(of, O_RDONLY);
	ssize_t n, total = 0;
	while (fd >= 0 && (n = read(fd, buffer + total, sizeof buffer - 1 - (size_t)total)) > 0)
		total += n;
	if (fd >= 0)
		close(fd);
	buffer[total] = 0;
	if (bytes)
		*bytes = (size_t)total;
	return buffer;
}

static void write_in_pieces(unsigned stream, const char *data, size_t bytes, size_t most)
{
	while (bytes > 0) {
		size_t n = 1 + (size_t)rand() % most;
		if (n > bytes)
			n = bytes;
		/* a copy of exactly that size, so that the sanitizer sees a read beyond it */
		char *piece = malloc(n);
		memcpy(piece, data, n);
		log_write(&the_log, stream, piece, n);
		free(piece);
		data += n;
		bytes -= n;
	}
}

static void expect_json(const char *input, size_t bytes, const char *escaped, const char *name)
{
	char expected[256];
	begin(LOG_JSON, 0, 1);
	log_write(&the_log, 0, input, bytes);
	log_end(&the_log, 0);
	log_close(&the_log);
	snprintf(expected, sizeof expected, "{\"log\":\"%s\",\"stream\":\"stdout\",\"time\":\"", escaped);
	check(strncmp(content(path, NULL), expected, strlen(expected)) == 0, name);
}

/* Go's view of the bytes: what is not UTF-8 becomes U+FFFD, byte by byte. Written apart from log.c. */
static size_t as_go_reads(const unsigned char *in, size_t bytes, char *out)
{
	size_t o = 0;
	for (size_t i = 0; i < bytes;) {
		unsigned c = in[i], length = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
		unsigned rune = length == 1 ? c : c & (0x7fu >> length);
		bool good = length > 0 && i + length <= bytes;
		for (unsigned k = 1; good && k < length; k++) {
			good = (in[i + k] & 0xc0) == 0x80;
			rune = rune << 6 | (in[i + k] & 0x3fu);
		}
		static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
		good = good && rune >= least[length] && rune <= 0x10ffff && !(rune >= 0xd800 && rune <= 0xdfff);
		if (good) {
			memcpy(out + o, in + i, length);
			o += length;
			i += length;
		} else {
			memcpy(out + o, "\xef\xbf\xbd", 3);
			o += 3;
			i++;
		}
	}
	return o;
}

static size_t put_rune(char *out, unsigned rune)
{
	if (rune < 0x80)
		return out[0] = (char)rune, 1;
	out[0] = (char)(0xe0 | rune >> 12);
	out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
	out[2] = (char)(0x80 | (rune & 0x3f));
	return 3;
}

/* The texts of all entries put together; false if a line is not one whole entry. */
static bool join_json(const char *text, char *out, size_t *bytes)
{
	size_t o = 0;
	while (*text) {
		if (strncmp(text, "{\"log\":\"", 8))
			return false;
		text += 8;
		while (*text != '"') {
			if (*text != '\\') {
				if ((unsigned char)*text < 0x20)
					return false;
				out[o++] = *text++;
				continue;
			}
			text++;
			if (*text == 'u') {
				char digits[5] = {text[1], text[2], text[3], text[4], 0};
				o += put_rune(out + o, (unsigned)strtoul(digits, NULL, 16));
				text += 5;
			} else {
				out[o++] = *text == 'n' ? '\n' : *text == 'r' ? '\r' : *text;
				text++;
			}
		}
		text = strchr(text, '\n');
		if (!text || text[-1] != '}')
			return false;
		text++;
	}
	*bytes = o;
	return true;
}

static void random_json(void)
{
	enum { MOST = 200000 };
	static unsigned char input[MOST];
	static char expected[3 * MOST], joined[3 * MOST];
	static const char *const pieces[] = {"\n", "a", "\"", "\\", "<", "é", "€", "😀", "\xe2\x80\xa8", "\xe2\x80", "\xf0\x9f", "\xff", "\x80", "\t", ""};
	bool good = true;
	for (unsigned round = 0; round < 60 && good; round++) {
		size_t bytes = 0, aim = (size_t)rand() % MOST;
		unsigned newlines = rand() % 2 ? 30 : 30000;
		while (bytes + 8 < aim) {
			const char *piece = pieces[(size_t)rand() % countof(pieces)];
			if (*piece == '\n' && (unsigned)rand() % newlines)
				continue;
			size_t length = *piece ? strlen(piece) : 1; /* the empty one: a NUL */
			memcpy(input + bytes, piece, length);
			bytes += length;
		}
		begin(LOG_JSON, 0, 1);
		write_in_pieces(0, (char *)input, bytes, round % 2 ? 40000 : 3000);
		log_end(&the_log, 0);
		log_close(&the_log);
		size_t want = as_go_reads(input, bytes, expected), got;
		good = join_json(content(path, NULL), joined, &got) && got == want && memcmp(joined, expected, got) == 0;
	}
	check(good, "random bytes in random pieces come back from json-file entries, bad UTF-8 as U+FFFD");
}

static void random_cri(void)
{
	enum { MOST = 200000 };
	static char input[MOST], joined[MOST];
	bool good = true;
	for (unsigned round = 0; round < 40 && good; round++) {
		size_t bytes = (size_t)rand() % MOST, got = 0;
		for (size_t i = 0; i < bytes; i++) {
			input[i] = (char)rand();
			/* lines of all lengths, also of just the limit */
			if (input[i] == '\n' && rand() % 400)
				input[i] = ' ';
		}
		begin(LOG_CRI, 0, 1);
		write_in_pieces(1, input, bytes, round % 2 ? 40000 : 5000);
		log_end(&the_log, 1);
		log_close(&the_log);
		size_t total;
		const char *at = content(path, &total), *end = at + total;
		while (at < end && good) {
			const char *stream = memchr(at, ' ', (size_t)(end - at)), *line = stream ? stream + 10 : end;
			const char *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
			good = newline && memcmp(stream, " stderr ", 8) == 0 && (line[-2] == 'P' || line[-2] == 'F') &&
			       newline - line <= LOG_LINE_LIMIT;
			if (!good)
				break;
			memcpy(joined + got, line, (size_t)(newline - line));
			got += (size_t)(newline - line);
			if (line[-2] == 'F')
				joined[got++] = '\n';
			at = newline + 1;
		}
		good = good && got == bytes && memcmp(joined, input, bytes) == 0;
	}
	check(good, "random bytes in random pieces come back whole from CRI lines of at most 16 KiB");
}

static void long_lines(void)
{
	static char line[LOG_LINE_LIMIT + 2];
	size_t bytes;
	memset(line, 'x', sizeof line);
	line[LOG_LINE_LIMIT] = '\n';
	begin(LOG_CRI, 0, 1);
	log_write(&the_log, 0, line, LOG_LINE_LIMIT + 1);
	log_close(&the_log);
	char *text = content(path, &bytes);
	check(strchr(text, '\n') == text + bytes - 1 && strstr(text, " stdout F x"), "CRI: a line of just 16 KiB is one full line");
	begin(LOG_JSON, 0, 1);
	log_write(&the_log, 0, line, LOG_LINE_LIMIT + 1);
	log_close(&the_log);
	text = content(path, NULL);
	char *first = strchr(text, '\n');
	check(first && strncmp(first + 1, "{\"log\":\"\\n\",", 12) == 0, "json-file: a line of just 16 KiB and its newline are two entries, as Docker's");
	char *time = strstr(text, "\"time\""), *second = first ? strstr(first, "\"time\"") : NULL;
	check(time && second && strncmp(time, second, 30) == 0, "the parts of a long line carry the time of the first");
}

/* Lines "line 0" … in order over the files, oldest first. Returns the first number, or -1 for a gap. */
static long first_line(unsigned files, long last)
{
	long next = -1, first = -1;
	for (unsigned i = files; i-- > 0;) {
		char name[80];
		snprintf(name, sizeof name, i ? "%s.%u" : "%s", path, i);
		for (char *at = content(name, NULL); *at; at = strchr(at, '\n') + 1) {
			long number = strtol(strstr(at, "line ") + 5, NULL, 10);
			if (first < 0)
				first = next = number;
			if (number != next++)
				return -1;
		}
	}
	return next == last ? first : -1;
}

static void write_lines(long from, long to)
{
	for (long i = from; i < to; i++) {
		char line[32];
		log_write(&the_log, 0, line, (size_t)snprintf(line, sizeof line, "line %ld\n", i));
	}
}

static void rotation(void)
{
	struct stat st;
	bool small = true;
	begin(LOG_JSON, 1000, 200);
	write_lines(0, 1500);
	log_close(&the_log);
	for (unsigned i = 0; i < 200; i++) {
		char name[80];
		snprintf(name, sizeof name, i ? "%s.%u" : "%s", path, i);
		if (stat(name, &st) == 0)
			small &= st.st_size <= 1100;
	}
	check(first_line(200, 1500) == 0, "rotation loses no line while there are files enough");
	check(small, "no file grows beyond its limit by more than one entry");
	/* all at once, in one chunk */
	static char many[64000];
	size_t bytes = 0;
	for (long i = 0; i < 3000; i++)
		bytes += (size_t)snprintf(many + bytes, sizeof many - bytes, "line %ld\n", i);
	begin(LOG_CRI, 5000, 3);
	log_write(&the_log, 0, many, bytes);
	log_close(&the_log);
	long first = first_line(3, 3000);
	check(first > 2600 && first < 2900, "three files hold the last lines without a gap");
	begin(LOG_JSON, 1000, 1);
	write_lines(0, 100);
	log_close(&the_log);
	check(first_line(1, 100) > 80, "a single file begins anew at its limit");
	begin(LOG_JSON, 0, 1);
	write_lines(0, 10);
	log_close(&the_log);
	log_open(&the_log, path, LOG_JSON, 0, 1);
	write_lines(10, 20);
	log_close(&the_log);
	check(first_line(1, 20) == 0, "a log that is there is continued");
}

static bool is_there(const char *suffix)
{
	char name[120];
	snprintf(name, sizeof name, "%s%s", path, suffix);
	return access(name, F_OK) == 0;
}

/* A copy of path.NUMBER as one that compresses would leave it; `late` is added to the time in its name. */
static void leave_copy(unsigned number, unsigned late)
{
	char from[80], to[160], command[300];
	struct stat st;
	snprintf(from, sizeof from, "%s.%u", path, number);
	if (stat(from, &st) < 0)
		abort();
	snprintf(to, sizeof to, "%s.packed.%llu.%llu%09lu", path, (unsigned long long)st.st_ino,
	         (unsigned long long)st.st_mtim.tv_sec + late, (unsigned long)st.st_mtim.tv_nsec);
	snprintf(command, sizeof command, "cp %s %s", from, to);
	if (system(command) != 0)
		abort();
}

static void packing(void)
{
	char command[120];
	snprintf(command, sizeof command, "rm -f %s*", path);
	if (system(command) != 0)
		abort();
	begin(LOG_JSON, 1000, 4);
	the_log.packs = true;
	write_lines(0, 35);
	check(is_there(".1") && is_there(".2") && !is_there(".3"), "packing: three files");
	leave_copy(1, 0);
	leave_copy(2, 7);
	log_take_packed(&the_log);
	check(is_there(".1.gz") && !is_there(".1"), "a copy takes the place of its file");
	check(is_there(".2") && !is_there(".2.gz"), "that of another file of the same number does not");
	the_log.turned = false;
	for (long i = 35; !the_log.turned; i++)
		write_lines(i, i + 1);
	check(is_there(".1") && is_there(".2.gz") && is_there(".3"), "both forms move on together");
	for (int turn = 0; turn < 2; turn++) {
		the_log.turned = false;
		for (long i = 100; !the_log.turned; i++)
			write_lines(i, i + 1);
	}
	check(is_there(".3") && !is_there(".3.gz") && !is_there(".4") && !is_there(".4.gz"), "the oldest goes in either form");
	log_close(&the_log);
	the_log.packs = false;
	if (system(command) != 0)
		abort();
}

static void full_disk(void)
{
	struct rlimit limit = {10000, RLIM_INFINITY};
	signal(SIGXFSZ, SIG_IGN);
	begin(LOG_JSON, 0, 1);
	setrlimit(RLIMIT_FSIZE, &limit);
	write_lines(0, 500);
	static char joined[20000];
	size_t bytes, length;
	char *text = content(path, &bytes);
	check(bytes > 9900 && bytes <= 10000 && join_json(text, joined, &length) && joined[length - 1] == '\n',
	      "a full disk leaves whole entries only");
	check(the_log.lost > 0 && the_log.error == EFBIG, "what is lost is counted, with its reason");
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	log_write(&the_log, 0, "line again\n", 11);
	log_close(&the_log);
	text = content(path, NULL);
	check(join_json(text, joined, &bytes) && bytes > 11 && memcmp(joined + bytes - 11, "line again\n", 11) == 0,
	      "writing goes on when there is room again");
}

static void attributes(void)
{
	static char long_attributes[LOG_ATTRIBUTES_LIMIT + 1], line[LOG_LINE_LIMIT];
	size_t bytes;
	begin(LOG_JSON, 0, 1);
	the_log.attributes = "{\"tag\":\"t\"}";
	the_log.attributes_bytes = 11;
	log_write(&the_log, 1, "x\n", 2);
	log_close(&the_log);
	check(strncmp(content(path, NULL), "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"attrs\":{\"tag\":\"t\"},\"time\":\"2", 59) == 0,
	      "attributes stand between stream and time, as Docker's");
	memset(long_attributes, 'a', LOG_ATTRIBUTES_LIMIT);
	memset(line, 1, sizeof line);
	begin(LOG_JSON, 0, 1);
	the_log.attributes = long_attributes;
	the_log.attributes_bytes = LOG_ATTRIBUTES_LIMIT;
	for (unsigned i = 0; i < 4; i++)
		log_write(&the_log, 0, line, sizeof line);
	log_write(&the_log, 0, "\n", 1);
	log_close(&the_log);
	content(path, &bytes);
	check(bytes > 4 * (6 * LOG_LINE_LIMIT + LOG_ATTRIBUTES_LIMIT), "the longest attributes beside the longest line fit");
}

static struct forward the_forward;

/* A receiver of datagrams at `path`.sock, and a log without a file that sends to it. */
static int receiver(int type, bool patient)
{
	static struct sockaddr_un address;
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof address.sun_path, "%s.sock", path);
	unlink(address.sun_path);
	int fd = socket(AF_UNIX, type, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || (type == SOCK_STREAM && listen(fd, 1) < 0))
		abort();
	log_open(&the_log, "", LOG_NONE, 0, 1);
	memset(&the_forward, 0, sizeof the_forward);
	the_forward.protocol = FORWARD_EITHER;
	the_forward.address = address.sun_path;
	the_forward.patient = patient;
	the_forward.format = FORWARD_JOURNAL;
	the_forward.fields = "CONTAINER_ID=c\n";
	the_forward.fields_bytes = 15;
	the_forward.host = "host";
	the_forward.tag = "tag";
	the_forward.facility = 3;
	if (forward_open(&the_forward) < 0)
		abort();
	the_log.forward = &the_forward;
	return fd;
}

static char *received(int fd)
{
	static char buffer[70000];
	ssize_t n = recv(fd, buffer, sizeof buffer - 1, MSG_DONTWAIT);
	buffer[n < 0 ? 0 : n] = 0;
	return buffer;
}

static void journal(void)
{
	static char line[2 * LOG_LINE_LIMIT + 2];
	int fd = receiver(SOCK_DGRAM, true);
	log_write(&the_log, 1, "\xffone\n", 5);
	char *text = received(fd);
	check(strncmp(text, "CONTAINER_ID=c\nPRIORITY=3\nSYSLOG_TIMESTAMP=2", 44) == 0 &&
	          strstr(text, "Z\nCONTAINER_LOG_ORDINAL=1\nMESSAGE=\xffone\n"),
	      "a line is an entry of the journal, with its bytes as they are");
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	log_write(&the_log, 0, line, sizeof line);
	char id[65] = "";
	bool good = true;
	for (unsigned part = 1; part <= 3; part++) {
		char expected[64];
		text = received(fd);
		char *at = strstr(text, "CONTAINER_PARTIAL_ID=");
		good &= at && (part == 1 || strncmp(at + 21, id, 64) == 0);
		if (at)
			memcpy(id, at + 21, 64);
		snprintf(expected, sizeof expected, "\nCONTAINER_PARTIAL_ORDINAL=%u\n", part);
		good &= strstr(text, expected) && strstr(text, part == 3 ? "PARTIAL_LAST=true\nMESSAGE=x\n" : "PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n");
	}
	check(good, "the parts of a long line carry one id, numbers, and which is the last");
	log_write(&the_log, 0, "short\n", 6);
	check(!strstr(received(fd), "PARTIAL"), "a line after a long one is whole again");
	log_close(&the_log);
	close(fd);
}

static void syslog(void)
{
	struct tm t;
	time_t now = time(NULL);
	char day[16], expected[64];
	int fd = receiver(SOCK_DGRAM, true);
	the_forward.format = FORWARD_RFC3164;
	log_write(&the_log, 0, "one\n", 4);
	localtime_r(&now, &t);
	strftime(day, sizeof day, "%b %e", &t);
	char *text = received(fd);
	snprintf(expected, sizeof expected, " host tag[%d]: one\n", getpid());
	check(strncmp(text, "<30>", 4) == 0 && strncmp(text + 4, day, 6) == 0 && strcmp(text + 19, expected) == 0, "RFC 3164 as Docker has it");
	the_forward.format = FORWARD_LOCAL;
	log_write(&the_log, 1, "two\n", 4);
	snprintf(expected, sizeof expected, " tag[%d]: two\n", getpid());
	text = received(fd);
	check(strncmp(text, "<27>", 4) == 0 && strcmp(text + 19, expected) == 0, "local syslog leaves the host out");
	bool good = true;
	static const char *const zones[] = {"UTC", "XXX-5:30", "YYY3"}, *const shown[] = {"Z", "+05:30", "-03:00"};
	for (unsigned i = 0; i < 3; i++) {
		setenv("TZ", zones[i], 1);
		tzset();
		the_forward.format = i == 1 ? FORWARD_RFC5424_MICRO : FORWARD_RFC5424;
		log_write(&the_log, 0, "three\n", 6);
		text = received(fd);
		snprintf(expected, sizeof expected, "%s host tag %d tag - three\n", shown[i], getpid());
		good &= strncmp(text, "<30>1 2", 7) == 0 && text[16] == 'T' && strstr(text, expected) == text + strlen(text) - strlen(expected);
		good &= (text[25] == '.') == (i == 1);
	}
	check(good, "RFC 5424 with and without microseconds, in local time");
	log_close(&the_log);
	close(fd);
}

static void slow_receiver(void)
{
	static char many[400000];
	size_t bytes = 0, taken = 0, lines = 0, calls = 0;
	while (bytes + 20 < sizeof many)
		bytes += (size_t)snprintf(many + bytes, 20, "line %zu\n", lines++);
	for (unsigned turn = 0; turn < 2; turn++) {
		int listener = receiver(turn ? SOCK_STREAM : SOCK_DGRAM, true), fd = turn ? accept(listener, NULL, NULL) : listener;
		size_t next = 0;
		bool good = true;
		char expected[32];
		static char stream[sizeof many * 30];
		size_t got = 0;
		for (taken = calls = 0; good && (next < lines && calls < 10 * lines); calls++) {
			forward_more(&the_forward);
			taken += log_write(&the_log, 0, many + taken, bytes - taken);
			good &= taken == bytes || forward_waits(&the_forward);
			if (turn) {
				ssize_t n = recv(fd, stream + got, 50000, MSG_DONTWAIT);
				got += n > 0 ? (size_t)n : 0;
				if (taken < bytes || forward_waits(&the_forward))
					continue;
				while ((n = recv(fd, stream + got, 50000, MSG_DONTWAIT)) > 0)
					got += (size_t)n;
				for (char *at = stream, *end; good && (end = memchr(at, '\n', got - (size_t)(at - stream))); at = end + 1)
					if (strncmp(at, "MESSAGE=line ", 13) == 0)
						good &= strtoul(at + 13, NULL, 10) == next++;
				break;
			}
			for (char *text; good && *(text = received(fd)); next++) {
				snprintf(expected, sizeof expected, "MESSAGE=line %zu\n", next);
				good &= strstr(text, expected) != NULL;
			}
		}
		check(good && next == lines && the_forward.lost == 0, turn ? "a slow receiver of a stream gets every line, in order" : "a slow receiver of datagrams gets every line, in order");
		log_close(&the_log);
		close(fd);
		if (turn)
			close(listener);
	}
	int fd = receiver(SOCK_DGRAM, false);
	size_t all = log_write(&the_log, 0, many, bytes);
	check(all == bytes && !forward_waits(&the_forward) && the_forward.lost > 0 && the_forward.error == EAGAIN,
	      "with mode non-blocking what a receiver does not take is dropped and counted");
	log_close(&the_log);
	close(fd);
}

static void lost_receiver(void)
{
	int fd = receiver(SOCK_STREAM, true), first = accept(fd, NULL, NULL);
	log_write(&the_log, 0, "one\n", 4);
	check(strstr(received(first), "MESSAGE=one\n"), "a stream gets the line");
	close(first);
	log_write(&the_log, 0, "two\n", 4);
	int second = accept(fd, NULL, NULL);
	check(strstr(received(second), "MESSAGE=two\n") && the_forward.lost == 0, "a receiver that comes back gets the next line");
	close(second);
	close(fd);
	log_write(&the_log, 0, "three\n", 6);
	uint64_t lost = the_forward.lost;
	check(lost > 0 && !forward_waits(&the_forward), "a receiver that is gone holds nothing up, and what is lost is counted");
	log_write(&the_log, 0, "four\n", 5);
	check(the_forward.lost > lost && the_forward.fd < 0, "it is not asked for every line");
	log_close(&the_log);
}

static int relay_end = -1;
static unsigned relays;

static int start_relay(struct forward *f)
{
	int ends[2];
	(void)f;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
		abort();
	relay_end = ends[1];
	/* the first one must not be waited for: here is nobody who could say it later */
	if (relays++ == 0)
		dprintf(relay_end, "+");
	return ends[0];
}

static void relayed(void)
{
	log_open(&the_log, "", LOG_NONE, 0, 1);
	memset(&the_forward, 0, sizeof the_forward);
	the_forward.protocol = FORWARD_RELAY;
	the_forward.start_relay = start_relay;
	the_forward.address = "receiver:1";
	the_forward.patient = true;
	the_forward.format = FORWARD_RFC5425;
	the_forward.host = "host";
	the_forward.tag = "tag";
	if (forward_open(&the_forward) < 0)
		abort();
	the_log.forward = &the_forward;
	log_write(&the_log, 0, "one\n", 4);
	char *text = received(relay_end), *rest = NULL;
	check(strtoul(text, &rest, 10) == strlen(rest) - 1 && strncmp(rest, " <6>1 ", 6) == 0 && strstr(rest, "- one\n"),
	      "a relay gets the line behind its length");
	close(relay_end);
	log_write(&the_log, 0, "two\n", 4);
	check(relays == 1 && the_forward.lost > 0 && !forward_waits(&the_forward), "one that ends at once is not started for every line");
	the_forward.retry_ms = 0;
	uint64_t lost = the_forward.lost;
	log_write(&the_log, 0, "three\n", 6);
	check(relays == 2 && forward_waits(&the_forward) && forward_events(&the_forward) == POLLIN && !*received(relay_end),
	      "a line waits until the relay has said whether it is connected");
	dprintf(relay_end, "-no way\n");
	forward_more(&the_forward);
	check(the_forward.lost > lost && !forward_waits(&the_forward) && strcmp(the_forward.reason, "no way") == 0,
	      "one that is not holds nothing up, and what is lost is counted");
	lost = the_forward.lost;
	log_write(&the_log, 0, "four\n", 5);
	check(relays == 2 && the_forward.lost > lost && !*received(relay_end), "nor is it sent anything");
	dprintf(relay_end, "+");
	log_write(&the_log, 0, "five\n", 5);
	check(strstr(received(relay_end), "- five\n") && relays == 2, "until it says that it is");
	log_close(&the_log);
	close(relay_end);
}

static void times(void)
{
	bool good = true;
	for (unsigned i = 0; i < 200000 && good; i++) {
		struct timespec t = {(time_t)((uint64_t)rand() * 3 % 7258118400u), i % 3 ? (long)rand() % 1000000000 : (long)(rand() % 1000) * 1000000};
		struct tm parts;
		char got[40], seconds[24], expected[40];
		gmtime_r(&t.tv_sec, &parts);
		strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
		snprintf(expected, sizeof expected, "%s.%09ld", seconds, t.tv_nsec);
		for (size_t end = strlen(expected); expected[end - 1] == '0' || expected[end - 1] == '.'; end--) {
			bool dot = expected[end - 1] == '.';
			expected[end - 1] = 0;
			if (dot)
				break;
		}
		strcat(expected, "Z");
		format_time(got, &t);
		good = strcmp(got, expected) == 0;
	}
	check(good, "times are those of gmtime, with the zeros at the end cut as Go does");
}

int main(void)
{
	srand(20);
	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof path, "%s/log", folder);
	expect_json("plain\n", 6, "plain\\n", "a line ends in its newline");
	expect_json("part", 4, "part", "an unfinished line at the end is written without one");
	expect_json("\"\\<>&\t\r\x01\x7f\n", 10, "\\\"\\\\\\u003c\\u003e\\u0026\\u0009\\r\\u0001\x7f\\n", "escapes are Docker's");
	expect_json("a\xff\xc0\x80z\n", 6, "a\\ufffd\\ufffd\\ufffdz\\n", "each byte that is not UTF-8 becomes U+FFFD");
	expect_json("\xed\xa0\x80\n", 4, "\\ufffd\\ufffd\\ufffd\\n", "a surrogate is not UTF-8");
	expect_json("\xe2\x80\xa8\xe2\x80\xa9\n", 7, "\\u2028\\u2029\\n", "JavaScript's line ends are escaped");
	expect_json("\xf0\x9f\x98\x80\n", 5, "\xf0\x9f\x98\x80\\n", "other characters stay as they are");
	expect_json("a\0b\n", 4, "a\\u0000b\\n", "NUL is escaped");
	times();
	random_json();
	random_cri();
	long_lines();
	rotation();
	packing();
	full_disk();
	attributes();
	journal();
	syslog();
	slow_receiver();
	lost_receiver();
	relayed();
	char name[80];
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof name, i ? "%s.%u" : "%s", path, i);
		unlink(name);
	}
	snprintf(name, sizeof name, "%s.sock", path);
	unlink(name);
	rmdir(folder);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
