/* What metrics NAME asks of libvirt once its sample is fresh, by the least program that asks it: connect,
 * look up, the same figures without waiting for a busy monitor, a shorter greeting of the agent, one ping,
 * the greeting as it was. Prints sizes so that nothing is left out.
 *
 * usage: rawmetrics NAME */
#include "raw.h"

static unsigned char domain[512];
static size_t domain_size;

static void greeting(int seconds) {
    put_bytes(domain, domain_size);
    put((uint32_t)seconds);
    put(0);
    ask(remote_program, 420); /* DOMAIN_AGENT_SET_RESPONSE_TIMEOUT */
}

int main(int count, char** word) {
    if (count != 2) return 2;
    open_connection();
    put_text(word[1]);
    domain_size = ask(remote_program, 23); /* DOMAIN_LOOKUP_BY_NAME */
    if (domain_size > sizeof domain) return 1;
    memcpy(domain, answer, domain_size);
    put(1);
    put_bytes(domain, domain_size);
    put(1 | 2 | 4 | 8 | 16 | 32);              /* state, cpu, balloon, vcpu, interface, block */
    put(1u << 29);                             /* NOWAIT */
    size_t figures = ask(remote_program, 344); /* CONNECT_GET_ALL_DOMAIN_STATS */
    greeting(1);
    put_bytes(domain, domain_size);
    put_text("{\"execute\":\"guest-ping\"}");
    put(1);
    put(0);
    size_t reply = ask(qemu_program, 3); /* DOMAIN_AGENT_COMMAND */
    greeting(-2);
    printf("%zu %zu\n", figures, reply);
    return 0;
}
