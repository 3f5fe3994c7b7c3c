#ifndef MARTLET_CUNBOUND_H
#define MARTLET_CUNBOUND_H
/* libunbound, the DNS resolver, as Swift sees it. */
#include <unbound.h>
#endif
