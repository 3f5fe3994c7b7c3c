#ifndef MARTLET_CUNBOUND_H
#define MARTLET_CUNBOUND_H
/* libunbound, the DNS resolver, opened when it is first needed: a program that may have to ask DNS starts as quickly as one that never does, and
   only the process that asks carries the library and what it pulls in. */
#include <unbound.h>

/* Opens the library; NULL, or why it cannot be used. Call before all others. */
const char *martlet_unbound_open(void);

/* The functions of libunbound, by their own names without ub_. */
struct ub_ctx *martlet_unbound_ctx_create(void);
void martlet_unbound_ctx_delete(struct ub_ctx *context);
int martlet_unbound_ctx_set_option(struct ub_ctx *context, const char *option, const char *value);
int martlet_unbound_ctx_set_fwd(struct ub_ctx *context, const char *address);
int martlet_unbound_ctx_resolvconf(struct ub_ctx *context, const char *file);
int martlet_unbound_ctx_add_ta_file(struct ub_ctx *context, const char *file);
int martlet_unbound_ctx_async(struct ub_ctx *context, int in_thread);
int martlet_unbound_ctx_zone_remove(struct ub_ctx *context, const char *zone);
int martlet_unbound_fd(struct ub_ctx *context);
int martlet_unbound_process(struct ub_ctx *context);
int martlet_unbound_resolve_async(struct ub_ctx *context, const char *name, int type, int class, void *data, ub_callback_type callback, int *id);
int martlet_unbound_cancel(struct ub_ctx *context, int id);
void martlet_unbound_resolve_free(struct ub_result *result);
#endif
