#include "CUnbound.h"
#include <dlfcn.h>
#include <stddef.h>

/* Its interface has kept this number since 2018; another would be another library. */
#define LIBRARY "libunbound.so.8"

static struct {
    __typeof__(&ub_ctx_create) ctx_create;
    __typeof__(&ub_ctx_delete) ctx_delete;
    __typeof__(&ub_ctx_set_option) ctx_set_option;
    __typeof__(&ub_ctx_set_fwd) ctx_set_fwd;
    __typeof__(&ub_ctx_resolvconf) ctx_resolvconf;
    __typeof__(&ub_ctx_add_ta_file) ctx_add_ta_file;
    __typeof__(&ub_ctx_async) ctx_async;
    __typeof__(&ub_ctx_zone_remove) ctx_zone_remove;
    __typeof__(&ub_fd) fd;
    __typeof__(&ub_process) process;
    __typeof__(&ub_resolve_async) resolve_async;
    __typeof__(&ub_cancel) cancel;
    __typeof__(&ub_resolve_free) resolve_free;
} unbound;

#define FIND(name)                                                        \
    do {                                                                  \
        *(void **)&unbound.name = dlsym(handle, "ub_" #name);             \
        if (unbound.name == NULL) return LIBRARY " lacks ub_" #name;      \
    } while (0)

const char *martlet_unbound_open(void) {
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return dlerror();
    FIND(ctx_create);
    FIND(ctx_delete);
    FIND(ctx_set_option);
    FIND(ctx_set_fwd);
    FIND(ctx_resolvconf);
    FIND(ctx_add_ta_file);
    FIND(ctx_async);
    FIND(ctx_zone_remove);
    FIND(fd);
    FIND(process);
    FIND(resolve_async);
    FIND(cancel);
    FIND(resolve_free);
    return NULL;
}

struct ub_ctx *martlet_unbound_ctx_create(void) { return unbound.ctx_create(); }
void martlet_unbound_ctx_delete(struct ub_ctx *context) { unbound.ctx_delete(context); }
int martlet_unbound_ctx_set_option(struct ub_ctx *context, const char *option, const char *value) {
    return unbound.ctx_set_option(context, option, value);
}
int martlet_unbound_ctx_set_fwd(struct ub_ctx *context, const char *address) { return unbound.ctx_set_fwd(context, address); }
int martlet_unbound_ctx_resolvconf(struct ub_ctx *context, const char *file) { return unbound.ctx_resolvconf(context, file); }
int martlet_unbound_ctx_add_ta_file(struct ub_ctx *context, const char *file) { return unbound.ctx_add_ta_file(context, file); }
int martlet_unbound_ctx_async(struct ub_ctx *context, int in_thread) { return unbound.ctx_async(context, in_thread); }
int martlet_unbound_ctx_zone_remove(struct ub_ctx *context, const char *zone) { return unbound.ctx_zone_remove(context, zone); }
int martlet_unbound_fd(struct ub_ctx *context) { return unbound.fd(context); }
int martlet_unbound_process(struct ub_ctx *context) { return unbound.process(context); }
int martlet_unbound_resolve_async(struct ub_ctx *context, const char *name, int type, int class, void *data, ub_callback_type callback, int *id) {
    return unbound.resolve_async(context, name, type, class, data, callback, id);
}
int martlet_unbound_cancel(struct ub_ctx *context, int id) { return unbound.cancel(context, id); }
void martlet_unbound_resolve_free(struct ub_result *result) { unbound.resolve_free(result); }
