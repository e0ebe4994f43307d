// Batch norm's statistics and coefficients from the sums of the chunks.
#pragma once
#include "vector.h"

// What norm.h needs for each channel, one array of the channels after the other.
enum { SCALE, OFFSET, MEAN, INVERSE, LEVEL, SLOPE, NORM_ROWS };

#define NORM_EPSILON 1e-5

// Mean and variance over a batch's images and pixels, and the norm's coefficients:
//   INVERSE = 1 / sqrt(variance + eps);  SCALE = weight INVERSE;  OFFSET = bias - MEAN SCALE
//
// Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances" (1979): squared deviations from the common mean are those from the chunk's own mean
// plus n (chunk's mean - mean)^2.
//
// slots: (chunks, 2, CHANNELS): sum and squared deviations from the chunk's own mean.
// conv_bias: a bias that x lacks, since the norm subtracts it again, or 0.
// batch_statistics: (2, CHANNELS): what the running statistics move towards, the mean with that bias
// and the unbiased variance.
INLINE void norm_statistics(const float *slots, int batch, const int CHANNELS, const int PIXELS,
                            const float *weight, const float *bias, const float *conv_bias,
                            float *batch_statistics, float *norm) {
    const int chunks = (batch + LANES - 1) / LANES;
    const double count = (double)batch * PIXELS;
    for (int c = 0; c < CHANNELS; c++) {
        double total = 0, square = 0;
        for (int chunk = 0; chunk < chunks; chunk++) total += slots[2 * chunk * CHANNELS + c];
        const double mean = total / count;
        for (int chunk = 0; chunk < chunks; chunk++) {
            const int left = batch - chunk * LANES;
            const double n = (double)(left < LANES ? left : LANES) * PIXELS;
            const double distance = slots[2 * chunk * CHANNELS + c] / n - mean;
            square += slots[(2 * chunk + 1) * CHANNELS + c] + n * distance * distance;
        }
        const float inverse = 1 / __builtin_sqrt(square / count + NORM_EPSILON);
        const float scale = inverse * weight[c];
        norm[SCALE * CHANNELS + c] = scale;
        norm[OFFSET * CHANNELS + c] = bias[c] - mean * scale;
        norm[MEAN * CHANNELS + c] = mean;
        norm[INVERSE * CHANNELS + c] = inverse;
        batch_statistics[c] = mean + (conv_bias ? conv_bias[c] : 0);
        batch_statistics[CHANNELS + c] = square / (count > 1 ? count - 1 : 1);
    }
}

// Gradients of the norm's weight and bias, and the coefficients of its input's gradient.
//
// slots: (chunks, 2, CHANNELS): sums of p and of p (x - mean), see norm_gradient_sums.
INLINE void norm_gradient(const float *slots, int chunks, const int CHANNELS, double count,
                          float *dweight, float *dbias, float *norm) {
    for (int c = 0; c < CHANNELS; c++) {
        double total = 0, projected = 0;
        for (int chunk = 0; chunk < chunks; chunk++) {
            total += slots[2 * chunk * CHANNELS + c];
            projected += slots[(2 * chunk + 1) * CHANNELS + c];
        }
        const double inverse = norm[INVERSE * CHANNELS + c];
        dweight[c] = projected * inverse;
        dbias[c] = total;
        norm[LEVEL * CHANNELS + c] = total / count;
        norm[SLOPE * CHANNELS + c] = projected * inverse * inverse / count;
    }
}

// running = (1 - momentum) running + momentum batch, for mean and variance.
INLINE void update_running(float *mean, float *variance, int64_t *batches,
                           const float *batch_statistics, const int CHANNELS) {
    const float momentum = 0.1f;
    for (int c = 0; c < CHANNELS; c++) {
        mean[c] += momentum * (batch_statistics[c] - mean[c]);
        variance[c] += momentum * (batch_statistics[CHANNELS + c] - variance[c]);
    }
    ++*batches;
}

// total[i] = sum over chunks of slots[chunk][begin + i], in the order of the chunks
//
// slots: (chunks, SIZE); total: (count).
INLINE void add_slots(const float *slots, int chunks, const int SIZE, const int begin,
                      const int count, float *total) {
    for (int i = 0; i < count; i++) {
        float sum = 0;
        for (int chunk = 0; chunk < chunks; chunk++) sum += slots[(size_t)chunk * SIZE + begin + i];
        total[i] = sum;
    }
}
