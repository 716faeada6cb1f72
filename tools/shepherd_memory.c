/*
 * Shepherd's memory
 *
 * First what costs some ten microseconds a process: what is resident or swapped out, which
 * is never less than what belongs to it alone. Only if that is too much in sum the kernel is
 * asked to look at each page, so what processes share does not count then, neither a
 * library nor what a child has from its parent and has not written to.
 *
 * Looking takes at most a tenth of the time: after a look that took long the next one comes
 * later. What cannot be measured has nothing; as a rule it has just ended.
 */
#include "tools/shepherd_memory.h"

#include <sys/types.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/memory_usage_private.h"
#include "core/process_tree.h"
#include "core/time.h"

#define PERIOD_NS     CAROM_MILLISECONDS(10)
#define REST_PER_LOOK 9

struct sum {
	bool is_exact;
	uint64_t bytes;
};

static int measure_roughly(int proc_fd, uint64_t *ret_bytes)
{
	struct carom_memory_usage usage;
	uint64_t swapped;
	int r = carom_memory_usage_at(proc_fd, &usage, &swapped);

	if (r == 0)
		*ret_bytes = usage.current + swapped;
	return r;
}

static void add_process(pid_t pid, void *userdata)
{
	struct sum *sum = userdata;
	CAROM_CLEANUP(carom_closep) int fd = carom_memory_open(pid);
	uint64_t bytes;
	int r;

	if (fd < 0)
		return;
	r = sum->is_exact ? carom_memory_private_at(fd, &bytes) : measure_roughly(fd, &bytes);
	if (r == 0)
		sum->bytes += bytes;
}

static uint64_t measure(bool is_exact)
{
	struct sum sum = { .is_exact = is_exact };

	carom_process_tree_visit(getpid(), add_process, &sum);
	return sum.bytes;
}

void carom_shepherd_memory_init(struct carom_shepherd_memory *memory, uint64_t limit_bytes)
{
	*memory = (struct carom_shepherd_memory){
		.limit_bytes = limit_bytes,
		.due_ns = limit_bytes ? carom_now() + PERIOD_NS : 0,
	};
}

int carom_shepherd_memory_rest_ms(const struct carom_shepherd_memory *memory)
{
	uint64_t now = carom_now();

	if (!memory->limit_bytes)
		return -1;
	return now >= memory->due_ns ? 0
				     : (int)((memory->due_ns - now) / CAROM_MILLISECONDS(1)) + 1;
}

bool carom_shepherd_memory_look(struct carom_shepherd_memory *memory)
{
	uint64_t begun_ns, bytes, rest_ns;

	if (!memory->limit_bytes)
		return false;
	begun_ns = carom_now();
	if (begun_ns < memory->due_ns)
		return false;
	bytes = measure(false);
	if (bytes > memory->limit_bytes)
		bytes = measure(true);
	if (bytes > memory->peak_bytes)
		memory->peak_bytes = bytes;
	rest_ns = (carom_now() - begun_ns) * REST_PER_LOOK;
	memory->due_ns = carom_now() + (rest_ns > PERIOD_NS ? rest_ns : PERIOD_NS);
	return bytes > memory->limit_bytes;
}
