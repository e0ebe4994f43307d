"""The C functions that an exported header is made of.

They need no library, not even the mathematical one. Images are stored channel by channel. Words in
capitals stand for what differs from network to network: `TYPE` for the type of an activation,
`WEIGHT` for the weight at `index`.
"""

from __future__ import annotations

WINDOW = """\
/* The first output whose window has this tap (a row or column of it) inside the image. */
static int inkling_first(int tap, int stride, int padding) {
    return tap < padding ? (padding - tap + stride - 1) / stride : 0;
}

/* The output after the last whose window has this tap inside the image. */
static int inkling_end(int tap, int stride, int padding, int size, int outputs) {
    const int room = size + padding - tap;
    const int end = room > 0 ? (room - 1) / stride + 1 : 0;
    return end < outputs ? end : outputs;
}
"""

_CONV_LOOPS = """\
    const int per_group = inputs / groups;
    int o, i, ky, kx, across, down;
    for (o = 0; o < outputs; o++) {
        const int first = o / (outputs / groups) * per_group;
        for (down = 0; down < out_height; down++) {
            for (across = 0; across < out_width; across++) inkling_sums[across] = START;
            for (i = 0; i < per_group; i++)
                for (ky = 0; ky < kernel; ky++) {
                    const int row = down * stride + ky - padding;
                    const TYPE *line;
                    if (row < 0 || row >= height) continue;
                    line = x + ((first + i) * height + row) * width;
                    for (kx = 0; kx < kernel; kx++) {
                        const int index = ((o * per_group + i) * kernel + ky) * kernel + kx;
                        const int end = inkling_end(kx, stride, padding, width, out_width);
                        const SUM weight = WEIGHT;
                        across = inkling_first(kx, stride, padding);
                        for (; across < end; across++)
                            inkling_sums[across] +=
                                weight * VALUE;
                    }
                }
STORE
        }
    }
}
"""

FLOAT_CONV = """\
static void inkling_conv(const float *x, float *y, const float *weights, const float *bias,
                         int inputs, int height, int width, int outputs, int out_height,
                         int out_width, int kernel, int stride, int padding, int groups) {
""" + _CONV_LOOPS.replace("START", "bias ? bias[o] : 0.0f").replace(
    "WEIGHT", "weights[index]"
).replace("VALUE", "line[across * stride + kx - padding]").replace("TYPE", "float").replace(
    "SUM", "float"
).replace(
    "STORE",
    "            for (across = 0; across < out_width; across++)\n"
    "                y[(o * out_height + down) * out_width + across] = inkling_sums[across];",
)

_INTEGER_CONV = """\
static void NAME(const uint8_t *x, uint8_t *y, float *logits, const STORED *weights,
                          const MULTIPLIER *multipliers, const int16_t *bias, int bias_shift,
                          inkling_product offset, int shift, int zero, int inputs, int height,
                          int width, int outputs, int out_height, int out_width, int kernel,
                          int stride, int padding, int groups) {
""" + _CONV_LOOPS.replace("START", "0").replace(
    "VALUE", "((int32_t)line[across * stride + kx - padding] - zero)"
).replace("TYPE", "uint8_t").replace("SUM", "int32_t").replace(
    "STORE",
    """\
            for (across = 0; across < out_width; across++) {
                inkling_product product = (inkling_product)inkling_sums[across] * multipliers[o];
                if (bias) product += (inkling_product)bias[o] * ((inkling_product)1 << bias_shift);
                if (logits)
                    logits[o] = (float)product;
                else
                    y[(o * out_height + down) * out_width + across] =
                        inkling_round(product + offset, shift);
            }""",
)


def integer_conv(name: str, bits: int, multiplier: str) -> str:
    """The convolution in integers.

    Args:
        name: of the C function.
        bits: of a weight, 8 or 4.
        multiplier: C type of the multipliers.
    """
    stored, weight = (
        ("int8_t", "weights[index]")
        if bits == 8
        else ("uint8_t", "(weights[index / 2] >> (index % 2 * 4) & 15) - 8")
    )
    text = _INTEGER_CONV.replace("NAME", name).replace("STORED", stored)
    return text.replace("WEIGHT", weight).replace("MULTIPLIER", multiplier)


ROUND = """\
/* Divide a product by 2^shift and clip the quotient to the range of a byte. */
static uint8_t inkling_round(inkling_product product, int shift) {
    const inkling_product value = product < 0 ? 0 : product >> shift;
    return (uint8_t)(value < 255 ? value : 255);
}
"""

TABLE = """\
static void inkling_table(uint8_t *y, const uint8_t *table, int count) {
    int i;
    for (i = 0; i < count; i++) y[i] = table[y[i]];
}
"""

INTEGER_ADD = """\
static void inkling_add(const uint8_t *a, const uint8_t *b, uint8_t *y, float *logits, int zero_a,
                        int zero_b, int32_t by_a, int32_t by_b, inkling_product offset, int shift,
                        int count) {
    int i;
    for (i = 0; i < count; i++) {
        const inkling_product product =
            (inkling_product)(a[i] - zero_a) * by_a + (inkling_product)(b[i] - zero_b) * by_b;
        if (logits)
            logits[i] = (float)product;
        else
            y[i] = inkling_round(product + offset, shift);
    }
}
"""

INTEGER_AVERAGE = """\
static void inkling_average(const uint8_t *x, uint8_t *y, float *logits, int zero, int32_t by,
                            inkling_product offset, int shift, int channels, int height, int width,
                            int out_height, int out_width, int rows, int columns, int stride) {
    int c, i, j, across, down;
    for (c = 0; c < channels; c++)
        for (down = 0; down < out_height; down++)
            for (across = 0; across < out_width; across++) {
                int32_t sum = 0;
                for (i = 0; i < rows; i++)
                    for (j = 0; j < columns; j++)
                        sum += x[(c * height + down * stride + i) * width + across * stride + j] -
                               zero;
                if (logits)
                    logits[c] = (float)((inkling_product)sum * by);
                else
                    y[(c * out_height + down) * out_width + across] =
                        inkling_round((inkling_product)sum * by + offset, shift);
            }
}
"""

FLOAT_ADD = """\
static void inkling_add(const float *a, const float *b, float *y, int count) {
    int i;
    for (i = 0; i < count; i++) y[i] = a[i] + b[i];
}
"""

FLOAT_AVERAGE = """\
static void inkling_average(const float *x, float *y, int channels, int height, int width,
                            int out_height, int out_width, int rows, int columns, int stride) {
    int c, i, j, across, down;
    for (c = 0; c < channels; c++)
        for (down = 0; down < out_height; down++)
            for (across = 0; across < out_width; across++) {
                float sum = 0.0f;
                for (i = 0; i < rows; i++)
                    for (j = 0; j < columns; j++)
                        sum += x[(c * height + down * stride + i) * width + across * stride + j];
                y[(c * out_height + down) * out_width + across] = sum / (float)(rows * columns);
            }
}
"""

MAXIMUM = """\
static void inkling_maximum(const TYPE *x, TYPE *y, int channels, int height, int width,
                            int out_height, int out_width, int kernel, int stride) {
    int c, i, j, across, down;
    for (c = 0; c < channels; c++)
        for (down = 0; down < out_height; down++)
            for (across = 0; across < out_width; across++) {
                const TYPE *window = x + (c * height + down * stride) * width + across * stride;
                TYPE largest = window[0];
                for (i = 0; i < kernel; i++)
                    for (j = 0; j < kernel; j++)
                        if (window[i * width + j] > largest) largest = window[i * width + j];
                y[(c * out_height + down) * out_width + across] = largest;
            }
}
"""

SPACE_TO_DEPTH = """\
static void inkling_space_to_depth(const TYPE *x, TYPE *y, int channels, int height, int width,
                                   int block) {
    int c, i, j, across, down;
    for (c = 0; c < channels; c++)
        for (i = 0; i < block; i++)
            for (j = 0; j < block; j++)
                for (down = 0; down < height / block; down++)
                    for (across = 0; across < width / block; across++)
                        *y++ = x[(c * height + down * block + i) * width + across * block + j];
}
"""

EXP = """\
/* e^x for x <= 0: a power of 2 times a Taylor polynomial on [-0.35, 0.35]. */
static float inkling_exp(float x) {
    int halvings, i;
    float rest, y = 1.0f;
    if (!(x > -87.0f)) return 0.0f;
    halvings = (int)(0.5f - x * 1.44269504f);
    rest = (x + (float)halvings * 0.693359375f) - (float)halvings * 2.12194440e-4f;
    for (i = 7; i > 0; i--) y = 1.0f + y * rest / (float)i;
    while (halvings-- > 0) y *= 0.5f;
    return y;
}
"""

RELU = """\
static void inkling_relu(float *y, int count) {
    int i;
    for (i = 0; i < count; i++)
        if (y[i] < 0.0f) y[i] = 0.0f;
}
"""

SILU = """\
static void inkling_silu(float *y, int count) {
    int i;
    for (i = 0; i < count; i++) {
        const float e = inkling_exp(y[i] < 0.0f ? y[i] : -y[i]);
        y[i] *= (y[i] < 0.0f ? e : 1.0f) / (1.0f + e);
    }
}
"""

GELU = """\
/* x times the normal cumulative distribution function (Abramowitz and Stegun, 7.1.26). */
static void inkling_gelu(float *y, int count) {
    int i;
    for (i = 0; i < count; i++) {
        const float z = (y[i] < 0.0f ? -y[i] : y[i]) * 0.707106781f;
        const float t = 1.0f / (1.0f + 0.3275911f * z);
        const float p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t -
                          0.284496736f) * t + 0.254829592f) * t;
        const float tail = 0.5f * p * inkling_exp(-z * z);
        y[i] *= y[i] < 0.0f ? tail : 1.0f - tail;
    }
}
"""

PREDICT = """\
/* Predict the digit in an image.
 *
 * pixels: 28 rows of 28 grey values, 0 for paper to 255 for ink, scaled and centred as in MNIST.
 * probabilities: is filled with the probabilities of the digits 0 to 9.
 * Returns the most probable digit. Two threads must not call it at once: its memory is static.
 */
static inline int inkling_predict(const unsigned char pixels[784], float probabilities[10]) {
    int i, best = 0;
    float sum = 0.0f, largest;
    inkling_logits(pixels, probabilities);
    for (i = 1; i < 10; i++)
        if (probabilities[i] > probabilities[best]) best = i;
    largest = probabilities[best];
    for (i = 0; i < 10; i++) sum += probabilities[i] = inkling_exp(probabilities[i] - largest);
    for (i = 0; i < 10; i++) probabilities[i] /= sum;
    return best;
}
"""
