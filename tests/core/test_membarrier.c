/* A memory barrier that one side pays for: store and look, on both sides, many times. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/membarrier.h"
#include "tests/core/apart.h"

#define ROUNDS 20000

struct duel {
	_Alignas(64) _Atomic uint32_t round;
	_Alignas(64) _Atomic uint32_t often;
	_Alignas(64) _Atomic uint32_t rarely;
	_Alignas(64) _Atomic uint32_t done;
	bool often_saw;
};

/* the side that does not pay; no barrier but the compiler's between store and load */
static void be_often(struct duel *duel)
{
	if (carom_membarrier_join() < 0)
		_exit(1);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		while (atomic_load(&duel->round) != round)
			sched_yield();
		atomic_store_explicit(&duel->often, round, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
		duel->often_saw =
			atomic_load_explicit(&duel->rarely, memory_order_relaxed) == round;
		atomic_store(&duel->done, round);
	}
	_exit(0);
}

static struct duel *share_duel(void)
{
	void *shared = mmap(NULL, sizeof(struct duel), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, shared, MAP_FAILED));
	return shared;
}

Test(membarrier, one_of_two_sees_the_other, .timeout = 60)
{
	struct duel *duel = share_duel();
	uint32_t missed = 0;
	int status;
	pid_t pid, test = getpid();

	if (!carom_membarrier_is_possible())
		cr_skip_test("membarrier(2) is not to be had");
	pid = fork();
	if (pid == 0) {
		end_with(test);
		be_often(duel);
	}
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		bool rarely_saw;

		atomic_store(&duel->round, round);
		atomic_store(&duel->rarely, round);
		cr_assert(zero(int, carom_membarrier_all()));
		rarely_saw = atomic_load(&duel->often) == round;
		while (atomic_load(&duel->done) != round)
			sched_yield();
		missed += !rarely_saw && !duel->often_saw;
	}
	waitpid(pid, &status, 0);
	cr_expect(zero(int, status));
	cr_expect(zero(u32, missed));
}
