// Pooling of one channel of one chunk, global averages, and pixel unshuffle, with their gradients.
#pragma once
#include "vector.h"

#define POOLED_SIDE(SIDE, KERNEL, STRIDE) (((SIDE) - (KERNEL)) / (STRIDE) + 1)

// y[p] = maximum of the window at p
INLINE void max_pool(const float *x, float *y, const int HEIGHT, const int WIDTH, const int KERNEL,
                     const int STRIDE) {
    const int OUT_HEIGHT = POOLED_SIDE(HEIGHT, KERNEL, STRIDE);
    const int OUT_WIDTH = POOLED_SIDE(WIDTH, KERNEL, STRIDE);
    for (int line = 0; line < OUT_HEIGHT; line++)
        for (int column = 0; column < OUT_WIDTH; column++) {
            const float *window = x + (line * STRIDE * WIDTH + column * STRIDE) * LANES;
            vec best = load(window);
            for (int k = 1; k < KERNEL * KERNEL; k++)
                best = larger(load(window + (k / KERNEL * WIDTH + k % KERNEL) * LANES), best);
            store(y + (line * OUT_WIDTH + column) * LANES, best);
        }
}

// dx = dy at the window's first maximum, line by line, and 0 elsewhere in the window.
INLINE void max_gradient(const float *x, vec dy, float *dx, const int WIDTH, const int KERNEL) {
    vec best = load(x);
    for (int k = 1; k < KERNEL * KERNEL; k++)
        best = larger(load(x + (k / KERNEL * WIDTH + k % KERNEL) * LANES), best);
    for (int k = 0; k < KERNEL * KERNEL; k++) {
        const int place = (k / KERNEL * WIDTH + k % KERNEL) * LANES;
        const ivec is_best = load(x + place) == best;
        store(dx + place, choose(is_best, dy, splat(0)));
        dy = choose(is_best, splat(0), dy);
    }
}

// dx[q] = sum of dy[p] over the windows whose first maximum, line by line, is q
INLINE void max_pool_gradient(const float *x, const float *dy, float *dx, const int HEIGHT,
                              const int WIDTH, const int KERNEL, const int STRIDE) {
    const int OUT_HEIGHT = POOLED_SIDE(HEIGHT, KERNEL, STRIDE);
    const int OUT_WIDTH = POOLED_SIDE(WIDTH, KERNEL, STRIDE);
    if (KERNEL == STRIDE) { // every pixel belongs to one window or to none
        for (int line = 0; line < HEIGHT; line++)
            for (int column = 0; column < WIDTH; column++)
                if (line >= OUT_HEIGHT * STRIDE || column >= OUT_WIDTH * STRIDE)
                    store(dx + (line * WIDTH + column) * LANES, splat(0));
        for (int line = 0; line < OUT_HEIGHT; line++)
            for (int column = 0; column < OUT_WIDTH; column++)
                max_gradient(x + (line * WIDTH + column) * STRIDE * LANES,
                             load(dy + (line * OUT_WIDTH + column) * LANES),
                             dx + (line * WIDTH + column) * STRIDE * LANES, WIDTH, KERNEL);
        return;
    }
    vec plane[HEIGHT * WIDTH];
    for (int p = 0; p < HEIGHT * WIDTH; p++) plane[p] = splat(0);
    for (int line = 0; line < OUT_HEIGHT; line++)
        for (int column = 0; column < OUT_WIDTH; column++) {
            const int corner = line * STRIDE * WIDTH + column * STRIDE;
            vec best = load(x + corner * LANES);
            for (int k = 1; k < KERNEL * KERNEL; k++)
                best = larger(load(x + (corner + k / KERNEL * WIDTH + k % KERNEL) * LANES), best);
            vec left = load(dy + (line * OUT_WIDTH + column) * LANES);
            for (int k = 0; k < KERNEL * KERNEL; k++) {
                int q = corner + k / KERNEL * WIDTH + k % KERNEL;
                ivec is_best = load(x + q * LANES) == best;
                plane[q] += choose(is_best, left, splat(0));
                left = choose(is_best, splat(0), left);
            }
        }
    for (int p = 0; p < HEIGHT * WIDTH; p++) store(dx + p * LANES, plane[p]);
}

// y[p] = mean of the window at p
INLINE void average_pool(const float *x, float *y, const int HEIGHT, const int WIDTH,
                         const int KERNEL, const int STRIDE) {
    const int OUT_HEIGHT = POOLED_SIDE(HEIGHT, KERNEL, STRIDE);
    const int OUT_WIDTH = POOLED_SIDE(WIDTH, KERNEL, STRIDE);
    for (int line = 0; line < OUT_HEIGHT; line++)
        for (int column = 0; column < OUT_WIDTH; column++) {
            const float *window = x + (line * STRIDE * WIDTH + column * STRIDE) * LANES;
            vec total = splat(0);
            for (int k = 0; k < KERNEL * KERNEL; k++)
                total += load(window + (k / KERNEL * WIDTH + k % KERNEL) * LANES);
            store(y + (line * OUT_WIDTH + column) * LANES, total * (1.0f / (KERNEL * KERNEL)));
        }
}

// dx[q] = sum of dy[p] / (kernel * kernel) over the windows p that contain q
INLINE void average_pool_gradient(const float *dy, float *dx, const int HEIGHT, const int WIDTH,
                                  const int KERNEL, const int STRIDE) {
    const int OUT_HEIGHT = POOLED_SIDE(HEIGHT, KERNEL, STRIDE);
    const int OUT_WIDTH = POOLED_SIDE(WIDTH, KERNEL, STRIDE);
    vec plane[HEIGHT * WIDTH];
    for (int p = 0; p < HEIGHT * WIDTH; p++) plane[p] = splat(0);
    for (int line = 0; line < OUT_HEIGHT; line++)
        for (int column = 0; column < OUT_WIDTH; column++) {
            vec share = load(dy + (line * OUT_WIDTH + column) * LANES) * (1.0f / (KERNEL * KERNEL));
            for (int k = 0; k < KERNEL * KERNEL; k++)
                plane[(line * STRIDE + k / KERNEL) * WIDTH + column * STRIDE + k % KERNEL] += share;
        }
    for (int p = 0; p < HEIGHT * WIDTH; p++) store(dx + p * LANES, plane[p]);
}

// y[c] = mean of x[c][p] over p
INLINE void global_average(const float *x, float *y, const int CHANNELS, const int PIXELS) {
    for (int c = 0; c < CHANNELS; c++) {
        vec total = splat(0);
        for (int p = 0; p < PIXELS; p++) total += load(x + ((size_t)c * PIXELS + p) * LANES);
        store(y + c * LANES, total * (1.0f / PIXELS));
    }
}

// dx[c][p] = dy[c] / pixels
INLINE void global_average_gradient(const float *dy, float *dx, const int CHANNELS,
                                    const int PIXELS) {
    for (int c = 0; c < CHANNELS; c++) {
        vec share = load(dy + c * LANES) * (1.0f / PIXELS);
        for (int p = 0; p < PIXELS; p++) store(dx + ((size_t)c * PIXELS + p) * LANES, share);
    }
}

// y[c * block^2 + by * block + bx][h][w] = x[c][h * block + by][w * block + bx]
INLINE void space_to_depth(const float *x, float *y, const int CHANNELS, const int HEIGHT,
                           const int WIDTH, const int BLOCK) {
    for (int c = 0; c < CHANNELS; c++)
        for (int line = 0; line < HEIGHT; line++)
            for (int column = 0; column < WIDTH; column++) {
                int channel = (c * BLOCK + line % BLOCK) * BLOCK + column % BLOCK;
                int pixel = line / BLOCK * (WIDTH / BLOCK) + column / BLOCK;
                size_t target = (size_t)channel * (HEIGHT / BLOCK) * (WIDTH / BLOCK) + pixel;
                size_t source = ((size_t)c * HEIGHT + line) * WIDTH + column;
                store(y + target * LANES, load(x + source * LANES));
            }
}

// The inverse rearrangement.
INLINE void space_to_depth_gradient(const float *dy, float *dx, const int CHANNELS,
                                    const int HEIGHT, const int WIDTH, const int BLOCK) {
    for (int c = 0; c < CHANNELS; c++)
        for (int line = 0; line < HEIGHT; line++)
            for (int column = 0; column < WIDTH; column++) {
                int channel = (c * BLOCK + line % BLOCK) * BLOCK + column % BLOCK;
                int pixel = line / BLOCK * (WIDTH / BLOCK) + column / BLOCK;
                size_t source = (size_t)channel * (HEIGHT / BLOCK) * (WIDTH / BLOCK) + pixel;
                size_t target = ((size_t)c * HEIGHT + line) * WIDTH + column;
                store(dx + target * LANES, load(dy + source * LANES));
            }
}
