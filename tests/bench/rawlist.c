/* What list asks of libvirt, by the least program that asks it: connect, the states of all domains in one
 * call. Prints a line for each.
 *
 * usage: rawlist */
#include "raw.h"

int main(void) {
    open_connection();
    put(0); /* all domains */
    put(1); /* VIR_DOMAIN_STATS_STATE */
    put(0);
    ask(remote_program, 344); /* CONNECT_GET_ALL_DOMAIN_STATS */
    size_t at = 4;
    for (uint32_t left = number_at(0); left > 0; --left) {
        uint32_t size = number_at(at), state = 0;
        const char* name = (const char*)answer + at + 4;
        at += 4 + (size + 3) / 4 * 4 + 16 + 4;
        uint32_t parameters = number_at(at);
        for (at += 4; parameters > 0; --parameters) { /* state.state and state.reason, both integers */
            uint32_t field = number_at(at);
            if (field == strlen("state.state")) state = number_at(at + 4 + (field + 3) / 4 * 4 + 4);
            at += 4 + (field + 3) / 4 * 4 + 8;
        }
        printf("%.*s\t%u\n", (int)size, name, state);
    }
    return 0;
}
