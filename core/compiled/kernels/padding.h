// Copies of a chunk's lines with zeros around, which convolutions read, and what is computed on the
// way: batch norm with its activation, or the gradient of both. What is computed is stored nowhere
// else, so that it does not travel to memory and back.
//
// A copy is [line][channel][column]: each line of all channels is contiguous.
#pragma once
#include "activation.h"
#include "norm.h"
#include "vector.h"

// Copy lines with zeros around and, for STRIDE > 1, between the pixels:
//   padded[l][c][x] = source[c][(first + l - PADDING) / STRIDE][(x - PADDING) / STRIDE]
// where both quotients are whole and inside the image, 0 elsewhere. PADDING may be negative.
//
// source: (CHANNELS, HEIGHT, WIDTH); padded: (lines, CHANNELS, PADDED).
INLINE void pad_lines(const float *source, float *padded, const int CHANNELS, const int HEIGHT,
                      const int WIDTH, const int PADDED, const int STRIDE, const int PADDING,
                      int first, int lines) {
    const vec *from = (const vec *)source;
    vec *to = (vec *)padded;
    for (int l = 0; l < lines; l++) {
        int spread = first + l - PADDING, line = spread / STRIDE;
        int inside = spread >= 0 && line * STRIDE == spread && line < HEIGHT;
        for (int c = 0; c < CHANNELS; c++, to += PADDED) {
            if (!inside || STRIDE > 1 || PADDING < 0)
                for (int x = 0; x < PADDED; x++) to[x] = splat(0);
            if (!inside) continue;
            const vec *pixels = from + (c * HEIGHT + line) * WIDTH;
            if (STRIDE > 1 || PADDING < 0) {
                for (int x = 0; x < WIDTH; x++) {
                    int place = x * STRIDE + PADDING;
                    if (place >= 0 && place < PADDED) to[place] = pixels[x];
                }
            } else {
                for (int x = 0; x < PADDING; x++) to[x] = splat(0);
                for (int x = 0; x < WIDTH; x++) to[PADDING + x] = pixels[x];
                for (int x = PADDING + WIDTH; x < PADDED; x++) to[x] = splat(0);
            }
        }
    }
}

// Zeros around the lines of a copy: PADDING lines above and below, PADDING columns on both sides.
//
// padded: (HEIGHT + 2 PADDING, CHANNELS, WIDTH + 2 PADDING).
INLINE void zero_border(vec *padded, const int CHANNELS, const int HEIGHT, const int WIDTH,
                        const int PADDING) {
    const int PADDED = WIDTH + 2 * PADDING, LINE = CHANNELS * PADDED;
    for (int p = 0; p < PADDING * LINE; p++) {
        padded[p] = splat(0);
        padded[(HEIGHT + PADDING) * LINE + p] = splat(0);
    }
    for (int line = 0; line < HEIGHT * CHANNELS; line++)
        for (int x = 0; x < PADDING; x++) {
            padded[PADDING * LINE + line * PADDED + x] = splat(0);
            padded[PADDING * LINE + line * PADDED + PADDING + WIDTH + x] = splat(0);
        }
}

// padded = activation(x * scale[c] + offset[c]), 0 around; as norm_apply and pad_lines.
INLINE void pad_norm(const float *x, const float *scale, const float *offset, float *padded,
                     const int CHANNELS, const int HEIGHT, const int WIDTH, const int ACTIVATION,
                     const int PADDING) {
    const int PADDED = WIDTH + 2 * PADDING;
    zero_border((vec *)padded, CHANNELS, HEIGHT, WIDTH, PADDING);
    for (int line = 0; line < HEIGHT; line++)
        for (int c = 0; c < CHANNELS; c++) {
            const vec *values = (const vec *)x + (c * HEIGHT + line) * WIDTH;
            vec *to = (vec *)padded + ((line + PADDING) * CHANNELS + c) * PADDED + PADDING;
            const float factor = scale[c], shift = offset[c];
            for (int p = 0; p < WIDTH; p++)
                to[p] = activate(values[p] * factor + shift, ACTIVATION);
        }
}

// padded = gradient before the norm, 0 around; as norm_input_gradient and pad_lines.
INLINE void pad_norm_gradient(const float *x, const float *dy, const float *scale,
                              const float *offset, const float *mean, const float *level,
                              const float *slope, float *padded, const int CHANNELS,
                              const int HEIGHT, const int WIDTH, const int ACTIVATION,
                              const int PADDING, const float *mask) {
    const int PADDED = WIDTH + 2 * PADDING;
    zero_border((vec *)padded, CHANNELS, HEIGHT, WIDTH, PADDING);
    for (int line = 0; line < HEIGHT; line++)
        for (int c = 0; c < CHANNELS; c++) {
            const vec *values = (const vec *)x + (c * HEIGHT + line) * WIDTH;
            const vec *gradients = (const vec *)dy + (c * HEIGHT + line) * WIDTH;
            vec *to = (vec *)padded + ((line + PADDING) * CHANNELS + c) * PADDED + PADDING;
            const struct NormLine n = norm_line(scale, offset, mean, level, slope, c, mask);
            for (int p = 0; p < WIDTH; p++) {
                const vec value = values[p] * n.scale + n.offset;
                to[p] = norm_gradient_at(values[p],
                                         activation_slope(value, gradients[p], ACTIVATION), n);
            }
        }
}

// The same for a norm whose output only a max pool with STRIDE = KERNEL reads; dy is the gradient
// of the pool's output. Pixels that no window covers receive 0 from it.
INLINE void pad_norm_pool_gradient(const float *x, const float *dy, const float *scale,
                                   const float *offset, const float *mean, const float *level,
                                   const float *slope, float *padded, const int CHANNELS,
                                   const int HEIGHT, const int WIDTH, const int KERNEL,
                                   const int ACTIVATION, const int PADDING, const float *mask) {
    const int PADDED = WIDTH + 2 * PADDING, LINE = CHANNELS * PADDED;
    const int OUT_HEIGHT = HEIGHT / KERNEL, OUT_WIDTH = WIDTH / KERNEL;
    zero_border((vec *)padded, CHANNELS, HEIGHT, WIDTH, PADDING);
    for (int line = 0; line < OUT_HEIGHT; line++)
        for (int c = 0; c < CHANNELS; c++) {
            const vec *values = (const vec *)x + (c * HEIGHT + line * KERNEL) * WIDTH;
            const vec *gradients = (const vec *)dy + (c * OUT_HEIGHT + line) * OUT_WIDTH;
            vec *to = (vec *)padded + (line * KERNEL + PADDING) * LINE + c * PADDED + PADDING;
            const struct NormLine n = norm_line(scale, offset, mean, level, slope, c, mask);
            for (int p = 0; p < OUT_WIDTH; p++) {
                const struct Maximum most =
                    norm_maximum(values + p * KERNEL, n.scale, n.offset, WIDTH, KERNEL, ACTIVATION);
                const vec passed =
                    activation_slope(most.x * n.scale + n.offset, gradients[p], ACTIVATION);
                for (int k = 0; k < KERNEL * KERNEL; k++) {
                    const vec part = choose(most.place == k, passed, splat(0));
                    to[k / KERNEL * LINE + p * KERNEL + k % KERNEL] =
                        norm_gradient_at(values[k / KERNEL * WIDTH + p * KERNEL + k % KERNEL],
                                         part, n);
                }
            }
        }
    for (int line = 0; line < HEIGHT; line++)
        for (int c = 0; c < CHANNELS; c++) {
            const struct NormLine n = norm_line(scale, offset, mean, level, slope, c, mask);
            for (int p = line < OUT_HEIGHT * KERNEL ? OUT_WIDTH * KERNEL : 0; p < WIDTH; p++)
                ((vec *)padded)[(line + PADDING) * LINE + c * PADDED + PADDING + p] =
                    norm_gradient_at(((const vec *)x)[(c * HEIGHT + line) * WIDTH + p], splat(0),
                                     n);
        }
}
