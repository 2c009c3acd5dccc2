/* send_frames INTERFACE FRAME...: puts each frame (hexadecimal, from the destination address on) on the
 * interface as it is. Compiled statically by test_tenants.py, and run inside a guest. */
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int send_one(int out, const struct sockaddr_ll* to, const char* hex) {
    unsigned char frame[1514];
    size_t size = strlen(hex) / 2;
    if (size > sizeof frame) return fprintf(stderr, "frame of %zu bytes\n", size), 1;
    for (size_t i = 0; i < size; ++i)
        if (sscanf(hex + 2 * i, "%2hhx", &frame[i]) != 1)
            return fprintf(stderr, "not hexadecimal: %s\n", hex), 1;
    if (sendto(out, frame, size, 0, (const struct sockaddr*)to, sizeof *to) < 0) return perror("sendto"), 1;
    return 0;
}

int main(int count, char** words) {
    int out = socket(AF_PACKET, SOCK_RAW, 0);
    if (out < 0) return perror("socket"), 1;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(words[1])};
    for (int i = 2; i < count; ++i)
        if (send_one(out, &to, words[i])) return 1;
    return 0;
}
