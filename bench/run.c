/*
 * Run
 *
 * All sides of a row exist during the whole row, asleep but for one; those that
 * are apart, for whose memory there is no room beside the others', come after the
 * others have ended. A side that has used up its time (a pool that needs ten seconds
 * to notice a death) rests for the remaining rounds; how many it took part in is
 * reported.
 */
#include "bench/run.h"

#include <stdio.h>
#include <string.h>

#include "bench/module.h"
#include "bench/side.h"
#include "core/time.h"

#define TIME_OF_A_SIDE_NS CAROM_SECONDS(20)
#define SETTLE_NS         CAROM_MILLISECONDS(500)
#define GIVE_UP_NS        CAROM_SECONDS(30)

/* In a quick run: enough to see that it works. */
#define QUICK_GIVE_UP_NS   CAROM_MILLISECONDS(300)
#define QUICK_WORKER_COUNT 8
#define QUICK_TASK_COUNT   10000
#define QUICK_CHILD_COUNT  20
#define QUICK_HELD_BYTES   CAROM_MIB(8)
#define QUICK_PARENT_BYTES CAROM_MIB(32)

#define SMALL_PARENT_BYTES CAROM_MIB(10)
#define BYTES_OF_A_CHILD   CAROM_KIB(256)

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void plan_job(const struct bench_plan *plan, struct bench_row *row)
{
	const struct bench_workload *workload = &bench_workloads[row->workload_id];
	bool is_free = row->placement_id == BENCH_FREE;

	row->job = (struct bench_job){
		.workload_id = row->workload_id,
		.workload = workload,
		.caller_cpu = is_free ? -1 : plan->cpus[0],
		.worker_cpu = is_free                              ? -1
			      : row->placement_id == BENCH_ONE_CPU ? plan->cpus[0]
								   : plan->cpus[1],
		.warm_ns = workload->cold ? 0 : plan->warm_ns,
		.sample_ns = plan->sample_ns,
		.give_up_ns = GIVE_UP_NS,
		.worker_count = workload->worker_count,
		.task_count = workload->task_count,
		.child_count = workload->child_count,
		.held_bytes = workload->held_bytes,
		.parent_bytes = workload->parent_bytes,
		.parent_thread_count = workload->parent_thread_count,
	};
	if (plan->is_quick) {
		row->job.give_up_ns = QUICK_GIVE_UP_NS;
		row->job.worker_count = least(workload->worker_count, QUICK_WORKER_COUNT);
		row->job.task_count = least(workload->task_count, QUICK_TASK_COUNT);
		if (workload->quick_task_count)
			row->job.task_count = workload->quick_task_count;
		row->job.child_count = least(workload->child_count, QUICK_CHILD_COUNT);
		row->job.held_bytes = least(workload->held_bytes, QUICK_HELD_BYTES);
		row->job.parent_bytes = least(workload->parent_bytes, QUICK_PARENT_BYTES);
	}
}

/* Why the row cannot be done on this machine, or an empty message. */
static void find_obstacle(const struct bench_plan *plan, struct bench_row *row)
{
	uint64_t needed = 2 * (row->job.held_bytes + row->job.parent_bytes +
			       row->job.child_count * BYTES_OF_A_CHILD);
	uint64_t available = bench_available_bytes();

	if (row->placement_id == BENCH_TWO_CPUS && plan->cpus[1] < 0)
		snprintf(row->skipped, sizeof(row->skipped), "only one CPU is allowed here");
	else if (available && available < needed)
		snprintf(row->skipped, sizeof(row->skipped),
			 "needs %.1f GiB of available memory, there are %.1f",
			 (double)needed / (double)CAROM_GIB(1),
			 (double)available / (double)CAROM_GIB(1));
}

static void fail_line(struct bench_line *line, const struct bench_side *side)
{
	line->state = BENCH_FAILED;
	snprintf(line->message, sizeof(line->message), "%s",
		 side->sample ? side->sample->message : "no memory");
}

/* A side with a job of its own: what it is told of patience is the peer's. */
struct seat {
	struct bench_line *line;
	struct bench_job job;
	struct bench_side side;
};

static void take_seat(struct seat *seat, const struct bench_row *row, struct bench_line *line,
		      const struct bench_act *act)
{
	seat->line = line;
	seat->job = row->job;
	seat->job.module = line->peer->module;
	if (act->is_small) {
		seat->job.parent_bytes = least(row->job.parent_bytes, SMALL_PARENT_BYTES);
		seat->job.parent_thread_count = 0;
	}
	if (line->peer->patience_ns)
		seat->job.give_up_ns = least(row->job.give_up_ns, line->peer->patience_ns);
	if (bench_side_start(&seat->side, line->peer, act, &seat->job) < 0)
		fail_line(line, &seat->side);
}

static size_t seat_all(const struct bench_plan *plan, struct bench_row *row, bool is_apart,
		       struct seat *seats)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->peer_count; i++) {
		const struct bench_act *act = bench_peer_act(plan->peers[i], row->workload_id);
		struct bench_line *line = &row->lines[row->line_count];

		if (!act || act->is_apart != is_apart)
			continue;
		row->line_count++;
		line->peer = plan->peers[i];
		if (plan->missing[i]) {
			line->state = BENCH_MISSING;
			snprintf(line->message, sizeof(line->message), "%s", plan->missing[i]);
			continue;
		}
		take_seat(&seats[count++], row, line, act);
	}
	return count;
}

static double each(uint64_t before, uint64_t after, uint64_t task_count)
{
	return task_count ? (double)(after - before) / (double)task_count : 0;
}

static void add_round(struct bench_line *line, struct bench_sample *sample,
		      const struct bench_usage *before, const struct bench_usage *after)
{
	struct bench_round *round = &line->rounds[line->round_count++];
	uint64_t task_count = sample->task_count + sample->warm_task_count;

	bench_sample_summarize(sample, &round->summary);
	round->switches_per_task = each(before->switches, after->switches, task_count);
	round->cpu_ns_per_task = each(before->cpu_ns, after->cpu_ns, task_count);
}

/* What ended took its figures along: then the sums before and after say nothing. */
static bool lives_through(enum bench_workload_id id)
{
	return id < BENCH_DEATH;
}

static void measure(struct seat *seat)
{
	struct bench_line *line = seat->line;
	struct bench_usage before = { 0 };
	struct bench_usage after = { 0 };
	uint64_t begin = carom_now();

	if (lives_through(seat->job.workload_id))
		bench_session_usage(seat->side.pid, &before);
	if (bench_side_measure(&seat->side) < 0) {
		fail_line(line, &seat->side);
		return;
	}
	if (lives_through(seat->job.workload_id))
		bench_session_usage(seat->side.pid, &after);
	line->spent_ns += carom_now() - begin;
	if (seat->side.sample->gave_up_ns) {
		line->state = BENCH_GAVE_UP;
		line->gave_up_ns = seat->side.sample->gave_up_ns;
		return;
	}
	add_round(line, seat->side.sample, &before, &after);
}

static void play_rounds(const struct bench_plan *plan, struct bench_row *row, struct seat *seats,
			size_t seat_count,
			void (*progress)(const struct bench_row *row, size_t round))
{
	for (size_t round = 0; round < plan->round_count; round++) {
		if (progress)
			progress(row, round);
		row->line_ns[round] = bench_line_round_trip(plan->cpus[0], plan->cpus[1]);
		row->round_count = round + 1;
		for (size_t i = 0; i < seat_count; i++) {
			struct seat *seat = &seats[(round + i) % seat_count];

			if (seat->line->state == BENCH_MEASURED &&
			    seat->line->spent_ns < TIME_OF_A_SIDE_NS)
				measure(seat);
		}
	}
}

/*
 * System calls are counted in sides of their own, after the others: while they
 * are, every system call of the machine takes longer.
 */
static void count_syscalls(const struct bench_row *row, struct bench_line *line)
{
	const struct bench_act *act = bench_peer_act(line->peer, row->workload_id);
	struct bench_job job = row->job;
	struct bench_side side;
	const struct bench_sample *sample;

	job.counts_syscalls = true;
	job.module = line->peer->module;
	if (bench_side_start(&side, line->peer, act, &job) == 0 && bench_side_measure(&side) == 0) {
		sample = side.sample;
		line->syscalls_per_task = each(0, sample->syscall_count,
					       sample->task_count + sample->warm_task_count);
		line->has_syscalls = true;
	} else if (side.sample) {
		snprintf(line->message, sizeof(line->message), "system calls not counted: %.80s",
			 side.sample->message);
	}
	bench_side_end(&side);
}

static void count_all_syscalls(struct bench_row *row)
{
	for (size_t i = 0; i < row->line_count; i++)
		if (row->lines[i].state == BENCH_MEASURED)
			count_syscalls(row, &row->lines[i]);
}

static void take_usage(struct seat *seats, size_t seat_count, struct bench_usage *usages)
{
	for (size_t i = 0; i < seat_count; i++)
		bench_session_usage(seats[i].side.pid, &usages[i]);
}

/* All sides at once: whoever is idle is not in the others' way. */
static void watch_idle(const struct bench_plan *plan, struct bench_row *row, struct seat *seats,
		       size_t seat_count)
{
	struct bench_usage before[BENCH_PEERS_MAX];
	struct bench_usage after[BENCH_PEERS_MAX];

	bench_let_pass(least(SETTLE_NS, plan->idle_ns));
	take_usage(seats, seat_count, before);
	bench_let_pass(plan->idle_ns);
	take_usage(seats, seat_count, after);
	row->idle_ns = plan->idle_ns;
	for (size_t i = 0; i < seat_count; i++) {
		struct bench_usage *idle = &seats[i].line->idle;

		idle->switches = after[i].switches - before[i].switches;
		idle->cpu_ns = after[i].cpu_ns - before[i].cpu_ns;
		idle->process_count = after[i].process_count;
		seats[i].line->pss_bytes = bench_session_pss(seats[i].side.pid);
		if (seats[i].line->state == BENCH_MEASURED)
			seats[i].line->round_count = 1;
	}
}

/* The sides that are apart, or the others: from their start to their end. */
static void play(const struct bench_plan *plan, struct bench_row *row, bool is_apart,
		 void (*progress)(const struct bench_row *row, size_t round))
{
	struct seat seats[BENCH_PEERS_MAX];
	size_t seat_count = seat_all(plan, row, is_apart, seats);

	if (seat_count == 0)
		return;
	if (bench_workloads[row->workload_id].is_idle)
		watch_idle(plan, row, seats, seat_count);
	else
		play_rounds(plan, row, seats, seat_count, progress);
	row->load = bench_load();
	for (size_t i = 0; i < seat_count; i++)
		bench_side_end(&seats[i].side);
}

void bench_run(const struct bench_plan *plan, enum bench_workload_id workload_id,
	       enum bench_placement_id placement_id, struct bench_row *ret_row,
	       void (*progress)(const struct bench_row *row, size_t round))
{
	memset(ret_row, 0, sizeof(*ret_row));
	ret_row->workload_id = workload_id;
	ret_row->placement_id = placement_id;
	plan_job(plan, ret_row);
	find_obstacle(plan, ret_row);
	if (ret_row->skipped[0])
		return;
	play(plan, ret_row, false, progress);
	play(plan, ret_row, true, progress);
	if (plan->counts_syscalls && lives_through(workload_id))
		count_all_syscalls(ret_row);
}

const char *bench_peer_missing(const struct bench_peer *peer)
{
	if (peer->module && !bench_module_is_there(peer->module))
		return peer->without;
	return peer->missing ? peer->missing() : NULL;
}

static const struct bench_act *act_of(const struct bench_act *acts, enum bench_workload_id id)
{
	for (const struct bench_act *act = acts; act->setup; act++)
		if (act->workload_id == id)
			return act;
	return NULL;
}

const struct bench_act *bench_peer_act(const struct bench_peer *peer, enum bench_workload_id id)
{
	const struct bench_act *act = act_of(peer->acts, id);

	for (size_t i = 0; !act && i < BENCH_ACT_LISTS_MAX && peer->more_acts[i]; i++)
		act = act_of(peer->more_acts[i], id);
	return act;
}

const struct bench_line *bench_line_of(const struct bench_row *row, const char *peer)
{
	for (size_t i = 0; i < row->line_count; i++)
		if (strcmp(row->lines[i].peer->name, peer) == 0 && row->lines[i].round_count > 0)
			return &row->lines[i];
	return NULL;
}

/*
 * The median over a line's rounds of the double at @offset in a round. A round
 * with too few values for a quantile has 0 there and no say; where that is most
 * rounds, the others do not speak for all.
 */
static double median_of(const struct bench_line *line, size_t offset, bool is_quantile)
{
	double values[BENCH_ROUNDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < line->round_count; i++) {
		memcpy(&values[count], (const char *)&line->rounds[i] + offset, sizeof(double));
		if (!is_quantile || values[count] > 0)
			count++;
	}
	return 2 * count < line->round_count ? 0 : bench_median(values, count);
}

void bench_line_figures(const struct bench_line *line, struct bench_round *ret_figures)
{
#define MEDIAN_OF(field, is_quantile) \
	median_of(line, offsetof(struct bench_round, field), is_quantile)
	*ret_figures = (struct bench_round){
		.summary.median = MEDIAN_OF(summary.median, false),
		.summary.p99 = MEDIAN_OF(summary.p99, true),
		.summary.p999 = MEDIAN_OF(summary.p999, true),
		.summary.max = MEDIAN_OF(summary.max, false),
		.summary.per_second = MEDIAN_OF(summary.per_second, false),
		.switches_per_task = MEDIAN_OF(switches_per_task, false),
		.cpu_ns_per_task = MEDIAN_OF(cpu_ns_per_task, false),
	};
#undef MEDIAN_OF
}

void bench_line_ratio(const struct bench_line *line, const struct bench_line *other,
		      struct bench_ratio *ret_ratio)
{
	size_t pair_count = least(line->round_count, other->round_count);
	struct bench_round ours;
	struct bench_round theirs;

	bench_line_figures(line, &ours);
	bench_line_figures(other, &theirs);
	*ret_ratio = (struct bench_ratio){ .median = ours.summary.median / theirs.summary.median };
	for (size_t i = 0; i < pair_count; i++) {
		double ratio = line->rounds[i].summary.median / other->rounds[i].summary.median;

		if (i == 0 || ratio < ret_ratio->min)
			ret_ratio->min = ratio;
		if (i == 0 || ratio > ret_ratio->max)
			ret_ratio->max = ratio;
	}
}
