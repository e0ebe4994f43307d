// Batch normalisation with an activation after it (Ioffe and Szegedy 2015, arXiv 1502.03167).
#pragma once
#include "activation.h"
#include "vector.h"

// Sums and squared deviations from the mean of each channel's given pixels, over lanes with mask 1:
// sums[c] = sum of y, sums[C + c] = sum of (y - mean)^2.
//
// In one pass, over differences d from each lane's first value, so that a large mean costs no
// digits; the deviations of n pixels from their lane's mean are sum d^2 - (sum d)^2 / n, those of
// the lanes' means from the common mean are added (Chan, Golub and LeVeque 1979).
INLINE void channel_sums(const float *y, float *sums, const int CHANNELS, const int PIXELS,
                         int pixel_begin, int pixel_end, const float *mask) {
    enum { CHAINS = 4 }; // independent sums, which hide the latency of an addition
    const vec valid = load(mask);
    const int pixels = pixel_end - pixel_begin;
    const float count = sum_lanes(valid) * pixels;
    for (int c = 0; c < CHANNELS; c++) {
        const vec *values = (const vec *)y + (size_t)c * PIXELS + pixel_begin;
        const vec first = values[0];
        vec total[CHAINS], square[CHAINS];
        UNROLL for (int k = 0; k < CHAINS; k++) total[k] = square[k] = splat(0);
        int p = 0;
        for (; p + CHAINS <= pixels; p += CHAINS)
            UNROLL for (int k = 0; k < CHAINS; k++) {
                const vec difference = values[p + k] - first;
                total[k] += difference;
                square[k] += difference * difference;
            }
        for (; p < pixels; p++) {
            const vec difference = values[p] - first;
            total[0] += difference;
            square[0] += difference * difference;
        }
        UNROLL for (int k = 1; k < CHAINS; k++) total[0] += total[k], square[0] += square[k];
        const vec shift = total[0] * (1.0f / pixels);
        const float sum = sum_lanes((first + shift) * valid) * pixels;
        const vec between = first + shift - sum / count;
        sums[c] = sum;
        sums[CHANNELS + c] =
            sum_lanes((square[0] - total[0] * shift + (float)pixels * between * between) * valid);
    }
}

// y = activation(x * scale[c] + offset[c])
INLINE void norm_apply(const float *x, const float *scale, const float *offset, float *y,
                       const int CHANNELS, const int PIXELS, const int ACTIVATION, int pixel_begin,
                       int pixel_end) {
    for (int c = 0; c < CHANNELS; c++) {
        size_t start = (size_t)c * PIXELS * LANES;
        float factor = scale[c], shift = offset[c];
        for (int p = pixel_begin; p < pixel_end; p++)
            store(y + start + p * LANES,
                  activate(load(x + start + p * LANES) * factor + shift, ACTIVATION));
    }
}

// With p = dy * activation'(x * scale + offset): sums[c] = sum of p, sums[C + c] = sum of
// p (x - mean[c]).
INLINE void norm_gradient_sums(const float *x, const float *dy, const float *scale,
                               const float *offset, const float *mean, float *sums,
                               const int CHANNELS, const int PIXELS, const int ACTIVATION,
                               int pixel_begin, int pixel_end) {
    enum { CHAINS = 4 }; // independent sums, which hide the latency of an addition
    for (int c = 0; c < CHANNELS; c++) {
        const vec *values = (const vec *)x + (size_t)c * PIXELS;
        const vec *gradients = (const vec *)dy + (size_t)c * PIXELS;
        const float factor = scale[c], shift = offset[c], centre = mean[c];
        vec total[CHAINS], projected[CHAINS];
        UNROLL for (int k = 0; k < CHAINS; k++) total[k] = projected[k] = splat(0);
        int p = pixel_begin;
        for (; p + CHAINS <= pixel_end; p += CHAINS)
            UNROLL for (int k = 0; k < CHAINS; k++) {
                const vec value = values[p + k] * factor + shift;
                const vec passed = activation_slope(value, gradients[p + k], ACTIVATION);
                total[k] += passed;
                projected[k] += passed * (values[p + k] - centre);
            }
        for (; p < pixel_end; p++) {
            const vec value = values[p] * factor + shift;
            const vec passed = activation_slope(value, gradients[p], ACTIVATION);
            total[0] += passed;
            projected[0] += passed * (values[p] - centre);
        }
        UNROLL for (int k = 1; k < CHAINS; k++) total[0] += total[k], projected[0] += projected[k];
        sums[c] = sum_lanes(total[0]);
        sums[CHANNELS + c] = sum_lanes(projected[0]);
    }
}

// What norm_input_gradient needs of one channel; all but `offset` and `mean` are 0 in lanes whose
// mask is 0.
struct NormLine {
    float scale, offset, mean;
    vec factor, tilt, base; // scale, scale * slope, scale * level
};

INLINE struct NormLine norm_line(const float *scale, const float *offset, const float *mean,
                                 const float *level, const float *slope, int c,
                                 const float *mask) {
    const vec factor = scale[c] * load(mask);
    return (struct NormLine){scale[c],          offset[c],        mean[c],
                             factor, factor * slope[c], factor * level[c]};
}

// scale (p - level - (x - mean) slope), for p = `passed`
INLINE vec norm_gradient_at(vec x, vec passed, const struct NormLine n) {
    return n.factor * passed - (n.tilt * (x - n.mean) + n.base);
}

// dx = scale (p - level - (x - mean) slope), with level = mean of p, and slope = mean of
// p (x - mean) / (variance + eps).
INLINE void norm_input_gradient(const float *x, const float *dy, const float *scale,
                                const float *offset, const float *mean, const float *level,
                                const float *slope, float *dx, const int CHANNELS,
                                const int PIXELS, const int ACTIVATION, int pixel_begin,
                                int pixel_end, const float *mask) {
    for (int c = 0; c < CHANNELS; c++) {
        const vec *values = (const vec *)x + (size_t)c * PIXELS;
        const vec *gradients = (const vec *)dy + (size_t)c * PIXELS;
        vec *to = (vec *)dx + (size_t)c * PIXELS;
        const struct NormLine n = norm_line(scale, offset, mean, level, slope, c, mask);
        for (int p = pixel_begin; p < pixel_end; p++) {
            const vec value = values[p] * n.scale + n.offset;
            to[p] = norm_gradient_at(values[p], activation_slope(value, gradients[p], ACTIVATION),
                                     n);
        }
    }
}

// The largest activation(x * scale + offset) in a window; of equal ones the first, line by line.
struct Maximum {
    vec value, x;
    ivec place;
};

INLINE struct Maximum norm_maximum(const vec *x, float scale, float offset, const int WIDTH,
                                   const int KERNEL, const int ACTIVATION) {
    struct Maximum most = {activate(x[0] * scale + offset, ACTIVATION), x[0], (ivec){0}};
    for (int k = 1; k < KERNEL * KERNEL; k++) {
        const vec other = x[k / KERNEL * WIDTH + k % KERNEL];
        const vec value = activate(other * scale + offset, ACTIVATION);
        const ivec is_larger = value > most.value;
        most.value = choose(is_larger, value, most.value);
        most.x = choose(is_larger, other, most.x);
        most.place = (is_larger & k) | (~is_larger & most.place);
    }
    return most;
}

// y = max pool, with STRIDE = KERNEL, of activation(x * scale[c] + offset[c])
INLINE void norm_max_pool(const float *x, const float *scale, const float *offset, float *y,
                          const int CHANNELS, const int HEIGHT, const int WIDTH, const int KERNEL,
                          const int ACTIVATION) {
    const int OUT_HEIGHT = HEIGHT / KERNEL, OUT_WIDTH = WIDTH / KERNEL;
    for (int c = 0; c < CHANNELS; c++)
        for (int line = 0; line < OUT_HEIGHT; line++)
            for (int p = 0; p < OUT_WIDTH; p++) {
                const vec *window =
                    (const vec *)x + (c * HEIGHT + line * KERNEL) * WIDTH + p * KERNEL;
                ((vec *)y)[(c * OUT_HEIGHT + line) * OUT_WIDTH + p] =
                    norm_maximum(window, scale[c], offset[c], WIDTH, KERNEL, ACTIVATION).value;
            }
}

// norm_gradient_sums of norm_max_pool; dy is the gradient of the pool's output.
INLINE void norm_pool_gradient_sums(const float *x, const float *dy, const float *scale,
                                    const float *offset, const float *mean, float *sums,
                                    const int CHANNELS, const int HEIGHT, const int WIDTH,
                                    const int KERNEL, const int ACTIVATION) {
    const int OUT_HEIGHT = HEIGHT / KERNEL, OUT_WIDTH = WIDTH / KERNEL;
    for (int c = 0; c < CHANNELS; c++) {
        vec total = splat(0), projected = splat(0);
        for (int line = 0; line < OUT_HEIGHT; line++)
            for (int p = 0; p < OUT_WIDTH; p++) {
                const vec *window =
                    (const vec *)x + (c * HEIGHT + line * KERNEL) * WIDTH + p * KERNEL;
                const struct Maximum most =
                    norm_maximum(window, scale[c], offset[c], WIDTH, KERNEL, ACTIVATION);
                const vec passed = activation_slope(
                    most.x * scale[c] + offset[c],
                    ((const vec *)dy)[(c * OUT_HEIGHT + line) * OUT_WIDTH + p], ACTIVATION);
                total += passed;
                projected += passed * (most.x - mean[c]);
            }
        sums[c] = sum_lanes(total);
        sums[CHANNELS + c] = sum_lanes(projected);
    }
}
