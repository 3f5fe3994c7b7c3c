#include "CPosix.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* What is used of Linux-PAM's interface, version 1 of its library. It is opened when it is needed: only authcheck needs it. */
struct message { int style; const char *text; };
struct response { char *text; int code; };
struct conversation { int (*talk)(int, const struct message **, struct response **, void *); void *password; };
enum { PROMPT_ECHO_OFF = 1, PROMPT_ECHO_ON = 2 };
enum { SUCCESS = 0, PERM_DENIED = 6, AUTH_ERR = 7, CRED_INSUFFICIENT = 8, USER_UNKNOWN = 10, MAXTRIES = 11, NEW_AUTHTOK_REQD = 12, ACCT_EXPIRED = 13,
       CRED_EXPIRED = 16, CONV_ERR = 19, AUTHTOK_EXPIRED = 27 };
enum { ITEM_USER = 2, ITEM_RHOST = 4, ITEM_FAIL_DELAY = 10 };
enum { SILENT = 0x8000, DISALLOW_NULL = 1, MAX_MESSAGES = 32 };

struct library {
    int (*start)(const char *, const char *, const struct conversation *, void **);
    int (*set_item)(void *, int, const void *);
    int (*get_item)(const void *, int, const void **);
    int (*authenticate)(void *, int);
    int (*acct_mgmt)(void *, int);
    int (*end)(void *, int);
};

static int load(struct library *pam) {
    void *handle = dlopen("libpam.so.0", RTLD_NOW | RTLD_GLOBAL);
    if (!handle) return -1;
    const struct { void *place; const char *name; } symbols[] = {
        {&pam->start, "pam_start"}, {&pam->set_item, "pam_set_item"}, {&pam->get_item, "pam_get_item"},
        {&pam->authenticate, "pam_authenticate"}, {&pam->acct_mgmt, "pam_acct_mgmt"}, {&pam->end, "pam_end"},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *found = dlsym(handle, symbols[i].name);
        if (!found) return -1;
        memcpy(symbols[i].place, &found, sizeof found);
    }
    return 0;
}

/* Every question for something secret is one for the password; there is nobody to ask anything else. PAM frees the answers. */
static int talk(int count, const struct message **messages, struct response **responses, void *password) {
    if (count < 1 || count > MAX_MESSAGES) return CONV_ERR;
    struct response *all = calloc((size_t)count, sizeof *all);
    if (!all) return CONV_ERR;
    for (int i = 0; i < count; i++) {
        int style = messages[i]->style;
        if (style == PROMPT_ECHO_OFF) all[i].text = strdup(password);
        if (style == PROMPT_ECHO_ON || (style == PROMPT_ECHO_OFF && !all[i].text)) {
            for (int j = 0; j < i; j++) free(all[j].text);
            free(all);
            return CONV_ERR;
        }
    }
    *responses = all;
    return SUCCESS;
}

/* auth lets failures wait; a process that sleeps would only keep a place. */
static void no_delay(int result, unsigned microseconds, void *data) { (void)result; (void)microseconds; (void)data; }

static int copy_user(struct library *pam, void *handle, char *user, size_t capacity) {
    const void *name = NULL;
    if (pam->get_item(handle, ITEM_USER, &name) != SUCCESS || !name || strlen(name) >= capacity) return -1;
    memcpy(user, name, strlen(name) + 1);
    return 0;
}

static enum martlet_pam meaning(int result) {
    switch (result) {
    case SUCCESS: return MARTLET_PAM_ADMITTED;
    case PERM_DENIED: case AUTH_ERR: case CRED_INSUFFICIENT: case USER_UNKNOWN: case MAXTRIES: case NEW_AUTHTOK_REQD: case ACCT_EXPIRED:
    case CRED_EXPIRED: case AUTHTOK_EXPIRED: return MARTLET_PAM_DENIED;
    default: return MARTLET_PAM_TROUBLE;
    }
}

enum martlet_pam martlet_pam_check(const char *service, const char *account, const char *password, const char *host, char *user, size_t capacity) {
    struct library pam;
    if (load(&pam) < 0) return MARTLET_PAM_MISSING;
    struct conversation conversation = {talk, (void *)password};
    void *handle = NULL;
    if (pam.start(service, account, &conversation, &handle) != SUCCESS) return MARTLET_PAM_TROUBLE;
    void (*delay)(int, unsigned, void *) = no_delay;
    const void *function;
    memcpy(&function, &delay, sizeof function);
    pam.set_item(handle, ITEM_FAIL_DELAY, function);
    if (*host) pam.set_item(handle, ITEM_RHOST, host);
    int result = pam.authenticate(handle, SILENT | DISALLOW_NULL);
    if (result == SUCCESS) result = pam.acct_mgmt(handle, SILENT | DISALLOW_NULL);
    enum martlet_pam answer = meaning(result);
    if (answer == MARTLET_PAM_ADMITTED && copy_user(&pam, handle, user, capacity) < 0) answer = MARTLET_PAM_TROUBLE;
    pam.end(handle, result);
    return answer;
}
