/*
 * Step: a process dies at every instruction of one operation, and the others go on.
 *
 * A victim runs the operation under ptrace(2). The first time it is taken through it
 * instruction by instruction, and its way is written down. Then, for each instruction of
 * the way, everything is set up anew, another victim is run up to there by a breakpoint,
 * and killed before it executes it; and once more for each system call in which it slept,
 * asleep. What the survivors find is looked at each time, and so it is after a run that
 * came to its end.
 *
 *	static void add(void *stage)		// the victim
 *	{
 *		struct account *account = stage;
 *
 *		carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE);
 *		account->sum++;
 *		carom_mutex_release(&account->lock);
 *	}
 *
 *	Test(mutex_step, of_an_addition, .timeout = 60)
 *	{
 *		struct account *account = share(sizeof(*account));
 *
 *		step_through(&(struct step_play){ .set_up = set_up, .act = add,
 *						  .check = check }, account);
 *	}
 *
 * To add an operation:
 * - The stage is shared memory. @set_up makes all of it new; other processes that take part
 *   are started there, and are asleep, or waited for until they are, before the victim acts:
 *   they must not run beside it, so that its way is the same each time. They are met in
 *   @check, and have deadlines, so that one who was forgotten ends and tells.
 * - What the victim has before it acts it does in @prepare (hold a lock, say). What is then
 *   to happen to others before it acts stands in @prepared.
 * - A call that is made for the first time is resolved by the linker, with thousands of
 *   instructions: step_through() has @set_up, @prepare, @act and @check run once by a victim
 *   that nobody kills, and children inherit nothing of that. So call everything once in the
 *   test's own process before.
 * - Nor does the victim ask for the time, which is not the same way twice: it has no deadline,
 *   or one that has passed.
 * - Where others are woken halfway, and run beside the victim from then on, its way is not the
 *   same each time. With @wanders it is brought to its death step by step, by the number of
 *   instructions: to every 17th one, and to each if CAROM_STEP_ALL is set.
 * - If the victim goes to sleep, @asleep is called by the test's process, and sees to it
 *   that it goes on. (It may start others who sleep behind it.)
 * - @check gets what was done to the victim, which is dead and reaped, and asserts what
 *   must hold, with step_where() in the message. `addr2line -ie PROGRAM ADDRESS` shows the
 *   place.
 *
 * Not built with a sanitizer, which makes ten instructions of one: those are not the library's.
 *
 * What a death leaves behind may be what the next operation begins with, and dies in as
 * well: step_through_by() keeps the way, and step_leave_dead() is a @set_up for that.
 *
 * An instruction that repeats itself (rep movs) is one. A system call is one: in the kernel
 * nobody is killed halfway, but asleep.
 */
#ifndef TESTS_CHAOS_STEP_H
#define TESTS_CHAOS_STEP_H

#include "tests/shm/help.h"

#include <link.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#define STEP_COUNT_MAX  20000
#define STEP_SLEEPS_MAX 8
#define STEP_STRIDE     17

/**
 * struct step_death - what was done to a victim
 * @instruction: before this one it was killed, counted from 0
 * @count:       of the whole operation
 * @address:     of the instruction, as addr2line wants it
 * @asleep:      killed in this instruction, a system call, asleep
 * @complete:    not killed: the operation was done
 */
struct step_death {
	uint32_t instruction;
	uint32_t count;
	uintptr_t address;
	bool asleep;
	bool complete;
};

/**
 * struct step_play - one operation; all but @act and @check may be NULL
 * @set_up:  the test's process, before each victim
 * @prepare: the victim, before it can be killed
 * @prepared: the test's process, when it has
 * @act:     the victim
 * @asleep:  the test's process: the victim sleeps
 * @check:   the test's process, after its death
 * @wanders: the victim's way is not the same each time
 */
struct step_play {
	void (*set_up)(void *stage);
	void (*prepare)(void *stage);
	void (*prepared)(void *stage);
	void (*act)(void *stage);
	void (*asleep)(void *stage);
	void (*check)(void *stage, const struct step_death *death);
	bool wanders;
};

/* For the message of an assertion; valid until the next call. */
static inline const char *step_where(const struct step_death *death)
{
	static char text[160];

	if (death->complete)
		return "after all of it";
	snprintf(text, sizeof(text), "killed %s instruction %u of %u, at %#lx",
		 death->asleep ? "asleep in" : "before", death->instruction, death->count,
		 (unsigned long)death->address);
	return text;
}

#if defined(__x86_64__)

/**
 * struct step_way - the instructions of an operation, in the order in which they are executed
 * @at:      addresses
 * @earlier: how often the same address stands before this one
 * @sleeps:  the system calls in which the victim slept
 */
struct step_way {
	uint32_t count;
	uint32_t sleep_count;
	uint32_t sleeps[STEP_SLEEPS_MAX];
	uintptr_t at[STEP_COUNT_MAX];
	uint32_t earlier[STEP_COUNT_MAX];
};

/**
 * struct step_run - one victim
 * @end, @top: where the operation returns to, and its stack pointer before that
 * @word: what the breakpoint at @broken has replaced
 */
struct step_run {
	const struct step_play *play;
	void *stage;
	pid_t pid;
	uintptr_t end;
	uintptr_t top;
	uintptr_t broken;
	long word;
};

enum step_stop { STEP_STOPPED, STEP_ASLEEP, STEP_GONE };

/* ---- the victim's registers and text ---- */

static inline struct user_regs_struct step_registers(const struct step_run *run)
{
	struct user_regs_struct registers;

	cr_assert(zero(long, ptrace(PTRACE_GETREGS, run->pid, NULL, &registers)));
	return registers;
}

static inline uintptr_t step_at(const struct step_run *run)
{
	return step_registers(run).rip;
}

static inline void step_break_at(struct step_run *run, uintptr_t address)
{
	errno = 0;
	run->word = ptrace(PTRACE_PEEKTEXT, run->pid, (void *)address, NULL);
	cr_assert(zero(int, errno));
	run->broken = address;
	cr_assert(zero(long, ptrace(PTRACE_POKETEXT, run->pid, (void *)address,
				    (void *)((run->word & ~0xffL) | 0xcc))));
}

/* It has run into the breakpoint, which is behind it now: take it away, and step back. */
static inline void step_mend(struct step_run *run)
{
	struct user_regs_struct registers = step_registers(run);

	cr_assert(eq(u64, registers.rip, run->broken + 1));
	registers.rip = run->broken;
	cr_assert(zero(long, ptrace(PTRACE_SETREGS, run->pid, NULL, &registers)));
	cr_assert(zero(long,
		       ptrace(PTRACE_POKETEXT, run->pid, (void *)run->broken, (void *)run->word)));
}

/* ---- waiting for it ---- */

static inline bool step_sleeps(pid_t pid)
{
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(file);
	return state == 'S';
}

/* Until it stops or ends; or sleeps, if the play knows what to do then. */
static inline enum step_stop step_await(const struct step_run *run)
{
	int status = 0;
	pid_t pid;

	for (uint32_t looks = 1;; looks++) {
		pid = waitpid(run->pid, &status, run->play->asleep ? WNOHANG : 0);
		if (pid != 0)
			break;
		if (looks % 64 == 0 && step_sleeps(run->pid))
			return STEP_ASLEEP;
		sched_yield();
	}
	cr_assert(eq(int, pid, run->pid));
	if (!WIFSTOPPED(status))
		return STEP_GONE;
	cr_assert(eq(int, WSTOPSIG(status), SIGTRAP), "at %#lx", (unsigned long)step_at(run));
	return STEP_STOPPED;
}

/* @request: PTRACE_SINGLESTEP, or PTRACE_CONT to the breakpoint. Return: how often it slept. */
static inline uint32_t step_resume(const struct step_run *run, int request)
{
	enum step_stop stop;
	uint32_t sleeps = 0;

	cr_assert(zero(long, ptrace(request, run->pid, NULL, NULL)));
	while ((stop = step_await(run)) == STEP_ASLEEP) {
		sleeps++;
		run->play->asleep(run->stage);
	}
	cr_assert(ne(int, stop, STEP_GONE), "a victim went another way");
	return sleeps;
}

static inline uint32_t step_one(const struct step_run *run)
{
	uintptr_t from = step_at(run);
	uint32_t sleeps = 0;

	do
		sleeps += step_resume(run, PTRACE_SINGLESTEP);
	while (step_at(run) == from); /* rep */
	return sleeps;
}

/* It stands before the first instruction: the return address is on top. */
static inline void step_note_end(struct step_run *run)
{
	run->top = step_registers(run).rsp;
	run->end = (uintptr_t)ptrace(PTRACE_PEEKDATA, run->pid, (void *)run->top, NULL);
}

static inline bool step_is_done(const struct step_run *run)
{
	struct user_regs_struct registers = step_registers(run);

	return registers.rip == run->end && registers.rsp > run->top;
}

/* ---- born and killed ---- */

/* A function of its own, so that what is executed of it is the operation and nothing else. */
static __attribute__((noinline)) void step_act(const struct step_play *play, void *stage)
{
	play->act(stage);
	__asm__ volatile("" ::: "memory"); /* a call, not a jump */
}

static inline void step_be_victim(const struct step_play *play, void *stage)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(errno);
	if (play->prepare)
		play->prepare(stage);
	raise(SIGSTOP);
	step_act(play, stage);
	_exit(0);
}

/* It stands before the first instruction of the operation. */
static inline struct step_run step_begin(const struct step_play *play, void *stage)
{
	struct step_run run = { .play = play, .stage = stage };
	int status = 0;

	if (play->set_up)
		play->set_up(stage);
	run.pid = child();
	if (run.pid == 0)
		step_be_victim(play, stage);
	cr_assert(eq(int, waitpid(run.pid, &status, 0), run.pid));
	if (WIFEXITED(status))
		cr_skip_test("skipped: ptrace(2) is denied: %s", strerror(WEXITSTATUS(status)));
	cr_assert(eq(int, WSTOPSIG(status), SIGSTOP));
	ptrace(PTRACE_SETOPTIONS, run.pid, NULL, (void *)PTRACE_O_EXITKILL);
	if (play->prepared)
		play->prepared(stage);
	step_break_at(&run, (uintptr_t)play->act);
	step_resume(&run, PTRACE_CONT);
	step_mend(&run);
	step_note_end(&run);
	return run;
}

static inline void step_end(const struct step_run *run, const struct step_death *death)
{
	cr_assert(eq(int, killed(run->pid), -SIGKILL));
	run->play->check(run->stage, death);
}

static inline int step_find_base(struct dl_phdr_info *info, size_t size, void *ret_base)
{
	*(uintptr_t *)ret_base = info->dlpi_addr;
	return 1; /* the first one is the program */
}

static inline struct step_death step_death_of(const struct step_run *run,
					      const struct step_way *way, uint32_t instruction)
{
	uintptr_t base = 0;

	dl_iterate_phdr(step_find_base, &base);
	return (struct step_death){ .instruction = instruction,
				    .count = way->count,
				    .address = step_at(run) - base,
				    .complete = step_is_done(run) };
}

/* ---- the way, and how to come to a place on it ---- */

static inline void step_note(struct step_way *way, uintptr_t at)
{
	cr_assert(lt(u32, way->count, STEP_COUNT_MAX), "so long an operation takes too long");
	way->at[way->count] = at;
	way->earlier[way->count] = 0;
	for (uint32_t i = 0; i < way->count; i++)
		way->earlier[way->count] += way->at[i] == at;
	way->count++;
}

/* All of the operation, once. */
static inline void step_record(const struct step_play *play, void *stage, struct step_way *way)
{
	struct step_run run = step_begin(play, stage);

	way->count = way->sleep_count = 0;
	while (!step_is_done(&run)) {
		step_note(way, step_at(&run));
		if (step_one(&run) > 0) {
			cr_assert(lt(u32, way->sleep_count, STEP_SLEEPS_MAX));
			way->sleeps[way->sleep_count++] = way->count - 1;
		}
	}
	step_end(&run, &(struct step_death){ .count = way->count, .complete = true });
}

/* From which place on the way @to is the least stops away, if a breakpoint leads to that? */
static inline uint32_t step_anchor(const struct step_way *way, uint32_t to)
{
	uint32_t best = to, least = way->earlier[to] * 2;

	for (uint32_t at = to; at > 0 && to - at < least; at--)
		if (way->earlier[at] * 2 + to - at < least) {
			best = at;
			least = way->earlier[at] * 2 + to - at;
		}
	return best;
}

static inline void step_go(struct step_run *run, const struct step_way *way, uint32_t to)
{
	uint32_t anchor = step_anchor(way, to);

	for (uint32_t pass = 0; pass <= way->earlier[anchor]; pass++) {
		if (pass > 0)
			step_one(run);
		if (step_at(run) == way->at[anchor])
			continue; /* it begins there */
		step_break_at(run, way->at[anchor]);
		step_resume(run, PTRACE_CONT);
		step_mend(run);
	}
	for (uint32_t at = anchor; at < to; at++)
		step_one(run);
	cr_assert(eq(u64, step_at(run), way->at[to]), "a victim went another way");
}

/* On a way of its own, which may be shorter. */
static inline void step_wander(struct step_run *run, uint32_t to)
{
	while (to-- > 0 && !step_is_done(run))
		step_one(run);
}

static inline struct step_run step_begin_and_go(const struct step_play *play, void *stage,
						const struct step_way *way, uint32_t to)
{
	struct step_run run = step_begin(play, stage);

	if (play->wanders)
		step_wander(&run, to);
	else
		step_go(&run, way, to);
	return run;
}

static inline void step_kill_at(const struct step_play *play, void *stage,
				const struct step_way *way, uint32_t instruction)
{
	struct step_run run = step_begin_and_go(play, stage, way, instruction);
	struct step_death death = step_death_of(&run, way, instruction);

	step_end(&run, &death);
}

static inline void step_kill_asleep(const struct step_play *play, void *stage,
				    const struct step_way *way, uint32_t instruction)
{
	struct step_run run = step_begin_and_go(play, stage, way, instruction);
	struct step_death death = step_death_of(&run, way, instruction);

	cr_assert(zero(long, ptrace(PTRACE_SINGLESTEP, run.pid, NULL, NULL)));
	death.asleep = step_await(&run) == STEP_ASLEEP;
	cr_assert(death.asleep || play->wanders);
	step_end(&run, &death);
}

/* One that has died there, for an operation whose @set_up is this; nothing is checked. */
static inline void step_leave_dead(const struct step_play *play, void *stage,
				   const struct step_way *way, uint32_t instruction)
{
	struct step_run run = step_begin_and_go(play, stage, way, instruction);

	cr_assert(eq(int, killed(run.pid), -SIGKILL));
}

/* All deaths of one play. *@way, which may be large, is how it went. */
static inline void step_through_by(const struct step_play *play, void *stage, struct step_way *way)
{
	uint32_t stride = play->wanders && !getenv("CAROM_STEP_ALL") ? STEP_STRIDE : 1, deaths = 0;
	uint64_t began = carom_now();

	step_record(play, stage, way);
	for (uint32_t i = 0; i < way->count; i += stride, deaths++)
		step_kill_at(play, stage, way, i);
	for (uint32_t i = 0; i < way->sleep_count; i++, deaths++)
		step_kill_asleep(play, stage, way, way->sleeps[i]);
	cr_expect(lt(u32, 0, deaths));
	fprintf(stderr, "# %u instructions, %u sleeps, %u deaths, in %.1f s\n", way->count,
		way->sleep_count, deaths, (double)(carom_now() - began) / CAROM_NS_PER_SEC);
}

#else

struct step_way {
	uint32_t count;
};

static inline void step_through_by(const struct step_play *play, void *stage, struct step_way *way)
{
	cr_skip_test("skipped: breakpoints are set on x86-64 only");
}

static inline void step_leave_dead(const struct step_play *play, void *stage,
				   const struct step_way *way, uint32_t instruction)
{
}

static inline void step_record(const struct step_play *play, void *stage, struct step_way *way)
{
	step_through_by(play, stage, way);
}

#endif

static inline void step_through(const struct step_play *play, void *stage)
{
	static struct step_way way;

	step_through_by(play, stage, &way);
}

#endif
