/*
 * Sandbox
 *
 * A handle is an order that is ready to be copied into the page of each child, and what the
 * first child has said that followed it: one that was made for no other purpose. Nothing in
 * it changes after carom_sandbox_new() but the count of those who hold it, so processes
 * that fork meanwhile have a usable copy.
 *
 *   N1  What is in force is what a child has put up, not what a version number promises.
 *   N2  Where there is no landlock, no path is safe: a filter without it has no call that
 *       takes one, unless `allow` names it, and then nothing stands in for landlock.
 */
#include "core/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/annex.h"
#include "core/cleanup.h"
#include "core/clone.h"
#include "core/error.h"
#include "core/log.h"
#include "core/options.h"
#include "core/pidfd.h"
#include "core/probe.h"
#include "core/sandbox_private.h"
#include "core/sandbox_program.h"
#include "core/sandbox_rules.h"
#include "core/time.h"

#define TEXT_MAX    512
#define PATHS_MAX   64
#define PATHS_BYTES 65536

/**
 * struct carom_sandbox
 * @needs_landlock: a call that nothing else keeps from files; NULL: there is none
 */
struct carom_sandbox {
	_Atomic uint32_t reference_count;
	uint64_t layers;
	const char *needs_landlock;
	int32_t landlock_abi;
	int32_t errors[CAROM_SANDBOX_LAYER_COUNT];
	struct carom_sandbox_order *order;
};

static const char *const layer_names[CAROM_SANDBOX_LAYER_COUNT] = {
	"descriptors",   "limits",        "capabilities",      "undumpable",    "no_new_privs",
	"landlock",      "seccomp",       "user namespace",    "net namespace", "mount namespace",
	"ipc namespace", "pid namespace", "undumpable parent",
};

static const char *const profile_names[] = { "none", "basic", "strict", "custom" };

const char *carom_sandbox_layer_name(enum carom_sandbox_layer layer)
{
	for (int i = 0; i < CAROM_SANDBOX_LAYER_COUNT; i++)
		if ((unsigned)layer == 1U << i)
			return layer_names[i];
	return NULL;
}

int carom_sandbox_layer_error(const struct carom_sandbox *sandbox, enum carom_sandbox_layer layer)
{
	return sandbox->layers & layer ? 0 : sandbox->errors[__builtin_ctz(layer)];
}

/* --- texts ------------------------------------------------------------- */

static void append(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
}

static void append_layer(const struct carom_sandbox *sandbox, int index, char *text, size_t size)
{
	append(text, size, "%s", layer_names[index]);
	if (1 << index == CAROM_SANDBOX_LANDLOCK)
		append(text, size, " (ABI %d)", sandbox->landlock_abi);
	if (1 << index == CAROM_SANDBOX_SECCOMP)
		append(text, size, " (%u instructions)", sandbox->order->program_length);
}

char *carom_sandbox_describe(const struct carom_sandbox *sandbox, char *text, size_t size)
{
	const char *separator = ": ";
	uint64_t missing = sandbox->order->layers & ~sandbox->layers;

	snprintf(text, size, "%s", profile_names[sandbox->order->profile]);
	for (int i = 0; i < CAROM_SANDBOX_LAYER_COUNT; i++) {
		if (!(sandbox->layers & (1U << i)))
			continue;
		append(text, size, "%s", separator);
		append_layer(sandbox, i, text, size);
		separator = ", ";
	}
	separator = "; without ";
	for (int i = 0; i < CAROM_SANDBOX_LAYER_COUNT; i++) {
		if (!(missing & (1U << i)))
			continue;
		append(text, size, "%s%s: %s", separator, layer_names[i],
		       carom_strerror(sandbox->errors[i]));
		separator = ", ";
	}
	return text;
}

/* --- what is asked for ------------------------------------------------- */

static bool is_list(const char *const *list)
{
	return list && *list;
}

static int check_options(const struct carom_sandbox_options *options, char *text, size_t size)
{
	uint64_t all = (UINT64_C(1) << CAROM_SANDBOX_LAYER_COUNT) - 1;

	if (options->profile > CAROM_SANDBOX_CUSTOM) {
		snprintf(text, size, "there is no such profile");
		return -EINVAL;
	}
	if ((options->layers | options->optional) & ~all) {
		snprintf(text, size, "there is no such layer");
		return -EINVAL;
	}
	if (options->profile == CAROM_SANDBOX_NONE &&
	    (is_list(options->allow) || is_list(options->deny) || is_list(options->read_paths) ||
	     is_list(options->write_paths) || options->layers)) {
		snprintf(text, size, "without a profile there is nothing to be in it");
		return -EINVAL;
	}
	return 0;
}

static int check_programs(const struct carom_sandbox_options *options, char *text, size_t size)
{
	const char *wrong = NULL;

	if (options->profile != CAROM_SANDBOX_BASIC)
		wrong = "a program opens its own libraries, which only \"basic\" allows";
	else if (options->layers & (CAROM_SANDBOX_PID_NAMESPACE | CAROM_SANDBOX_PARENT) ||
		 options->optional & CAROM_SANDBOX_LANDLOCK)
		wrong = "not for programs";
	if (wrong)
		snprintf(text, size, "%s", wrong);
	return wrong ? -EINVAL : 0;
}

/* the child may be somewhere else: one of them follows the other, as the child expects it */
static int pack_paths(const char *const *paths, char *all, size_t *at, uint32_t *ret_count,
		      char *text, size_t size)
{
	char whole[PATH_MAX];
	size_t length;

	for (; paths && *paths; paths++, ++*ret_count) {
		if (!realpath(*paths, whole)) {
			snprintf(text, size, "%s: %s", *paths, carom_strerror(-errno));
			return errno == ENOTDIR ? -ENOENT : -errno;
		}
		length = strlen(whole) + 1;
		if (*ret_count == PATHS_MAX || length > PATHS_BYTES - *at) {
			snprintf(text, size, "more than %d paths", PATHS_MAX);
			return -E2BIG;
		}
		memcpy(all + *at, whole, length);
		*at += length;
	}
	return 0;
}

static uint64_t or_usual(uint64_t asked, bool is_strict, uint64_t strict, uint64_t other)
{
	return asked ? asked : is_strict ? strict : other;
}

/* @needs_landlock: N2 */
static void settle_order(const struct carom_sandbox_options *options, bool executes,
			 bool needs_landlock, struct carom_sandbox_order *order)
{
	bool is_strict = options->profile == CAROM_SANDBOX_STRICT;

	order->layers = options->layers | CAROM_SANDBOX_MANDATORY;
	if (executes)
		order->layers &= ~(uint64_t)CAROM_SANDBOX_UNDUMPABLE;
	order->executes = executes;
	order->optional = options->optional;
	if (options->layers & CAROM_SANDBOX_PARENT && !needs_landlock)
		order->optional |= CAROM_SANDBOX_LANDLOCK;
	order->profile = (uint32_t)options->profile;
	order->reads_all = options->profile == CAROM_SANDBOX_BASIC && !options->read_paths;
	order->empty_root = is_strict;
	order->file_size_max_bytes = or_usual(options->file_size_max_bytes, is_strict,
					      UINT64_C(64) << 20, UINT64_C(8) << 30);
	order->descriptor_max = or_usual(options->descriptor_max, is_strict, 64, 256);
}

static int allocate(struct carom_sandbox *sandbox, const struct carom_sandbox_order *head,
		    const struct sock_filter *program, const char *paths, size_t paths_size)
{
	size_t program_size = head->program_length * sizeof(*program);
	struct carom_sandbox_order *order = malloc(sizeof(*order) + program_size + paths_size);

	if (!order)
		return -ENOMEM;
	*order = *head;
	order->size = sizeof(*order) + program_size + paths_size;
	memcpy(carom_sandbox_program(order), program, program_size);
	memcpy((char *)carom_sandbox_program(order) + program_size, paths, paths_size);
	sandbox->order = order;
	return 0;
}

static int pack(const struct carom_sandbox_options *options, bool executes,
		struct carom_sandbox *sandbox, char *paths, char *text, size_t size)
{
	struct carom_sandbox_order head = { 0 };
	struct sock_filter *program;
	size_t length, paths_size = 0;
	int r;

	sandbox->needs_landlock = carom_sandbox_needs_landlock(options->allow, options->deny);
	settle_order(options, executes, sandbox->needs_landlock != NULL, &head);
	r = pack_paths(options->read_paths, paths, &paths_size, &head.read_count, text, size);
	if (r == 0)
		r = pack_paths(options->write_paths, paths, &paths_size, &head.write_count, text,
			       size);
	if (!executes)
		carom_annexes_load_for_children(); /* once for all that will live in it: each would have to */
	if (r == 0)
		r = carom_sandbox_compile((enum carom_sandbox_profile)options->profile,
					  carom_probe(CAROM_FEATURE_LANDLOCK), executes,
					  options->allow, options->deny, &program, &length, text,
					  size);
	if (r < 0)
		return r;
	head.program_length = (uint32_t)length;
	r = allocate(sandbox, &head, program, paths, paths_size);
	free(program);
	return r;
}

/* --- the first child --------------------------------------------------- */

/*
 * child: AS-Safe calls only; the program may have threads. Others will be children of a process
 * that is not dumpable, and so not be either: /proc/self, by which users are mapped, is root's.
 */
static _Noreturn void rehearse(const struct carom_sandbox *sandbox,
			       const struct carom_sandbox_page *page)
{
	int fd = carom_sandbox_page_fd(page);
	int none[] = { -1 };

	if (sandbox->order->layers & CAROM_SANDBOX_PARENT)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	_exit(carom_sandbox_enter(fd, none, 1, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void take_report(struct carom_sandbox *sandbox, const struct carom_sandbox_report *report)
{
	sandbox->layers |= atomic_load(&report->layers);
	sandbox->landlock_abi = atomic_load(&report->landlock_abi);
	for (int i = 0; i < CAROM_SANDBOX_LAYER_COUNT; i++)
		if (atomic_load(&report->errors[i]))
			sandbox->errors[i] = atomic_load(&report->errors[i]);
}

static void append_remedy(const struct carom_sandbox *sandbox, char *text, size_t size)
{
	if (sandbox->needs_landlock)
		append(text, size, "; nothing stands in for it where \"%s\" is allowed",
		       sandbox->needs_landlock);
	else if (!sandbox->order->executes)
		append(text, size, "; CAROM_SANDBOX_PARENT can stand in for it");
}

/* the last one that failed is the one that it did not go on without */
static void say_why(const struct carom_sandbox *sandbox, int error, char *text, size_t size)
{
	uint64_t fatal = sandbox->order->layers & ~sandbox->order->optional;
	int index = -1;

	for (int i = 0; i < CAROM_SANDBOX_LAYER_COUNT; i++)
		if (sandbox->errors[i] && fatal & (1U << i))
			index = i;
	snprintf(text, size, "no %s here: %s", index < 0 ? "sandbox" : layer_names[index],
		 carom_strerror(error));
	if (index >= 0 && 1 << index == CAROM_SANDBOX_LANDLOCK)
		append_remedy(sandbox, text, size);
}

/* by its report: its status may be somebody else's by now */
static bool has_come_in(const struct carom_sandbox *sandbox, const struct carom_exit *ended)
{
	uint64_t needed = sandbox->order->layers & ~sandbox->order->optional &
			  ~(uint64_t)CAROM_SANDBOX_PARENT;
	bool is_well = ended->kind == CAROM_EXIT_TAKEN ||
		       (ended->kind == CAROM_EXIT_EXITED && ended->status == 0);

	return is_well && (sandbox->layers & needed) == needed;
}

static int judge(struct carom_sandbox *sandbox, const struct carom_sandbox_report *report,
		 const struct carom_exit *ended, char *text, size_t size)
{
	int error = atomic_load(&report->error);

	take_report(sandbox, report);
	if (error < 0) {
		say_why(sandbox, error, text, size);
		return -EOPNOTSUPP;
	}
	if (!has_come_in(sandbox, ended)) {
		snprintf(text, size, "a process does not live in it");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* In a new pid namespace; 0 or why not. */
static int be_born(uint64_t namespaces)
{
	const struct carom_clone_options options = { .namespaces = namespaces };
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	struct carom_exit ended;
	pid_t pid = carom_clone(&options, &pidfd);
	int r;

	if (pid == 0)
		_exit(EXIT_SUCCESS);
	r = pid < 0 ? pid : carom_pidfd_wait(pidfd, CAROM_NO_DEADLINE, &ended);
	if (r == 0 && (ended.kind != CAROM_EXIT_EXITED || ended.status != 0) &&
	    ended.kind != CAROM_EXIT_TAKEN)
		r = -EOPNOTSUPP;
	return r;
}

/* As root without a user namespace, which costs a process what it may do as root. */
static void find_namespaces(struct carom_sandbox_order *order)
{
	int r;

	if (!(order->layers & CAROM_SANDBOX_PID_NAMESPACE))
		return;
	order->namespaces = CLONE_NEWPID;
	r = be_born(order->namespaces);
	if (r < 0 && order->layers & CAROM_SANDBOX_USER_NAMESPACE) {
		order->namespaces |= CLONE_NEWUSER;
		r = be_born(order->namespaces);
	}
	order->namespace_error = r;
	if (r < 0)
		order->namespaces = 0;
}

/* N1 */
static int try_it(struct carom_sandbox *sandbox, char *text, size_t size)
{
	struct carom_clone_options options = { 0 };
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	struct carom_sandbox_page *page;
	struct carom_exit ended;
	pid_t pid;
	int r;

	carom_probe(CAROM_FEATURE_CLOSE_RANGE); /* not in the child */
	find_namespaces(sandbox->order);
	r = carom_sandbox_page_new(sandbox, &page);
	if (r < 0)
		return r;
	options.namespaces = sandbox->order->namespaces;
	pid = carom_clone(&options, &pidfd);
	if (pid == 0)
		rehearse(sandbox, page);
	r = pid < 0 ? pid : carom_pidfd_wait(pidfd, CAROM_NO_DEADLINE, &ended);
	if (r == 0)
		r = judge(sandbox, carom_sandbox_page_report(page), &ended, text, size);
	carom_sandbox_page_free(page);
	return r;
}

/* --- the handle -------------------------------------------------------- */

static int close_parent(struct carom_sandbox *sandbox)
{
	if (!(sandbox->order->layers & CAROM_SANDBOX_PARENT))
		return 0;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	sandbox->layers |= CAROM_SANDBOX_PARENT;
	return 0;
}

static int make(const struct carom_sandbox_options *options, bool executes,
		struct carom_sandbox *sandbox, char *text, size_t size)
{
	char *paths = malloc(PATHS_BYTES);
	int r = paths ? pack(options, executes, sandbox, paths, text, size) : -ENOMEM;

	free(paths);
	if (r == 0)
		r = try_it(sandbox, text, size);
	return r;
}

static int make_none(struct carom_sandbox *sandbox)
{
	sandbox->order = calloc(1, sizeof(*sandbox->order));
	return sandbox->order ? 0 : -ENOMEM;
}

/* @text: of a failure */
static int new_sandbox(const struct carom_sandbox_options *options, bool executes,
		       struct carom_sandbox **ret_sandbox, char *text, size_t size)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	struct carom_sandbox_options ours;
	int r = carom_options_take(options, &ours, sizeof(ours));

	text[0] = '\0';
	if (r == 0)
		r = check_options(&ours, text, size);
	if (r == 0 && executes)
		r = check_programs(&ours, text, size);
	if (r < 0)
		return r;
	sandbox = calloc(1, sizeof(*sandbox));
	if (!sandbox)
		return -ENOMEM;
	sandbox->reference_count = 1;
	r = ours.profile == CAROM_SANDBOX_NONE ? make_none(sandbox)
					       : make(&ours, executes, sandbox, text, size);
	if (r < 0)
		return r;
	*ret_sandbox = carom_take_ptr(sandbox);
	return 0;
}

/* what has no sentence of its own */
static const char *reason(const char *text, int error)
{
	return text[0] ? text : carom_strerror(error);
}

int carom_sandbox_new(const struct carom_sandbox_options *options,
		      struct carom_sandbox **ret_sandbox)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	char text[TEXT_MAX];
	int r = new_sandbox(options, false, &sandbox, text, sizeof(text));

	if (r == 0)
		r = close_parent(sandbox);
	if (r < 0) {
		carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_SANDBOX_REFUSED, "sandbox: %s",
				reason(text, r));
		return r;
	}
	carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_SANDBOX, "sandbox: %s",
			carom_sandbox_describe(sandbox, text, sizeof(text)));
	*ret_sandbox = carom_take_ptr(sandbox);
	return 0;
}

static int new_and_describe(const struct carom_sandbox_options *options, bool executes,
			    struct carom_sandbox **ret_sandbox, char *text, size_t size)
{
	char why[TEXT_MAX];
	int r = new_sandbox(options, executes, ret_sandbox, why, sizeof(why));

	if (r == 0)
		carom_sandbox_describe(*ret_sandbox, text, size);
	else
		snprintf(text, size, "%s", reason(why, r));
	return r;
}

int carom_sandbox_check(const struct carom_sandbox_options *options, char *text, size_t size)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;

	return new_and_describe(options, false, &sandbox, text, size);
}

int carom_sandbox_new_program(const struct carom_sandbox_options *options,
			      struct carom_sandbox **ret_sandbox, char *text, size_t size)
{
	return new_and_describe(options, true, ret_sandbox, text, size);
}

struct carom_sandbox *carom_sandbox_ref(struct carom_sandbox *sandbox)
{
	if (sandbox)
		atomic_fetch_add(&sandbox->reference_count, 1);
	return sandbox;
}

struct carom_sandbox *carom_sandbox_free(struct carom_sandbox *sandbox)
{
	if (!sandbox || atomic_fetch_sub(&sandbox->reference_count, 1) != 1)
		return NULL;
	free(sandbox->order);
	free(sandbox);
	return NULL;
}

void carom_sandbox_freep(struct carom_sandbox **sandbox)
{
	*sandbox = carom_sandbox_free(*sandbox);
}

uint64_t carom_sandbox_layers(const struct carom_sandbox *sandbox)
{
	return sandbox->layers;
}

const struct carom_sandbox_order *carom_sandbox_order(const struct carom_sandbox *sandbox)
{
	return sandbox->order;
}

uint64_t carom_sandbox_namespaces(const struct carom_sandbox *sandbox)
{
	return sandbox ? sandbox->order->namespaces : 0;
}

bool carom_sandbox_is_none(const struct carom_sandbox *sandbox)
{
	return !sandbox || sandbox->order->profile == CAROM_SANDBOX_NONE;
}
