// The functions that Python calls, after the generated phases. The generated file defines `phases`,
// SLOTS, SCRATCH and commit.
#pragma once
#include "phases.h"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { OPEN = 1 << 30 };

struct Control {
    int generation;  // steps begun
    int current;  // the slot of the latest
    int waiting;  // threads in `help`
    int threads;
    struct Slot slots[SLOTS];
    float scratch[MAX_THREADS][SCRATCH] __attribute__((aligned(64)));
};

EXPORT uint64_t control_bytes(void) { return sizeof(struct Control); }
EXPORT uint64_t input_bytes(void) { return sizeof(struct Input); }

// Do a training step; returns the batch's mean negative log-likelihood.
EXPORT float train_step(struct Control *control, const struct Input *input, int (*give_way)(void)) {
    int number = control->current;
    while (ATOMIC_LOAD(&control->slots[number].state)) {
        number = (number + 1) % SLOTS;
        if (number == control->current) give_way();
    }
    struct Slot *slot = control->slots + number;
    struct Step *step = &slot->step;
    step->in = *input;
    step->chunks = (input->batch + LANES - 1) / LANES;
    step->is_taught = input->teacher != 0;
    struct Arena *arena = &step->arena;
    for (long i = 0; i < input->batch * 784l; i++) arena->images[i] = input->images[i];
    for (int i = 0; i < input->batch; i++) arena->labels[i] = input->labels[i];
    for (int i = 0; i < step->chunks * LANES; i++)
        arena->masks[i / LANES][i % LANES] = i < input->batch ? 1.0f : 0.0f;
    if (input->teacher) copy(arena->teacher, input->teacher, input->batch * 10l);
    for (int k = 0; k < PHASES; k++) {
        for (int i = 0; i < MAX_THREADS; i++) slot->progress[k].next[i] = 0;
        slot->progress[k].finished = 0;
    }
    for (int i = 0; i < TILES; i++) slot->done[i] = 0;

    ATOMIC_STORE(&slot->state, OPEN);
    ATOMIC_STORE(&control->current, number);
    ATOMIC_ADD(&control->generation, 1);
    run_phases(slot, phases, 0, control->threads, control->scratch[0], give_way);
    __atomic_fetch_and(&slot->state, ~OPEN, __ATOMIC_ACQ_REL);
    return commit(step);
}

// Take part in steps as thread `thread`, from 1; returns after `patience` microseconds without a
// step.
EXPORT void help(struct Control *control, int thread, int patience, int (*give_way)(void)) {
    ATOMIC_ADD(&control->waiting, 1);
    int seen = 0;
    uint64_t start = ticks();
    while (ticks() - start < patience * ticks_per_microsecond()) {
        int generation = ATOMIC_LOAD(&control->generation);
        struct Slot *slot = control->slots + ATOMIC_LOAD(&control->current);
        int state = ATOMIC_LOAD(&slot->state);
        if (generation == seen || !(state & OPEN)) {
            wait_moment(start, give_way);
            continue;
        }
        if (!__atomic_compare_exchange_n(&slot->state, &state, state + 1, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
            continue;
        run_phases(slot, phases, thread, control->threads, control->scratch[thread], give_way);
        ATOMIC_ADD(&slot->state, -1);
        seen = generation;
        start = ticks();
    }
    ATOMIC_ADD(&control->waiting, -1);
}
