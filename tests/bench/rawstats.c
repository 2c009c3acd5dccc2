/* The bulk call behind metrics --all, bare: connect, the figures of every domain of the host. Prints their
 * size.
 *
 * usage: rawstats */
#include "raw.h"

int main(void) {
    open_connection();
    put(0);
    put(1 | 2 | 4 | 8 | 16 | 32);
    put(1u << 29);
    printf("%zu\n", ask(remote_program, 344));
    return 0;
}
