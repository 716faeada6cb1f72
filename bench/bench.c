/*
 * carom-peers
 *
 * Runs carom and its peers on the same work, taking turns in one run, and tells
 * what each took, by how much they differ, and which bars carom clears.
 *
 * The program itself does nothing while a side measures. It makes no decision on
 * what it sees: a bar that is missed is a line in the report, not an exit status.
 * What ends with a failure is a side that did not do its work.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/report.h"
#include "bench/run.h"
#include "core/cleanup.h"
#include "core/process.h"
#include "core/time.h"

#define ROWS_MAX   (BENCH_WORKLOAD_COUNT * BENCH_PLACEMENT_COUNT)
#define CHOICE_MAX 128

static const struct bench_peer *const all_peers[] = {
	&bench_peer_carom,
	&bench_peer_carom_parked,
	&bench_peer_carom_open,
	&bench_peer_carom_isolated,
	&bench_peer_carom_sandboxed,
	&bench_peer_carom_copy,
	&bench_peer_carom_small,
	&bench_peer_memcpy,
	&bench_peer_futex,
	&bench_peer_pipe,
	&bench_peer_libuv,
	&bench_peer_multiprocessing,
	&bench_peer_billiard,
	&bench_peer_pidfd,
	&bench_peer_fork,
	&bench_peer_clone3,
	&bench_peer_posix_spawn,
	&bench_peer_carom_mutex,
	&bench_peer_carom_rlock,
	&bench_peer_pthread,
	&bench_peer_pthread_robust,
	&bench_peer_semaphore,
	&bench_peer_socketpair,
	&bench_peer_boost,
	&bench_peer_interprocess,
	&bench_peer_mq,
	&bench_peer_zeromq,
	&bench_peer_nng,
	&bench_peer_iceoryx,
	&bench_peer_xargs,
	&bench_peer_make,
	&bench_peer_parallel,
	&bench_peer_hyperfine,
};
#define PEER_COUNT (sizeof(all_peers) / sizeof(*all_peers))

/** struct choice - of a list, by index; nothing chosen is all */
struct choice {
	bool is_made;
	bool has[CHOICE_MAX];
};
_Static_assert(BENCH_WORKLOAD_COUNT <= CHOICE_MAX && PEER_COUNT <= BENCH_PEERS_MAX, "all fit");

/* What the command line asks for. */
struct request {
	struct bench_plan plan;
	struct choice workloads;
	struct choice placements;
	struct choice peers;
	const char *json_path;
	const char *markdown_path;
	const char *plot_path;
};

static const char usage[] =
	"Usage: carom-peers [OPTION]... [WORKLOAD]...\n"
	"Run carom and its peers on the same work and compare them.\n"
	"\n"
	"  -l, --list                show workloads, placements and peers\n"
	"  -p, --peer NAME,...       only these peers (default: all that are installed)\n"
	"  -P, --placement NAME,...  only these placements\n"
	"  -r, --rounds N            rounds of each row (default 9)\n"
	"  -s, --sample MS           time of one side in one round (default 100)\n"
	"  -c, --cpus CALLER,WORKER  CPUs of the placements (default: the first two allowed)\n"
	"  -q, --quick               see that everything works; the figures mean nothing\n"
	"      --syscalls            count them too, in one more sample (root, tracefs)\n"
	"      --json FILE           write everything as JSON\n"
	"      --markdown FILE       write the tables as Markdown\n"
	"      --plot FILE.svg       draw the medians, where gnuplot is installed\n"
	"  -h, --help                show this\n";

static const char *workload_name(size_t index)
{
	return index < BENCH_WORKLOAD_COUNT ? bench_workloads[index].name : NULL;
}

static const char *placement_name(size_t index)
{
	return index < BENCH_PLACEMENT_COUNT ? bench_placement_names[index] : NULL;
}

static const char *peer_name(size_t index)
{
	return index < PEER_COUNT ? all_peers[index]->name : NULL;
}

static bool is_chosen(const struct choice *choice, size_t index)
{
	return !choice->is_made || choice->has[index];
}

/* Adds the one called @name. Return: 0, -EINVAL (after saying so). */
static int choose(const char *name, const char *(*name_of)(size_t index), struct choice *choice)
{
	for (size_t i = 0; name_of(i); i++)
		if (strcmp(name_of(i), name) == 0) {
			choice->is_made = choice->has[i] = true;
			return 0;
		}
	fprintf(stderr, "carom-peers: there is no \"%s\"; see --list\n", name);
	return -EINVAL;
}

static int choose_all(char *names, const char *(*name_of)(size_t index), struct choice *choice)
{
	char *rest = NULL;

	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		if (choose(name, name_of, choice) < 0)
			return -EINVAL;
	return 0;
}

static void list(void)
{
	puts("workloads:");
	for (size_t i = 0; i < BENCH_WORKLOAD_COUNT; i++)
		printf("  %-20s %s\n", bench_workloads[i].name, bench_workloads[i].title);
	puts("placements:\n"
	     "  one-cpu              caller and workers on one CPU\n"
	     "  two-cpus             the caller on one, all workers on another\n"
	     "  free                 wherever the kernel puts them");
	puts("peers:");
	for (size_t i = 0; i < PEER_COUNT; i++) {
		const char *reason = bench_peer_missing(all_peers[i]);

		printf("  %-20s %s%s%s\n", all_peers[i]->name, all_peers[i]->summary,
		       reason ? "; skipped: " : "", reason ? reason : "");
	}
}

static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || number < min || number > max) {
		fprintf(stderr,
			"carom-peers: \"%s\" is not a number from %" PRIu64 " to %" PRIu64 "\n",
			text, min, max);
		return -EINVAL;
	}
	*ret_number = number;
	return 0;
}

static int parse_cpus(const char *text, int *cpus)
{
	if (sscanf(text, "%d,%d", &cpus[0], &cpus[1]) == 2 && cpus[0] >= 0 && cpus[1] >= 0 &&
	    cpus[0] < 1024 && cpus[1] < 1024)
		return 0;
	fprintf(stderr, "carom-peers: \"%s\" does not name two CPUs, as 0,1 does\n", text);
	return -EINVAL;
}

static void make_quick(struct bench_plan *plan)
{
	plan->is_quick = true;
	plan->round_count = 2;
	plan->sample_ns = CAROM_MILLISECONDS(5);
	plan->warm_ns = 0;
	plan->idle_ns = CAROM_MILLISECONDS(300);
}

enum long_option { OPTION_SYSCALLS = 256, OPTION_JSON, OPTION_MARKDOWN, OPTION_PLOT };

static const struct option options[] = {
	{ "list", no_argument, NULL, 'l' },
	{ "peer", required_argument, NULL, 'p' },
	{ "placement", required_argument, NULL, 'P' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "sample", required_argument, NULL, 's' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "quick", no_argument, NULL, 'q' },
	{ "syscalls", no_argument, NULL, OPTION_SYSCALLS },
	{ "json", required_argument, NULL, OPTION_JSON },
	{ "markdown", required_argument, NULL, OPTION_MARKDOWN },
	{ "plot", required_argument, NULL, OPTION_PLOT },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* Return: 0, below 0 for a mistake, 1 if all that was asked for is done. */
static int take_option(struct request *request, int option, char *argument)
{
	uint64_t number = 0;
	int r = 0;

	switch (option) {
	case 'l':
		list();
		return 1;
	case 'h':
		fputs(usage, stdout);
		return 1;
	case 'p':
		return choose_all(argument, peer_name, &request->peers);
	case 'P':
		return choose_all(argument, placement_name, &request->placements);
	case 'r':
		r = parse_number(argument, 1, BENCH_ROUNDS_MAX, &number);
		request->plan.round_count = number;
		return r;
	case 's':
		r = parse_number(argument, 1, 10000, &number);
		request->plan.sample_ns = CAROM_MILLISECONDS(number);
		return r;
	case 'c':
		return parse_cpus(argument, request->plan.cpus);
	case 'q':
		make_quick(&request->plan);
		return 0;
	case OPTION_SYSCALLS:
		request->plan.counts_syscalls = true;
		return 0;
	case OPTION_JSON:
		request->json_path = argument;
		return 0;
	case OPTION_MARKDOWN:
		request->markdown_path = argument;
		return 0;
	case OPTION_PLOT:
		request->plot_path = argument;
		return 0;
	default:
		fputs("Try carom-peers --help.\n", stderr);
		return -EINVAL;
	}
}

static void begin_request(struct request *request)
{
	*request = (struct request){
		.plan.round_count = 9,
		.plan.sample_ns = CAROM_MILLISECONDS(100),
		.plan.warm_ns = CAROM_MILLISECONDS(10),
		.plan.idle_ns = CAROM_SECONDS(5),
	};
	bench_cpus(request->plan.cpus);
}

static int parse(int argc, char **argv, struct request *ret_request)
{
	int option;
	int r = 0;

	begin_request(ret_request);
	while (r == 0 && (option = getopt_long(argc, argv, "lp:P:r:s:c:qh", options, NULL)) != -1)
		r = take_option(ret_request, option, optarg);
	while (r == 0 && optind < argc)
		r = choose_all(argv[optind++], workload_name, &ret_request->workloads);
	return r;
}

static void invite_peers(struct request *request)
{
	struct bench_plan *plan = &request->plan;

	for (size_t i = 0; i < PEER_COUNT; i++) {
		if (!is_chosen(&request->peers, i))
			continue;
		plan->missing[plan->peer_count] = bench_peer_missing(all_peers[i]);
		plan->peers[plan->peer_count++] = all_peers[i];
	}
}

/* Not to be told so in every line of every row. */
static void see_if_syscalls_count(struct bench_plan *plan)
{
	int fd = plan->counts_syscalls ? bench_syscalls_open() : -1;

	if (plan->counts_syscalls && fd < 0) {
		fprintf(stderr, "carom-peers: system calls are not counted: %s\n",
			fd == -ENOENT ? "no tracefs is mounted at /sys/kernel/tracing"
				      : strerror(-fd));
		plan->counts_syscalls = false;
	}
	carom_closep(&fd);
}

/* One line that is written over and over; only where somebody watches. */
static void show_progress(const struct bench_row *row, size_t round)
{
	fprintf(stderr, "\r\033[K%s, %s: round %zu", bench_workloads[row->workload_id].name,
		bench_placement_names[row->placement_id], round + 1);
}

static void hide_progress(void)
{
	fputs("\r\033[K", stderr);
}

/* In a quick run every workload once, where nobody is in each other's way. */
static bool is_wanted(const struct request *request, size_t workload, size_t placement)
{
	unsigned int placements = bench_workloads[workload].placements;

	if (request->plan.is_quick && placements & BENCH_ON(BENCH_FREE) &&
	    is_chosen(&request->placements, BENCH_FREE))
		placements = BENCH_ON(BENCH_FREE);
	return is_chosen(&request->workloads, workload) &&
	       is_chosen(&request->placements, placement) && placements & BENCH_ON(placement);
}

static size_t run_all(const struct request *request, struct bench_row *rows,
		      enum bench_table_style style)
{
	bool is_watched = isatty(STDERR_FILENO);
	size_t count = 0;

	for (size_t i = 0; i < BENCH_WORKLOAD_COUNT; i++)
		for (size_t k = 0; k < BENCH_PLACEMENT_COUNT; k++) {
			if (!is_wanted(request, i, k))
				continue;
			bench_run(&request->plan, i, k, &rows[count],
				  is_watched ? show_progress : NULL);
			if (is_watched)
				hide_progress();
			bench_report_row(&rows[count++], style, stdout);
			fflush(stdout);
		}
	return count;
}

static int write_file(const char *path, const struct bench_plan *plan, const struct bench_row *rows,
		      size_t row_count,
		      void (*write)(const struct bench_plan *plan, const struct bench_row *rows,
				    size_t row_count, FILE *file))
{
	FILE *file = fopen(path, "we");

	if (file)
		write(plan, rows, row_count, file);
	if (!file || fclose(file) != 0) {
		fprintf(stderr, "carom-peers: %s: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

static void write_markdown(const struct bench_plan *plan, const struct bench_row *rows,
			   size_t row_count, FILE *file)
{
	fputs("# carom and its peers\n\n", file);
	bench_report_machine(plan, BENCH_MARKDOWN, file);
	if (!plan->is_quick)
		bench_report_bars(rows, row_count, BENCH_MARKDOWN, file);
	for (size_t i = 0; i < row_count; i++)
		bench_report_row(&rows[i], BENCH_MARKDOWN, file);
}

static int draw(const struct bench_row *rows, size_t row_count, const char *path)
{
	int r = bench_report_plot(rows, row_count, path);

	if (r == -ENOENT) {
		puts("\nno plot: gnuplot is not installed (package gnuplot-nox)");
		return 0;
	}
	if (r < 0)
		fprintf(stderr, "carom-peers: %s: %s\n", path, strerror(-r));
	return r;
}

static int write_files(const struct request *request, const struct bench_row *rows,
		       size_t row_count)
{
	int r = 0;

	if (request->json_path)
		r |= write_file(request->json_path, &request->plan, rows, row_count,
				bench_report_json);
	if (request->markdown_path)
		r |= write_file(request->markdown_path, &request->plan, rows, row_count,
				write_markdown);
	if (request->plot_path)
		r |= draw(rows, row_count, request->plot_path);
	return r;
}

/* A time that no clock and no scheduler gives means that something else was measured. */
static bool is_sane_round(const struct bench_summary *summary)
{
	return summary->median >= 1 && summary->median < 100e9 && summary->per_second > 0 &&
	       (summary->p99 == 0 || summary->p99 >= summary->median) &&
	       (summary->p999 == 0 || summary->p999 >= summary->p99);
}

static bool is_sane(const struct bench_row *row, const struct bench_line *line)
{
	if (line->state != BENCH_MEASURED)
		return line->state != BENCH_FAILED;
	if (bench_workloads[row->workload_id].is_idle)
		return line->idle.process_count > 0;
	if (line->round_count == 0)
		return false;
	for (size_t i = 0; i < line->round_count; i++)
		if (!is_sane_round(&line->rounds[i].summary))
			return false;
	return true;
}

static int count_failures(const struct bench_row *rows, size_t row_count)
{
	int failures = 0;

	for (size_t i = 0; i < row_count; i++)
		for (size_t k = 0; k < rows[i].line_count; k++)
			if (!is_sane(&rows[i], &rows[i].lines[k])) {
				fprintf(stderr, "carom-peers: %s, %s: %s did not do its work\n",
					bench_workloads[rows[i].workload_id].name,
					bench_placement_names[rows[i].placement_id],
					rows[i].lines[k].peer->name);
				failures++;
			}
	return failures;
}

static enum bench_table_style terminal_style(void)
{
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") ? BENCH_COLOUR : BENCH_PLAIN;
}

/* Not for sides, whose children would each have to get it and to give it back. */
static struct bench_row *new_rows(void)
{
	size_t size = ROWS_MAX * sizeof(struct bench_row);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, size, MADV_DONTFORK);
	return memory;
}

int main(int argc, char **argv)
{
	enum bench_table_style style = terminal_style();
	struct request request;
	struct bench_row *rows;
	size_t row_count;
	int r;

	bench_be_child(argc, argv);
	carom_main_hook(argc, argv);
	r = parse(argc, argv, &request);
	if (r)
		return r < 0 ? 2 : 0;
	rows = new_rows();
	if (!rows)
		return EXIT_FAILURE;
	see_if_syscalls_count(&request.plan);
	invite_peers(&request);
	bench_report_machine(&request.plan, style, stdout);
	row_count = run_all(&request, rows, style);
	if (!request.plan.is_quick)
		bench_report_bars(rows, row_count, style, stdout);
	r = write_files(&request, rows, row_count);
	if (count_failures(rows, row_count) > 0)
		r = -1;
	munmap(rows, ROWS_MAX * sizeof(*rows));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
