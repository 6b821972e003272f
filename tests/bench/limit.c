/* What the file system gives at most: one new file for each instance, from a socket, with both fsyncs.
 *
 * limit PORT FOLDER: accepts connections, a thread each. A client sends an 8-byte little-endian length and that many
 * bytes, again and again; each object becomes a new file, is flushed with its folder, and is answered by one byte.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int folder;
static const size_t BUFFER = 1 << 20;

static int read_all(int from, void *into, size_t length) {
    char *at = into;
    while (length) {
        ssize_t count = read(from, at, length);
        if (count <= 0) return -1;
        at += count;
        length -= (size_t)count;
    }
    return 0;
}

static int write_all(int to, const char *from, size_t length) {
    while (length) {
        ssize_t count = write(to, from, length);
        if (count <= 0) return -1;
        from += count;
        length -= (size_t)count;
    }
    return 0;
}

static int store(int client, uint64_t length, char *buffer, const char *name) {
    int file = openat(folder, name, O_CREAT | O_WRONLY | O_EXCL, 0640);
    if (file < 0) return -1;
    while (length) {
        size_t wanted = length < BUFFER ? length : BUFFER;
        ssize_t count = read(client, buffer, wanted);
        if (count <= 0 || write_all(file, buffer, (size_t)count)) return -1;
        length -= (uint64_t)count;
    }
    int failed = fsync(file) | close(file) | fsync(folder);
    return failed ? -1 : 0;
}

static void *serve(void *argument) {
    int client = (int)(intptr_t)argument;
    char *buffer = malloc(BUFFER);
    uint64_t length;
    for (unsigned number = 0; !read_all(client, &length, sizeof length); number++) {
        char name[64];
        snprintf(name, sizeof name, "%ld-%d-%u.dcm", (long)gettid(), client, number);
        if (store(client, length, buffer, name) || write_all(client, "0", 1)) break;
    }
    free(buffer);
    close(client);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    folder = open(arguments[2], O_RDONLY | O_DIRECTORY);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (folder < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) return 1;
    for (;;) {
        int client = accept(listener, NULL, NULL);
        pthread_t thread;
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!pthread_create(&thread, NULL, serve, (void *)(intptr_t)client)) pthread_detach(thread);
    }
}
