// A training step as a sequence of phases, computed by any number of threads.
//
// A phase consists of tiles that depend only on earlier phases. Threads claim tiles, first those of
// their own share, then what others have left, so that a slow thread holds up one tile only. If
// that tile takes long, its thread may have lost its core: a thread that waits computes the tile
// again and goes on. Every tile writes the same bits whoever computes it, each number once, into
// memory that no other tile of this step writes, so that the late thread does no harm. While it is
// still inside a step, the next step uses another set of buffers.
//
// The generated file defines struct Arena, PHASES and TILES before it includes this file.
//
#pragma once
#include "elementwise.h"
#include "optimizer.h"
#include "vector.h"

enum { MAX_THREADS = 16 };

// What a step is given.
struct Input {
    const uint8_t *images;  // (batch, 784)
    const int64_t *labels;  // (batch)
    const float *teacher;  // (batch, 10), or 0
    float *const *tensors;  // the network's state_dict, in order
    const struct Parameter *parameters;
    const struct Averaged *averaged;
    double *loss_sum;  // of the epoch
    int64_t *correct;  // of the epoch
    float *gradients;  // of all parameters, clipped, to be filled in; 0: not wanted
    uint64_t key;  // of dropout
    int32_t batch, parameter_count, averaged_count;
    float smoothing, teacher_share, temperature;
    struct Rule rule;
};

struct Step {
    struct Input in;
    int chunks, is_taught;
    struct Arena arena;
};

struct Phase {
    void (*run)(struct Step *step, int tile, float *scratch);
    int per_chunk, fixed;  // tiles: per_chunk for each chunk of images, and fixed
    int first;  // number of its first tile among the tiles of all phases
};

struct Progress {
    int next[MAX_THREADS];  // tiles claimed of each thread's share
    int finished;
} __attribute__((aligned(64)));

// A step with its progress.
struct Slot {
    int state;  // threads inside, and OPEN while threads may enter
    struct Progress progress[PHASES];
    char done[TILES];
    struct Step step;
};

// Valid lanes of a chunk.
INLINE int lanes_of(const struct Step *step, int chunk) {
    return (step->in.batch - chunk * LANES < LANES ? step->in.batch - chunk * LANES : LANES);
}

// Muon's update of one parameter, if it has one.
INLINE void update_tile(const struct Input *in, int tile, float clip, const float *gradients,
                        float *updates, float *scratch) {
    const struct Parameter *p = in->parameters + tile;
    if (p->matrices)
        muon_update(p, &in->rule, clip, gradients + p->gradient, updates + p->gradient, scratch);
}

// Update weights, average and the epoch's sums; returns the mean negative log-likelihood.
//
// losses: (chunks, 2): sum of the negative log-likelihood, and correct images.
INLINE float finish_step(struct Step *step, const float *gradients, const float *updates,
                         float clip, const float *losses) {
    const struct Input *in = &step->in;
    if (!in->rule.clip_norm) clip = 1;
    for (int k = 0; k < in->parameter_count; k++) {
        const struct Parameter *p = in->parameters + k;
        update_parameter(p, &in->rule, clip, gradients + p->gradient, updates + p->gradient);
        if (in->gradients)
            for (int i = 0; i < p->size; i++)
                in->gradients[p->gradient + i] = clip * gradients[p->gradient + i];
    }
    for (int k = 0; k < in->averaged_count; k++)
        update_average(in->averaged + k, in->rule.average_weight);
    double nll = 0;
    for (int chunk = 0; chunk < step->chunks; chunk++) {
        nll += losses[2 * chunk];
        *in->correct += (int64_t)losses[2 * chunk + 1];
    }
    *in->loss_sum += nll;
    return (float)(nll / in->batch);
}

#define ATOMIC_LOAD(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ATOMIC_STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define ATOMIC_ADD(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)

// A counter of time, and about how often it counts in a microsecond.
#if defined(__x86_64__)
INLINE uint64_t ticks(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}
INLINE uint64_t ticks_per_microsecond(void) { return 2500; }
INLINE void pause_core(void) { __asm__ volatile("pause"); }
#elif defined(__aarch64__)
INLINE uint64_t ticks(void) {
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
}
INLINE uint64_t ticks_per_microsecond(void) {
    uint64_t value;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(value));
    return value / 1000000 + 1;
}
INLINE void pause_core(void) { __asm__ volatile("yield"); }
#else
#error "No clock for this processor."
#endif

// Wait a moment: first on the core, longer than a tile takes, since a thread that gives it away beside
// other work is without it for milliseconds.
INLINE void wait_moment(uint64_t start, int (*give_way)(void)) {
    if (ticks() - start < 60 * ticks_per_microsecond())
        pause_core();
    else
        give_way();
}

// Compute a tile and count it, if it is the first time.
INLINE void compute_tile(struct Slot *slot, const struct Phase *phase, int *finished, int tile,
                         float *scratch) {
    phase->run(&slot->step, tile, scratch);
    if (!__atomic_exchange_n(slot->done + phase->first + tile, 1, __ATOMIC_ACQ_REL))
        ATOMIC_ADD(finished, 1);
}

// Microseconds that a thread waits for another thread's tile before it computes the tile again.
enum { PATIENCE = 40 };

// Take part in all phases as thread `thread` of `threads`, until the last one is finished.
static void run_phases(struct Slot *slot, const struct Phase *phases, int thread, int threads,
                       float *scratch, int (*give_way)(void)) {
    for (int k = 0; k < PHASES; k++) {
        const struct Phase *phase = phases + k;
        struct Progress *progress = slot->progress + k;
        const int tiles = phase->per_chunk * slot->step.chunks + phase->fixed;
        if (ATOMIC_LOAD(&progress->finished) >= tiles) continue;
        for (int turn = 0; turn < threads; turn++) {
            int share = (thread + turn) % threads;
            int begin = share * tiles / threads, end = (share + 1) * tiles / threads;
            while (ATOMIC_LOAD(progress->next + share) < end - begin) {
                int tile = begin + ATOMIC_ADD(progress->next + share, 1);
                if (tile >= end) break;
                compute_tile(slot, phase, &progress->finished, tile, scratch);
            }
        }
        uint64_t start = ticks();
        while (ATOMIC_LOAD(&progress->finished) < tiles) {
            if (ticks() - start < PATIENCE * ticks_per_microsecond()) {
                wait_moment(start, give_way);
                continue;
            }
            for (int i = 0; i < tiles; i++) {
                int tile = (i + thread * tiles / threads) % tiles;
                if (!ATOMIC_LOAD(slot->done + phase->first + tile))
                    compute_tile(slot, phase, &progress->finished, tile, scratch);
            }
        }
    }
}
