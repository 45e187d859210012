/*
 * Decoding and checking of a plan. The plan is root-equivalent input, so all of it is checked before
 * any of it runs: bounds, known operations in their stage, descriptors that are live when used and
 * empty when filled, and the order rules of the table. Walks are generic over the table, so a new
 * operation is checked without a line here.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "executor.h"

#define MAGIC 0x50544e47u
#define HEADER_BYTES 48u
#define NO_REGISTER 0xffffffffu

const struct operation operation_table[] = {
#define X(number, symbol, name, kinds, stages, rules) {number, name, kinds, stages, rules, op_##symbol},
	OPERATIONS(X)
#undef X
};

struct reader {
	const uint8_t *at, *end;
	bool bad;
};

static uint32_t read_u32(struct reader *r)
{
	uint32_t value = 0;
	if (r->end - r->at < 4) {
		r->bad = true;
		return 0;
	}
	memcpy(&value, r->at, 4);
	r->at += 4;
	return value;
}

static uint64_t read_u64(struct reader *r)
{
	uint64_t low = read_u32(r);
	return low | (uint64_t)read_u32(r) << 32;
}

/* `tail` is 1 for text (its NUL is checked), 0 for bytes. */
static struct bytes read_bytes(struct reader *r, uint32_t tail)
{
	struct bytes b = {"", read_u32(r)};
	uint64_t padded = ((uint64_t)b.length + tail + 3) & ~(uint64_t)3;
	if (r->bad || padded > (uint64_t)(r->end - r->at)) {
		r->bad = true;
		return (struct bytes){"", 0};
	}
	b.at = (const char *)r->at;
	r->at += padded;
	if (tail && (b.at[b.length] != 0 || memchr(b.at, 0, b.length)))
		r->bad = true;
	return b;
}

static struct list read_list(struct reader *r, bool texts)
{
	struct list list = {NULL, read_u32(r)};
	list.at = r->at;
	for (uint32_t i = 0; i < list.count && !r->bad; i++)
		if (texts)
			read_bytes(r, 1);
		else
			read_u32(r);
	return list;
}

static const struct operation *find_operation(uint32_t number)
{
	for (size_t i = 0; i < countof(operation_table); i++)
		if (operation_table[i].number == number)
			return &operation_table[i];
	return NULL;
}

/* Decodes one step; r->bad tells of a malformed one. */
static void read_step(struct reader *r, uint32_t registers, struct step *s)
{
	const uint8_t *start = r->at;
	s->operation = find_operation(read_u32(r));
	uint32_t bytes = read_u32(r);
	if (!s->operation || bytes < 16 || bytes % 4 || bytes > (uint64_t)(r->end - start)) {
		r->bad = true;
		return;
	}
	struct reader own = {r->at, start + bytes, false};
	s->where = read_bytes(&own, 1);
	s->phrase = read_bytes(&own, 1);
	for (size_t i = 0; s->operation->kinds[i]; i++) {
		switch (s->operation->kinds[i]) {
		case '4': s->v[i].number = read_u32(&own); break;
		case '8': s->v[i].number = read_u64(&own); break;
		case 't': s->v[i].text = read_bytes(&own, 1); break;
		case 'b': s->v[i].text = read_bytes(&own, 0); break;
		case 'T': s->v[i].list = read_list(&own, true); break;
		case 'N': s->v[i].list = read_list(&own, false); break;
		default: {
			uint32_t number = read_u32(&own);
			if (number == NO_REGISTER && s->operation->kinds[i] == '?')
				s->v[i].fd = -1;
			else if (number < registers)
				s->v[i].fd = (int)number;
			else
				own.bad = true;
		}
		}
	}
	if (own.at != own.end)
		own.bad = true;
	r->bad |= own.bad;
	r->at = own.end;
}

struct bytes next_text(struct list *list)
{
	struct reader r = {list->at, list->at + FRAME_LIMIT, false};
	struct bytes text = read_bytes(&r, 1);
	list->at = r.at;
	list->count--;
	return text;
}

uint32_t next_number(struct list *list)
{
	struct reader r = {list->at, list->at + 4, false};
	uint32_t number = read_u32(&r);
	list->at = r.at;
	list->count--;
	return number;
}

char **text_vector(struct list list, size_t spare)
{
	char **all = calloc(list.count + spare + 1, sizeof *all);
	for (size_t i = 0; all && list.count > 0; i++)
		all[i] = (char *)(uintptr_t)next_text(&list).at;
	return all;
}

void plan_next(const struct plan *plan, const uint8_t **cursor, struct step *s)
{
	struct reader r = {*cursor, plan->at + plan->bytes, false};
	read_step(&r, plan->registers, s);
	*cursor = r.at;
}

/* What the walk over a stage has seen so far. */
struct walk {
	bool live[REGISTER_LIMIT];
	uint32_t seen; /* RULE_* of the steps so far */
};

static int refuse(struct failure *f, uint32_t stage, uint32_t step, const char *format, ...)
{
	va_list list;
	*f = (struct failure){.stage = STAGE_CHECK, .step = step, .error = EINVAL, .status = stage};
	va_start(list, format);
	vsnprintf(f->detail, sizeof f->detail, format, list);
	va_end(list);
	return -EINVAL;
}

static const char *check_registers(const struct step *s, bool live[REGISTER_LIMIT])
{
	const char *kinds = s->operation->kinds;
	for (size_t i = 0; kinds[i]; i++) {
		int number = s->v[i].fd;
		if (!strchr("f?-+", kinds[i]) || number < 0)
			continue;
		if (kinds[i] == '+' ? live[number] : !live[number])
			return kinds[i] == '+' ? "fills a descriptor that is in use" : "uses a descriptor that is not open";
	}
	for (size_t i = 0; kinds[i]; i++)
		if (kinds[i] == '+' || kinds[i] == '-') {
			if (kinds[i] == '+' && live[s->v[i].fd])
				return "fills a descriptor twice";
			live[s->v[i].fd] = kinds[i] == '+';
		}
	return NULL;
}

/* Of a step that empties every register but those that it names. */
static void empty_others(const struct step *s, bool live[REGISTER_LIMIT])
{
	bool named[REGISTER_LIMIT] = {false};
	for (size_t i = 0; s->operation->kinds[i]; i++)
		if (strchr("f?-+", s->operation->kinds[i]) && s->v[i].fd >= 0)
			named[s->v[i].fd] = true;
	for (size_t i = 0; i < REGISTER_LIMIT; i++)
		live[i] &= named[i];
}

static const char *check_order(const struct step *s, uint32_t seen, bool last)
{
	uint32_t rules = s->operation->rules;
	if ((rules & RULE_IN_ROOT) && (seen & RULE_PIVOT))
		return "works in the root after pivot";
	if ((seen & RULE_SECCOMP) && !(rules & RULE_CONFINED))
		return "stands after load-seccomp";
	if ((seen & RULE_CLOSE) && strchr(s->operation->kinds, '+'))
		return "opens a descriptor after close-descriptors";
	if ((rules & RULE_CLONE) && (seen & RULE_CLONE))
		return "stands twice";
	if ((rules & RULE_WITH_CHILD) && !(seen & RULE_CLONE))
		return "needs a child before there is one";
	if ((rules & RULE_LAST) && !last)
		return "is not the last of its stage";
	if ((s->operation->run == op_exec || s->operation->run == op_become_pause) && !(seen & RULE_CLOSE))
		return "comes without close-descriptors";
	return NULL;
}

/* Walks one stage; at clone the live registers are kept in `at_clone`. */
static int check_stage(const struct plan *plan, const struct stage *stage, uint32_t number, uint32_t bit,
                       struct walk *walk, bool at_clone[REGISTER_LIMIT], struct failure *f)
{
	struct reader r = {stage->at, stage->at + stage->bytes, false};
	struct step s = {0};
	for (uint32_t i = 0; i < stage->steps; i++) {
		const char *wrong = NULL;
		read_step(&r, plan->registers, &s);
		if (r.bad)
			return refuse(f, number, i, "malformed step");
		if (!(s.operation->stages & bit))
			return refuse(f, number, i, "%s may not stand in this stage", s.operation->name);
		wrong = check_order(&s, walk->seen, i + 1 == stage->steps);
		if (!wrong)
			wrong = check_registers(&s, walk->live);
		if (wrong)
			return refuse(f, number, i, "%s %s", s.operation->name, wrong);
		walk->seen |= s.operation->rules;
		if (s.operation->rules & RULE_EMPTIES)
			empty_others(&s, walk->live);
		if (s.operation->rules & RULE_CLONE)
			memcpy(at_clone, walk->live, sizeof walk->live);
	}
	if (r.at != r.end)
		return refuse(f, number, stage->steps, "bytes after the last step");
	return 0;
}

static int read_header(const uint8_t *at, size_t bytes, struct plan *plan, struct failure *f)
{
	struct reader r = {at, at + bytes, false};
	struct stage *stages[] = {&plan->host, &plan->child, &plan->cleanup, &plan->layer};
	uint32_t offsets[countof(stages) + 1];

	if (bytes < HEADER_BYTES || bytes > FRAME_LIMIT || read_u32(&r) != MAGIC)
		return refuse(f, 0, 0, "not a plan");
	uint32_t version = read_u32(&r);
	if (version != PLAN_VERSION)
		return refuse(f, 0, 0, "plan version %u, this executor runs %d", version, PLAN_VERSION);
	plan->at = at;
	plan->bytes = read_u32(&r);
	plan->registers = read_u32(&r);
	if (plan->bytes != bytes || plan->registers > REGISTER_LIMIT)
		return refuse(f, 0, 0, "wrong length or register count");
	for (size_t i = 0; i < countof(stages); i++) {
		offsets[i] = read_u32(&r);
		stages[i]->steps = read_u32(&r);
	}
	offsets[countof(stages)] = (uint32_t)bytes;
	if (offsets[0] != HEADER_BYTES)
		return refuse(f, 0, 0, "stages do not follow the header");
	for (size_t i = 0; i < countof(stages); i++) {
		if (offsets[i] > offsets[i + 1] || offsets[i + 1] > bytes)
			return refuse(f, 0, 0, "stages overlap");
		stages[i]->at = at + offsets[i];
		stages[i]->bytes = offsets[i + 1] - offsets[i];
	}
	return 0;
}

/* Whether the plan makes its child itself: only then is there a child stage. */
static bool has_clone(const struct plan *plan)
{
	const uint8_t *cursor = plan->host.at;
	struct step s;
	for (uint32_t i = 0; i < plan->host.steps; i++) {
		plan_next(plan, &cursor, &s);
		if (s.operation->run == op_clone)
			return true;
	}
	return false;
}

int plan_check(const uint8_t *at, size_t bytes, struct plan *plan, struct failure *f)
{
	struct walk host = {0}, child = {0}, cleanup = {0};
	int r = read_header(at, bytes, plan, f);
	if (r < 0)
		return r;
	if (plan->layer.steps)
		return refuse(f, STAGE_LAYER, 0, "a layer stage outside of a layer session");
	r = check_stage(plan, &plan->host, STAGE_HOST, IN_HOST, &host, child.live, f);
	bool clones = r == 0 && (host.seen & RULE_CLONE) && has_clone(plan);
	if (r == 0 && plan->child.steps && !clones)
		return refuse(f, STAGE_CHILD, 0, "a child stage without clone");
	if (r == 0)
		r = check_stage(plan, &plan->child, STAGE_CHILD, IN_CHILD, &child, host.live, f);
	if (r == 0 && clones && !(child.seen & RULE_LAST))
		return refuse(f, STAGE_CHILD, plan->child.steps, "the child stage does not end in exec");
	if (r == 0)
		r = check_stage(plan, &plan->cleanup, STAGE_CLEANUP, IN_CLEANUP, &cleanup, host.live, f);
	if (r == 0 && (host.seen & RULE_CLONE)) {
		const uint8_t *cursor = plan->cleanup.at;
		struct step first = {.operation = NULL};
		if (plan->cleanup.steps)
			plan_next(plan, &cursor, &first);
		if (!first.operation || first.operation->run != op_kill_child)
			return refuse(f, STAGE_CLEANUP, 0, "a plan with a child whose clean-up does not begin with kill-child");
	}
	return r;
}

int plan_check_layer(const uint8_t *at, size_t bytes, bool live[REGISTER_LIMIT], struct plan *plan, struct failure *f)
{
	struct walk walk = {0};
	bool unused[REGISTER_LIMIT];
	int r = read_header(at, bytes, plan, f);
	if (r < 0)
		return r;
	if (plan->host.steps || plan->child.steps || plan->cleanup.steps)
		return refuse(f, STAGE_LAYER, 0, "a layer session takes layer stages only");
	memcpy(walk.live, live, sizeof walk.live);
	r = check_stage(plan, &plan->layer, STAGE_LAYER, IN_LAYER, &walk, unused, f);
	if (r == 0)
		memcpy(live, walk.live, sizeof walk.live);
	return r;
}
