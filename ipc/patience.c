/*
 * Patience
 *
 * All accesses are relaxed: a guess that several threads may share. An update that
 * is lost costs one spin, or the lack of one.
 */
#include "ipc/patience.h"

#define LEVEL_MAX 8
#define PAUSE_MIN 16
#define PAUSE_MAX 4096

static uint32_t get(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* the line stays shared while nothing changes */
static void set(_Atomic uint32_t *word, uint32_t value)
{
	if (get(word) != value)
		atomic_store_explicit(word, value, memory_order_relaxed);
}

void carom_patience_init(struct carom_patience *patience, uint64_t limit_ns)
{
	patience->limit_ns = limit_ns;
	atomic_init(&patience->level, LEVEL_MAX);
	atomic_init(&patience->pause, PAUSE_MIN);
	atomic_init(&patience->left, 0);
}

bool carom_patience_may_spin(struct carom_patience *patience)
{
	uint32_t left;

	if (!patience->limit_ns)
		return false;
	if (get(&patience->level))
		return true;
	left = get(&patience->left);
	if (left)
		set(&patience->left, left - 1);
	return left == 0;
}

bool carom_patience_pays(const struct carom_patience *patience)
{
	return patience->limit_ns && get(&patience->level);
}

static void begin_pause(struct carom_patience *patience)
{
	uint32_t pause = get(&patience->pause);

	set(&patience->left, pause);
	if (pause < PAUSE_MAX)
		set(&patience->pause, pause * 2);
}

void carom_patience_learn(struct carom_patience *patience, bool good)
{
	uint32_t level = get(&patience->level);

	if (good) {
		if (level < LEVEL_MAX)
			set(&patience->level, level + 1);
		set(&patience->pause, PAUSE_MIN);
		return;
	}
	if (level)
		set(&patience->level, --level);
	if (level == 0)
		begin_pause(patience);
}
