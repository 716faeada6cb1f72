/* Context: which start method, and what belongs to it. */
#include <limits.h>
#include <sys/wait.h>

#include "core/clone.h"
#include "tests/core/apart.h"
#include "tests/core/births.h"
#include "tests/core/methods.h"

/* What a child by @context writes in @function. */
static void told_by(struct carom_context *context, carom_process_fn *function, char *text,
		    size_t size)
{
	struct carom_process *process;
	int ends[2];

	cr_assert(pipe(ends) == 0);
	process = START(.context = context, .function = function, .fds = &ends[1], .fd_count = 1);
	close(ends[1]);
	read_all(ends[0], text, size);
	close(ends[0]);
	cr_expect(exitcode_of(process) == 0);
	carom_process_free(process);
}

/* --- the default -------------------------------------------------------- */

static bool has_fork_server(void)
{
	return carom_clone_way() != CAROM_CLONE_BY_FORK;
}

/* CX-02 */
/* CX-06 */
Test(context, default_is_not_fixed_until_it_is_asked_for)
{
	const char *usual = has_fork_server() ? "forkserver" : "spawn";
	struct carom_context *context = NULL;

	cr_expect(carom_get_start_method(true) == NULL);
	cr_expect(strcmp(carom_get_start_method(false), usual) == 0);
	cr_expect(strcmp(carom_get_start_method(true), usual) == 0);
	cr_assert(carom_context_get(NULL, &context) == 0);
	cr_expect(strcmp(carom_context_start_method(context), usual) == 0);
	cr_expect(strcmp(carom_context_start_method(NULL), usual) == 0);
}

static void by_fork_alone(void)
{
	static const char *const names[] = { "spawn", "fork" };
	struct carom_context *context = NULL;

	for (int i = 0; i < 2; i++)
		CHECK(strcmp(carom_all_start_methods()[i], names[i]) == 0);
	CHECK(carom_all_start_methods()[2] == NULL);
	CHECK(carom_context_get("forkserver", &context) == -EOPNOTSUPP && !context);
	CHECK(carom_set_start_method("forkserver", true) == -EOPNOTSUPP);
	CHECK(strcmp(carom_get_start_method(false), "spawn") == 0);
}

/* CX-02 */
Test(context, default_is_spawn_where_no_fork_server_can_be)
{
	cr_expect(zero(int, apart_with("CAROM_CLONE", "fork", by_fork_alone)));
}

/* CX-03 */
Test(context, methods_begin_with_the_default)
{
	static const char *const names[] = { "fork", "spawn", "forkserver" };

	cr_expect(strcmp(carom_all_start_methods()[0],
			 has_fork_server() ? "forkserver" : "spawn") == 0);
	cr_expect(carom_get_start_method(true) == NULL, "looking fixes nothing");
	for (int i = 0; i < (has_fork_server() ? 3 : 2); i++) {
		const char *const *all;
		int count = 0;

		cr_assert(carom_set_start_method(names[i], true) == 0);
		all = carom_all_start_methods();
		cr_expect(strcmp(all[0], names[i]) == 0);
		while (all[count])
			count++;
		cr_expect(count == (has_fork_server() ? 3 : 2));
		for (int j = 0; j < count; j++)
			for (int k = 0; k < j; k++)
				cr_expect(strcmp(all[j], all[k]) != 0);
	}
}

/* CX-04 */
Test(context, is_found_by_the_name_of_its_method)
{
	struct carom_context *context = NULL, *again = NULL;

	cr_expect(carom_context_get("threads", &context) == -ENOENT);
	cr_expect(carom_context_get("", &context) == -ENOENT);
	cr_expect(context == NULL, "untouched");
	cr_expect(carom_get_start_method(true) == NULL, "a name fixes nothing");
	cr_assert(carom_context_get("fork", &context) == 0);
	cr_assert(carom_context_get("fork", &again) == 0);
	cr_expect(context == again);
	cr_expect(strcmp(carom_context_start_method(context), "fork") == 0);
	cr_expect(carom_get_start_method(true) == NULL);
	cr_assert(carom_context_get(NULL, &context) == 0);
	cr_expect(carom_get_start_method(true) != NULL, "the default one does");
	cr_expect(carom_set_start_method("spawn", false) == -EALREADY);
}

/* CX-05 */
Test(context, default_is_chosen_once_unless_forced)
{
	cr_expect(carom_set_start_method("threads", false) == -ENOENT);
	cr_expect(carom_set_start_method(NULL, false) == -EINVAL);
	cr_assert(carom_set_start_method("fork", false) == 0);
	cr_expect(carom_set_start_method("spawn", false) == -EALREADY);
	cr_expect(strcmp(carom_get_start_method(false), "fork") == 0);
	cr_assert(carom_set_start_method("spawn", true) == 0);
	cr_expect(strcmp(carom_get_start_method(false), "spawn") == 0);
	cr_assert(carom_set_start_method(NULL, true) == 0);
	cr_expect(carom_get_start_method(true) == NULL);
	cr_expect(carom_set_start_method("fork", false) == 0);
}

/* CX-11 */
Test(context, forking_can_be_enabled_as_in_billiard)
{
	cr_expect(carom_forking_is_enabled() == has_fork_server());
	cr_expect(carom_get_start_method(true) == NULL, "asking fixes nothing");
	carom_forking_enable(false);
	cr_expect(carom_forking_is_enabled() == false);
	cr_expect(strcmp(carom_get_start_method(true), "spawn") == 0);
	carom_forking_enable(true);
	cr_expect(carom_forking_is_enabled());
	cr_expect(strcmp(carom_get_start_method(true), "fork") == 0);
}

/* --- what a spawned program sees ----------------------------------------- */

/* CX-12 */
Test(context, of_spawn_can_mark_its_children_as_billiard_does, .timeout = 60)
{
	struct carom_context *context = context_of("spawn");
	char text[64];

	setenv("FORKED_BY_MULTIPROCESSING", "from somewhere else", 1);
	told_by(context, tell_environment, text, sizeof(text));
	cr_expect(strcmp(text, "- from somewhere else ") == 0, "'%s'", text);
	cr_assert(carom_context_configure(
			  context, &CAROM_CONTEXT_OPTIONS(.billiard_environment = true)) == 0);
	told_by(context, tell_environment, text, sizeof(text));
	cr_expect(strcmp(text, "1 1 ") == 0, "'%s'", text);
	cr_expect(strcmp(getenv("FORKED_BY_MULTIPROCESSING"), "from somewhere else") == 0);
	cr_expect(getenv("MULTIPROCESSING_FORKING_DISABLE") == NULL);
}

/* CX-13 */
Test(context, of_spawn_runs_the_program_that_is_set, .timeout = 60)
{
	struct carom_context *context = context_of("spawn");
	struct carom_process *process = NULL;
	char text[PATH_MAX], child[PATH_MAX];

	cr_assert(realpath(getenv("CAROM_CHILD"), child) != NULL);
	told_by(context, tell_program, text, sizeof(text));
	cr_expect(strcmp(text, child) == 0, "%s", text);

	cr_assert(carom_set_executable(getenv("CAROM_OTHER")) == 0);
	told_by(context, tell_program, text, sizeof(text));
	cr_expect(strstr(text, "/program") != NULL, "%s", text);

	cr_expect(carom_set_executable("") == -EINVAL);
	cr_assert(carom_set_executable("/no/such/program") == 0);
	cr_assert(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) == 0);
	cr_expect(carom_process_start(process) == -ENOENT);
	cr_assert(carom_set_executable(child) == 0);
	cr_expect(carom_process_start(process) == 0, "the handle can be started later");
	cr_expect(exitcode_of(process) == 0);
	carom_process_free(process);
}

/* CX-13 */
Test(context, of_spawn_looks_for_a_name_in_path, .timeout = 60)
{
	struct carom_context *context = context_of("spawn");
	char text[PATH_MAX], directory[PATH_MAX], long_path[PATH_MAX + 1];

	cr_assert(realpath(getenv("CAROM_CHILD"), directory) != NULL);
	*strrchr(directory, '/') = '\0';
	setenv("PATH", directory, 1);
	cr_assert(carom_set_executable("child") == 0);
	told_by(context, tell_program, text, sizeof(text));
	cr_expect(strncmp(text, directory, strlen(directory)) == 0, "%s", text);
	memset(long_path, 'x', sizeof(long_path));
	long_path[PATH_MAX] = '\0';
	cr_expect(carom_set_executable(long_path) == -ENAMETOOLONG);
	told_by(context, tell_program, text, sizeof(text));
	cr_expect(strncmp(text, directory, strlen(directory)) == 0, "as before: %s", text);
}

/* CX-13 */
/* CX-19 */
Test(context, of_spawn_runs_this_program_if_none_is_set, .timeout = 60)
{
	struct carom_context *context = context_of("spawn");
	struct carom_process *process = NULL;

	cr_assert(carom_set_executable(NULL) == 0);
	cr_assert(carom_process_new(
			  &CAROM_PROCESS_OPTIONS(.context = context, .function = tell_program),
			  &process) == 0);
	/* which has not called the hook: the one thing that tells it from a fork bomb */
	cr_expect(carom_process_start(process) == -ENOEXEC);
	cr_assert(carom_main_hook(0, NULL) == 0);
	cr_assert(carom_set_executable(getenv("CAROM_CHILD")) == 0);
	carom_process_free(process);
}

/* --- what a child goes on with ------------------------------------------- */

/* CX-16 */
/* SN-08 */
Test(context, child_has_directory_level_authkey_and_method, .timeout = 60)
{
	struct carom_context *context;

	carom_ensure_forkserver(); /* with another directory, level and authkey */
	cr_assert(chdir("/proc") == 0);
	carom_log_set_level(17);
	cr_assert(carom_process_set_authkey(carom_current_process(), "\1\2", 2) == 0);
	EACH_METHOD(context)
	{
		char text[256], expected[256];

		snprintf(expected, sizeof(expected), "/proc\n17\n%x\n%s\n", 1 * 31 + 2,
			 methods[each_]);
		told_by(context, tell_preparation, text, sizeof(text));
		cr_expect(strcmp(text, expected) == 0, "%s: '%s'", methods[each_], text);
	}
}

/* SN-10 */
Test(context, child_by_fork_has_what_was_changed_and_others_what_was_there_at_first, .timeout = 60)
{
	carom_ensure_forkserver();
	a_global = 2;
	cr_expect(eq(int, RUN(.context = context_of("fork"), .function = tell_global), 2));
	cr_expect(eq(int, RUN(.context = context_of("spawn"), .function = tell_global), 1));
	if (context_of("forkserver")) /* as when the server was made */
		cr_expect(eq(int, RUN(.context = context_of("forkserver"), .function = tell_global),
			     1));
}

Test(context, options_are_checked)
{
	struct {
		struct carom_context_options options;
		char newer[8];
	} larger = { CAROM_CONTEXT_OPTIONS(), { 1 } };
	struct carom_context *context = context_of("fork");

	larger.options.size_bytes = sizeof(larger);
	cr_expect(carom_context_configure(context, &larger.options) == -E2BIG);
	cr_expect(carom_context_configure(context, &(struct carom_context_options){ 0 }) ==
		  -EINVAL);
	cr_expect(carom_context_configure(context, NULL) == 0);
}
