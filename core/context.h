/**
 * DOC: context
 *
 * A context is a start method and what belongs to it. There is one for each method,
 * and they live as long as the program:
 *
 *	"fork"       the child is a copy of the calling thread, as fork(2) makes one
 *	"spawn"      the child is the program started afresh (carom_main_hook());
 *	             costs the same however large the parent is
 *	"forkserver" the child is a copy of a small server, which is a copy of the
 *	             program as it was early on; costs the same however large the
 *	             parent has become and however many threads it has
 *
 * And a fourth, "thread", which is multiprocessing.dummy: handles whose children, and pools
 * whose workers, are threads of the program. It starts no process, so it is never the
 * default, and no list of methods has it. None of its options has an effect.
 *
 * Where a context is asked for, NULL means the default one. It is "forkserver", or
 * "spawn" where this kernel or container does not allow one, until it is set; its
 * first use fixes it.
 */
#ifndef CAROM_CORE_CONTEXT_H
#define CAROM_CORE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"

CAROM_BEGIN_DECLS

struct carom_context;

/**
 * carom_context_get() - the context of a start method
 * @method:      its name, "thread" among them; NULL: the default context, which this fixes
 * @ret_context: lives as long as the program; never freed
 *
 * Context: MT-Safe.
 * Return: 0, -ENOENT (no such method), -EOPNOTSUPP ("forkserver", where children
 * can be made by fork(2) alone). Row CX-04.
 */
CAROM_API int carom_context_get(const char *method, struct carom_context **ret_context);

/** carom_context_start_method() - the name of its method; static. MT-Safe. */
CAROM_API const char *carom_context_start_method(struct carom_context *context);

/**
 * carom_set_start_method() - choose the default context's
 * @method: a name; NULL with @force: as if none had been set
 * @force:  also where it is fixed already
 *
 * Context: MT-Safe.
 * Return: 0, -EALREADY (fixed, and not @force), -ENOENT, -EOPNOTSUPP, -EINVAL (NULL
 * without @force; "thread"). Rows CX-02, CX-05.
 */
CAROM_API int carom_set_start_method(const char *method, bool force);

/**
 * carom_get_start_method() - the default context's
 * @allow_none: do not fix it: NULL if it is not fixed yet
 *
 * Context: MT-Safe.
 * Return: a static name. Row CX-06.
 */
CAROM_API const char *carom_get_start_method(bool allow_none);

/**
 * carom_all_start_methods() - what can be used here, the default first
 *
 * Context: MT-Safe.
 * Return: names, ended by NULL; static. Row CX-03.
 */
CAROM_API const char *const *carom_all_start_methods(void);

/**
 * carom_forking_enable() - billiard's: true chooses "fork" by default, false "spawn"
 *
 * Context: MT-Safe.
 */
CAROM_API void carom_forking_enable(bool enable);

/** carom_forking_is_enabled() - is the default another method than "spawn"? Fixes nothing. MT-Safe. */
CAROM_API bool carom_forking_is_enabled(void);

/**
 * carom_set_executable() - what "spawn" runs
 * @path: absolute or looked up in PATH; copied. NULL: this program (/proc/self/exe)
 *
 * The program must register the functions that it is to run and call
 * carom_main_hook(). One that does not, says so at its end and gives status 70; one that
 * is not linked with this library at all runs as if a person had started it.
 *
 * Context: MT-Safe.
 * Return: 0, -EINVAL (empty), -ENAMETOOLONG. Row CX-13.
 */
CAROM_API int carom_set_executable(const char *path);

/**
 * carom_set_forkserver_preload() - what the fork server loads before its first child
 * @names: ended by NULL; copied. A name with a slash, or that ends in ".so", is a shared
 *         object for dlopen(3); others are registered functions, called once without an
 *         argument. NULL: none
 *
 * Its children share what was loaded, copy-on-write. Counts for servers that are
 * started from now on. What cannot be loaded is logged (level INFO) and left out.
 *
 * Context: MT-Safe.
 * Return: 0, -EINVAL (an empty name), -ENOMEM. Rows CX-14, FS-13.
 */
CAROM_API int carom_set_forkserver_preload(const char *const *names);

/* The name of a serializer and its NUL. */
#define CAROM_SERIALIZER_NAME_SIZE 28

/**
 * struct carom_context_options - how children of a context are to be
 * @size_bytes: size of this struct; CAROM_CONTEXT_OPTIONS() fills it in
 * @no_daemon_children: a daemonic process may not start children (CPython's rule;
 *              without it billiard's: it may). Row PR-06
 * @billiard_exit_codes: carom_child_exit() gives 1 and carom_child_fail() 0, as there;
 *              without it 0 and 1, as in CPython. Rows BO-04, BO-06
 * @billiard_environment: programs started by "spawn" see
 *              MULTIPROCESSING_FORKING_DISABLE=1 and FORKED_BY_MULTIPROCESSING=1. Row CX-12
 * @refuse_threads: "fork" fails with -EBUSY while the program has threads of its own;
 *              without it there is a warning in the log. Row BO-15
 * @serializer: the name of what makes bytes of documents (ipc/serializer.h), and documents of
 *              bytes, where they go through queues, connections and pools; without it
 *              "pickle". At most 27 bytes. Row CX-15
 */
struct carom_context_options {
	size_t size_bytes;
	bool no_daemon_children;
	bool billiard_exit_codes;
	bool billiard_environment;
	bool refuse_threads;
	char serializer[CAROM_SERIALIZER_NAME_SIZE];
};
#define CAROM_CONTEXT_OPTIONS(...) CAROM_OPTIONS(carom_context_options, __VA_ARGS__)

/**
 * carom_context_configure() - for children that are made from now on
 * @context: NULL: the default one, which this fixes
 * @options: copied; NULL for all defaults. Children inherit it with the method
 *
 * Context: MT-Safe.
 * Return: 0, -E2BIG, -EINVAL (see CAROM_CONTEXT_OPTIONS()), -ENAMETOOLONG (of a serializer).
 */
CAROM_API int carom_context_configure(struct carom_context *context,
				      const struct carom_context_options *options);

CAROM_END_DECLS

#endif
