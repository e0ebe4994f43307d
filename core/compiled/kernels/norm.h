// Batch normalisation with an activation after it (Ioffe and Szegedy 2015, arXiv 1502.03167).
#pragma once
#include "activation.h"
#include "vector.h"

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

// dx = scale (p - level - (x - mean) slope), with level = mean of p, and slope = mean of
// p (x - mean) / (variance + eps).
INLINE void norm_input_gradient(const float *x, const float *dy, const float *scale,
                                const float *offset, const float *mean, const float *level,
                                const float *slope, float *dx, const int CHANNELS,
                                const int PIXELS, const int ACTIVATION, int pixel_begin,
                                int pixel_end, const float *mask) {
    vec valid = load(mask);
    for (int c = 0; c < CHANNELS; c++) {
        size_t start = (size_t)c * PIXELS * LANES;
        float factor = scale[c], shift = offset[c], centre = mean[c];
        float base = level[c], tilt = slope[c];
        for (int p = pixel_begin; p < pixel_end; p++) {
            vec value = load(x + start + p * LANES);
            vec passed = activation_slope(value * factor + shift, load(dy + start + p * LANES),
                                          ACTIVATION);
            store(dx + start + p * LANES, factor * (passed - base - (value - centre) * tilt) * valid);
        }
    }
}
