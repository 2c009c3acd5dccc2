/* libvirt's RPC protocol over its socket by the least of code, as yardsticks/rawstate.c speaks it, for the
 * other programs of that kind: no libvirt.so, no check of what comes. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { remote_program = 0x20008086, qemu_program = 0x20008087, header = 24, most = 32 << 20 };

static int connection;
static uint32_t serial;
static unsigned char* answer;       /* of the last call, without its header */
static unsigned char call[1 << 20]; /* of the next call, behind its header */
static size_t call_size;

static void put(uint32_t value) {
    value = htonl(value);
    memcpy(call + call_size, &value, 4);
    call_size += 4;
}

static void put_bytes(const void* bytes, size_t size) {
    memcpy(call + call_size, bytes, size);
    call_size += size;
}

static void put_text(const char* text) {
    size_t size = strlen(text), padding = (4 - size % 4) % 4;
    put((uint32_t)size);
    put_bytes(text, size);
    put_bytes("\0\0\0", padding);
}

static void get(void* to, size_t size) {
    for (unsigned char* at = to; size > 0;) {
        ssize_t got = read(connection, at, size);
        if (got <= 0) exit(1);
        at += got;
        size -= (size_t)got;
    }
}

static inline uint32_t number_at(size_t offset) {
    uint32_t value;
    memcpy(&value, answer + offset, 4);
    return ntohl(value);
}

/* Sends what was put, and returns the size of the answer; an error ends the program. */
static size_t ask(uint32_t program, uint32_t procedure) {
    static unsigned char* packet;
    uint32_t head[7] = {
        htonl((uint32_t)(28 + call_size)), htonl(program), htonl(1), htonl(procedure), 0, htonl(serial++), 0};
    unsigned char* all = malloc(28 + call_size);
    memcpy(all, head, 28);
    memcpy(all + 28, call, call_size);
    if (write(connection, all, 28 + call_size) != (ssize_t)(28 + call_size)) exit(1);
    free(all);
    call_size = 0;
    uint32_t length;
    get(&length, 4);
    length = ntohl(length) - 4;
    if (length > most) exit(1);
    free(packet);
    packet = malloc(length);
    get(packet, length);
    answer = packet + header;
    uint32_t status;
    memcpy(&status, packet + 20, 4);
    if (status) {
        fprintf(stderr, "procedure %u was refused\n", procedure);
        exit(1);
    }
    return length - header;
}

static void open_connection(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/libvirt/libvirt-sock"};
    connection = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr*)&address, sizeof address) != 0) exit(1);
    ask(remote_program, 66); /* AUTH_LIST */
    put(1);
    put_text("qemu:///system");
    put(0);
    ask(remote_program, 1); /* CONNECT_OPEN */
}
