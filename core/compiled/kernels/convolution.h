// Convolutions with any kernel, stride, padding and groups, and their gradients. A linear layer is
// a 1x1 convolution of a 1x1 image whose channels are the features.
//
// Weights are torch's (OUT, IN / GROUPS, KERNEL, KERNEL). Zero padding, and the zeros that a stride
// leaves between gradients, are written into `scratch`, a copy of the lines at hand, so that no
// loop has a special case at the edges. Each loop keeps a block of sums in registers: about as many
// as the processor has, less those for what is multiplied.
//
// The functions whose names end in `_padded` compute a whole chunk from copies that `padding.h`
// made before, perhaps with batch norm on the way.
//
// Scratch, in floats, for LINES lines of the output (or of dx):
//   conv_forward, conv_weight_gradient: LANES IN ((LINES - 1) STRIDE + KERNEL) (WIDTH + 2 PADDING),
//     not used if PADDING = 0
//   conv_input_gradient: LANES OUT (LINES + KERNEL - 1) (WIDTH + KERNEL - 1),
//     not used if KERNEL = 1, STRIDE = 1 and PADDING = 0
#pragma once
#include "norm.h"
#include "padding.h"
#include "vector.h"

#define SUMS (REGISTERS * 3 / 4)  // vectors of sums that a loop keeps in registers
#define OUTPUTS 4                 // output channels that share what is read

#define OUTPUT_SIDE(SIDE, KERNEL, STRIDE, PADDING) \
    (((SIDE) + 2 * (PADDING) - (KERNEL)) / (STRIDE) + 1)

// sum[o][j] += w[o] x[j STRIDE] for BLOCK outputs and COLUMNS columns.
INLINE void add_tap(const vec *x, const float *w, vec sum[OUTPUTS][SUMS], const int BLOCK,
                    const int COLUMNS, const int STRIDE, const int W_OUT) {
    vec value[SUMS];
    UNROLL for (int j = 0; j < COLUMNS; j++) value[j] = x[j * STRIDE];
    UNROLL for (int o = 0; o < BLOCK; o++) {
        const vec weight = splat(w[o * W_OUT]);
        UNROLL for (int j = 0; j < COLUMNS; j++) sum[o][j] += weight * value[j];
        UNROLL for (int j = 0; j < COLUMNS; j++) IN_ORDER(sum[o][j]);
    }
}

// sum[j] += sum over kx of w[kx] x[j + kx] for one output and COLUMNS columns; w[-kx] with FLIP.
// Every pixel is read once.
INLINE void add_taps(const vec *x, const float *w, vec sum[SUMS], const int COLUMNS,
                     const int KERNEL, const int FLIP) {
    vec weight[3];
    UNROLL for (int kx = 0; kx < KERNEL; kx++) weight[kx] = splat(w[FLIP ? -kx : kx]);
    UNROLL for (int p = 0; p < COLUMNS + KERNEL - 1; p++) {
        const vec value = x[p];
        UNROLL for (int kx = 0; kx < KERNEL; kx++)
            if (p >= kx && p - kx < COLUMNS) sum[p - kx] += weight[kx] * value;
    }
}

// COLUMNS neighbouring columns of BLOCK output channels:
//   y[o][x] = bias[o] + sum over i, ky, kx of w[o][i][ky][kx] x[i][ky][x STRIDE + kx]
//
// FLIP: take the taps in reverse order. Strides: x of channels and lines, w of outputs and inputs,
// y of channels.
INLINE void conv_block(const vec *x, const float *w, const float *bias, vec *y, const int BLOCK,
                       const int COLUMNS, const int IN, const int KERNEL, const int STRIDE,
                       const int FLIP, const int X_CHANNEL, const int X_LINE, const int W_OUT,
                       const int W_IN, const int Y_CHANNEL) {
    const int LAST = KERNEL * KERNEL - 1; // number of the last tap
    vec sum[OUTPUTS][SUMS];
    UNROLL for (int o = 0; o < BLOCK; o++)
        UNROLL for (int j = 0; j < COLUMNS; j++) sum[o][j] = splat(bias ? bias[o] : 0);
    ROLLED for (int i = 0; i < IN; i++) {
        const vec *pixels = x + i * X_CHANNEL;
        const float *taps = w + i * W_IN;
        if (KERNEL <= 3 && BLOCK == 1 && STRIDE == 1) {
            UNROLL for (int ky = 0; ky < KERNEL; ky++)
                add_taps(pixels + ky * X_LINE, taps + (FLIP ? LAST - ky * KERNEL : ky * KERNEL),
                         sum[0], COLUMNS, KERNEL, FLIP);
        } else if (KERNEL <= 3) {
            UNROLL for (int tap = 0; tap < LAST + 1; tap++)
                add_tap(pixels + tap / KERNEL * X_LINE + tap % KERNEL,
                        taps + (FLIP ? LAST - tap : tap), sum, BLOCK, COLUMNS, STRIDE, W_OUT);
        } else {
            for (int tap = 0; tap < LAST + 1; tap++)
                add_tap(pixels + tap / KERNEL * X_LINE + tap % KERNEL,
                        taps + (FLIP ? LAST - tap : tap), sum, BLOCK, COLUMNS, STRIDE, W_OUT);
        }
    }
    UNROLL for (int o = 0; o < BLOCK; o++)
        UNROLL for (int j = 0; j < COLUMNS; j++) y[o * Y_CHANNEL + j] = sum[o][j];
}

// A whole line of BLOCK output channels. What whole blocks of columns leave over is shared out
// between the last two blocks, so that none is too small to hide the latency of its sums.
INLINE void conv_line(const vec *x, const float *w, const float *bias, vec *y, const int BLOCK,
                      const int WIDTH, const int IN, const int KERNEL, const int STRIDE,
                      const int FLIP, const int X_CHANNEL, const int X_LINE, const int W_OUT,
                      const int W_IN, const int Y_CHANNEL) {
    const int COLUMNS = SUMS / BLOCK < 8 ? SUMS / BLOCK : 8;
    const int EVEN = WIDTH % COLUMNS == 0 || WIDTH < COLUMNS;
    const int WHOLE = WIDTH / COLUMNS - !EVEN;
    const int REST = WIDTH - WHOLE * COLUMNS, HALF = EVEN ? REST : (REST + 1) / 2;
    for (int b = 0; b < WHOLE; b++)
        conv_block(x + b * COLUMNS * STRIDE, w, bias, y + b * COLUMNS, BLOCK, COLUMNS, IN, KERNEL,
                   STRIDE, FLIP, X_CHANNEL, X_LINE, W_OUT, W_IN, Y_CHANNEL);
    x += WHOLE * COLUMNS * STRIDE, y += WHOLE * COLUMNS;
    if (HALF)
        conv_block(x, w, bias, y, BLOCK, HALF, IN, KERNEL, STRIDE, FLIP, X_CHANNEL, X_LINE, W_OUT,
                   W_IN, Y_CHANNEL);
    if (REST > HALF)
        conv_block(x + HALF * STRIDE, w, bias, y + HALF, BLOCK, REST - HALF, IN, KERNEL, STRIDE,
                   FLIP, X_CHANNEL, X_LINE, W_OUT, W_IN, Y_CHANNEL);
}

// `lines` lines of all OUT output channels of all groups; x has IN channels.
INLINE void conv_lines(const float *x, const float *w, const float *bias, float *y, const int IN,
                       const int OUT, const int WIDTH, const int KERNEL, const int STRIDE,
                       const int GROUPS, const int FLIP, const int X_CHANNEL, const int X_LINE,
                       const int W_GROUP, const int W_OUT, const int W_IN, const int Y_CHANNEL,
                       int lines) {
    const int INPUTS = IN / GROUPS, CHANNELS = OUT / GROUPS; // of a group
    const int REST = CHANNELS % OUTPUTS, WHOLE = CHANNELS - REST;
    for (int line = 0; line < lines; line++) {
        for (int g = 0; g < GROUPS; g++) {
            const vec *from = (const vec *)x + line * STRIDE * X_LINE + g * INPUTS * X_CHANNEL;
            vec *to = (vec *)y + line * WIDTH + g * CHANNELS * Y_CHANNEL;
            const float *weights = w + g * W_GROUP, *biases = bias ? bias + g * CHANNELS : 0;
            for (int o = 0; o < WHOLE; o += OUTPUTS)
                conv_line(from, weights + o * W_OUT, bias ? biases + o : 0, to + o * Y_CHANNEL,
                          OUTPUTS, WIDTH, INPUTS, KERNEL, STRIDE, FLIP, X_CHANNEL, X_LINE, W_OUT,
                          W_IN, Y_CHANNEL);
            if (REST)
                conv_line(from, weights + WHOLE * W_OUT, bias ? biases + WHOLE : 0,
                          to + WHOLE * Y_CHANNEL, REST, WIDTH, INPUTS, KERNEL, STRIDE, FLIP,
                          X_CHANNEL, X_LINE, W_OUT, W_IN, Y_CHANNEL);
        }
    }
}

// y[o][y][x] = bias[o] + sum over i, ky, kx of
//              w[o][i][ky][kx] x[i][y STRIDE + ky - PADDING][x STRIDE + kx - PADDING]
// for the lines [line_begin, line_end) of y.
//
// x: (IN, HEIGHT, WIDTH); bias: (OUT) or 0; y: (OUT, H, W), H and W as OUTPUT_SIDE says;
// sums and mask: see channel_sums; sums may be 0.
INLINE void conv_forward(const float *x, const float *w, const float *bias, float *y,
                         float *scratch, const int IN, const int OUT, const int HEIGHT,
                         const int WIDTH, const int KERNEL, const int STRIDE, const int PADDING,
                         const int GROUPS, int line_begin, int line_end, float *sums,
                         const float *mask) {
    const int H = OUTPUT_SIDE(HEIGHT, KERNEL, STRIDE, PADDING);
    const int W = OUTPUT_SIDE(WIDTH, KERNEL, STRIDE, PADDING);
    const int PADDED = WIDTH + 2 * PADDING, TAPS = KERNEL * KERNEL, INPUTS = IN / GROUPS;
    const int X_CHANNEL = PADDING ? PADDED : HEIGHT * WIDTH;
    const int X_LINE = PADDING ? IN * PADDED : WIDTH;
    const int lines = line_end - line_begin;
    const float *from = x + line_begin * STRIDE * WIDTH * LANES;
    if (PADDING) {
        pad_lines(x, scratch, IN, HEIGHT, WIDTH, PADDED, 1, PADDING, line_begin * STRIDE,
                  (lines - 1) * STRIDE + KERNEL);
        from = scratch;
    }
    conv_lines(from, w, bias, y + line_begin * W * LANES, IN, OUT, W, KERNEL, STRIDE, GROUPS, 0,
               X_CHANNEL, X_LINE, OUT / GROUPS * INPUTS * TAPS, INPUTS * TAPS, TAPS, H * W, lines);
    if (sums) channel_sums(y, sums, OUT, H * W, line_begin * W, line_end * W, mask);
}

// conv_forward of a whole chunk that a function of padding.h wrote to `padded` with PADDING zeros.
INLINE void conv_forward_padded(const float *padded, const float *w, const float *bias, float *y,
                                const int IN, const int OUT, const int HEIGHT, const int WIDTH,
                                const int KERNEL, const int STRIDE, const int PADDING,
                                const int GROUPS, float *sums, const float *mask) {
    const int H = OUTPUT_SIDE(HEIGHT, KERNEL, STRIDE, PADDING);
    const int W = OUTPUT_SIDE(WIDTH, KERNEL, STRIDE, PADDING);
    const int PADDED = WIDTH + 2 * PADDING, TAPS = KERNEL * KERNEL, INPUTS = IN / GROUPS;
    conv_lines(padded, w, bias, y, IN, OUT, W, KERNEL, STRIDE, GROUPS, 0, PADDED, IN * PADDED,
               OUT / GROUPS * INPUTS * TAPS, INPUTS * TAPS, TAPS, H * W, H);
    if (sums) channel_sums(y, sums, OUT, H * W, 0, H * W, mask);
}

// dx[i][y][x] = sum over o, ky, kx of w[o][i][ky][kx] dy[o][(y + PADDING - ky) / STRIDE]
//                                                          [(x + PADDING - kx) / STRIDE]
// over whole quotients inside dy, for the lines [line_begin, line_end) of dx: a convolution of the
// spread-out dy with flipped weights, whose inputs and outputs have changed places.
//
// dy: as y of conv_forward; dx: (IN, HEIGHT, WIDTH).
INLINE void conv_input_gradient(const float *dy, const float *w, float *dx, float *scratch,
                                const int IN, const int OUT, const int HEIGHT, const int WIDTH,
                                const int KERNEL, const int STRIDE, const int PADDING,
                                const int GROUPS, int line_begin, int line_end) {
    const int H = OUTPUT_SIDE(HEIGHT, KERNEL, STRIDE, PADDING);
    const int W = OUTPUT_SIDE(WIDTH, KERNEL, STRIDE, PADDING);
    const int PADDED = WIDTH + KERNEL - 1, TAPS = KERNEL * KERNEL, INPUTS = IN / GROUPS;
    const int lines = line_end - line_begin;
    dx += line_begin * WIDTH * LANES;
    if (KERNEL > 1 || STRIDE > 1 || PADDING) {
        pad_lines(dy, scratch, OUT, H, W, PADDED, STRIDE, KERNEL - 1 - PADDING, line_begin,
                  lines + KERNEL - 1);
        conv_lines(scratch, w, 0, dx, OUT, IN, WIDTH, KERNEL, 1, GROUPS, 1, PADDED, OUT * PADDED,
                   OUT / GROUPS * INPUTS * TAPS, TAPS, INPUTS * TAPS, HEIGHT * WIDTH, lines);
    } else {
        conv_lines(dy + line_begin * W * LANES, w, 0, dx, OUT, IN, WIDTH, 1, 1, GROUPS, 1, H * W, W,
                   OUT / GROUPS * INPUTS, 1, INPUTS, HEIGHT * WIDTH, lines);
    }
}

// conv_input_gradient of a whole chunk, with STRIDE 1, whose dy a function of padding.h wrote to
// `padded` with KERNEL - 1 - PADDING zeros.
INLINE void conv_input_gradient_padded(const float *padded, const float *w, float *dx,
                                       const int IN, const int OUT, const int HEIGHT,
                                       const int WIDTH, const int KERNEL, const int STRIDE,
                                       const int PADDING, const int GROUPS) {
    const int PADDED = WIDTH + KERNEL - 1, TAPS = KERNEL * KERNEL, INPUTS = IN / GROUPS;
    conv_lines(padded, w, 0, dx, OUT, IN, WIDTH, KERNEL, 1, GROUPS, 1, PADDED, OUT * PADDED,
               OUT / GROUPS * INPUTS * TAPS, TAPS, INPUTS * TAPS, HEIGHT * WIDTH, HEIGHT);
}

// dw[o][t] += sum over lines, columns and lanes of dy[o][y][x] x[y STRIDE][x STRIDE + place of t]
// for BLOCK output channels and STREAMS places t of x: taps of one input channel, or channels.
//
// Stream t starts at (t / ROW) X_ROW + (t % ROW) X_STEP. Strides: dw of outputs.
INLINE void weight_block(const vec *x, const vec *dy, float *dw, const int BLOCK,
                         const int STREAMS, const int ROW, const int X_ROW, const int X_STEP,
                         const int WIDTH, const int STRIDE, const int X_LINE, const int Y_CHANNEL,
                         const int Y_LINE, const int DW_OUT, int lines) {
    vec sum[OUTPUTS][SUMS];
    UNROLL for (int o = 0; o < BLOCK; o++)
        UNROLL for (int t = 0; t < STREAMS; t++) sum[o][t] = splat(0);
    for (int line = 0; line < lines; line++, x += STRIDE * X_LINE, dy += Y_LINE)
        ROLLED for (int column = 0; column < WIDTH; column++) {
            vec value[SUMS];
            UNROLL for (int t = 0; t < STREAMS; t++)
                value[t] = x[column * STRIDE + t / ROW * X_ROW + t % ROW * X_STEP];
            UNROLL for (int o = 0; o < BLOCK; o++) {
                const vec gradient = dy[o * Y_CHANNEL + column];
                UNROLL for (int t = 0; t < STREAMS; t++) sum[o][t] += gradient * value[t];
                UNROLL for (int t = 0; t < STREAMS; t++) IN_ORDER(sum[o][t]);
            }
        }
    UNROLL for (int o = 0; o < BLOCK; o++)
        UNROLL for (int t = 0; t < STREAMS; t++)
            dw[o * DW_OUT + t] += sum_lanes(sum[o][t]);
}

// All weights of BLOCK output channels of a group; x and dw start at the group's first input.
INLINE void weight_lines(const vec *x, const vec *dy, float *dw, const int BLOCK, const int INPUTS,
                         const int WIDTH, const int KERNEL, const int STRIDE, const int X_CHANNEL,
                         const int X_LINE, const int Y_CHANNEL, const int Y_LINE, int lines) {
    const int TAPS = KERNEL * KERNEL, ROOM = SUMS / BLOCK;
    if (KERNEL == 1) { // streams: input channels
        const int STREAMS = ROOM < INPUTS ? ROOM : INPUTS, REST = INPUTS % STREAMS;
        for (int i = 0; i < INPUTS - REST; i += STREAMS)
            weight_block(x + i * X_CHANNEL, dy, dw + i, BLOCK, STREAMS, STREAMS, 0, X_CHANNEL,
                         WIDTH, STRIDE, X_LINE, Y_CHANNEL, Y_LINE, INPUTS, lines);
        if (REST)
            weight_block(x + (INPUTS - REST) * X_CHANNEL, dy, dw + INPUTS - REST, BLOCK, REST,
                         REST, 0, X_CHANNEL, WIDTH, STRIDE, X_LINE, Y_CHANNEL, Y_LINE, INPUTS,
                         lines);
    } else if (TAPS <= ROOM) { // streams: all taps of one input channel
        for (int i = 0; i < INPUTS; i++)
            weight_block(x + i * X_CHANNEL, dy, dw + i * TAPS, BLOCK, TAPS, KERNEL, X_LINE, 1,
                         WIDTH, STRIDE, X_LINE, Y_CHANNEL, Y_LINE, INPUTS * TAPS, lines);
    } else { // streams: taps in a line of the kernel
        const int STREAMS = ROOM < KERNEL ? ROOM : KERNEL, REST = KERNEL % STREAMS;
        for (int i = 0; i < INPUTS; i++)
            for (int ky = 0; ky < KERNEL; ky++) {
                const vec *from = x + i * X_CHANNEL + ky * X_LINE;
                float *to = dw + i * TAPS + ky * KERNEL;
                for (int kx = 0; kx < KERNEL - REST; kx += STREAMS)
                    weight_block(from + kx, dy, to + kx, BLOCK, STREAMS, STREAMS, 0, 1, WIDTH,
                                 STRIDE, X_LINE, Y_CHANNEL, Y_LINE, INPUTS * TAPS, lines);
                if (REST)
                    weight_block(from + KERNEL - REST, dy, to + KERNEL - REST, BLOCK, REST, REST,
                                 0, 1, WIDTH, STRIDE, X_LINE, Y_CHANNEL, Y_LINE, INPUTS * TAPS,
                                 lines);
            }
    }
}

// dw and db of conv_weight_gradient from `lines` lines of dy and what they need of x. Strides: of
// channels and lines of both.
INLINE void weight_gradient(const vec *x, const vec *dy, float *dw, float *db, const int IN,
                            const int OUT, const int W, const int KERNEL, const int STRIDE,
                            const int GROUPS, const int X_CHANNEL, const int X_LINE,
                            const int Y_CHANNEL, const int Y_LINE, int lines) {
    const int INPUTS = IN / GROUPS, CHANNELS = OUT / GROUPS, SIZE = INPUTS * KERNEL * KERNEL;
    const int REST = CHANNELS % OUTPUTS, WHOLE = CHANNELS - REST;
    const int STRIP = W < 128 ? 128 / W : 1; // lines whose dy stays in the first-level cache
    for (int k = 0; k < OUT * SIZE; k++) dw[k] = 0;
    for (int line = 0; line < lines; line += STRIP) {
        const int strip = lines - line < STRIP ? lines - line : STRIP;
        for (int g = 0; g < GROUPS; g++) {
            const vec *from = x + line * STRIDE * X_LINE + g * INPUTS * X_CHANNEL;
            const vec *gradient = dy + line * Y_LINE + g * CHANNELS * Y_CHANNEL;
            float *to = dw + g * CHANNELS * SIZE;
            for (int o = 0; o < WHOLE; o += OUTPUTS)
                weight_lines(from, gradient + o * Y_CHANNEL, to + o * SIZE, OUTPUTS, INPUTS, W,
                             KERNEL, STRIDE, X_CHANNEL, X_LINE, Y_CHANNEL, Y_LINE, strip);
            if (REST)
                weight_lines(from, gradient + WHOLE * Y_CHANNEL, to + WHOLE * SIZE, REST, INPUTS,
                             W, KERNEL, STRIDE, X_CHANNEL, X_LINE, Y_CHANNEL, Y_LINE, strip);
        }
    }
    for (int o = 0; db && o < OUT; o++) {
        vec sum = splat(0);
        for (int line = 0; line < lines; line++)
            for (int column = 0; column < W; column++)
                sum += dy[o * Y_CHANNEL + line * Y_LINE + column];
        db[o] = sum_lanes(sum);
    }
}

// dw[o][i][ky][kx] = sum over y, x and lanes of
//                    dy[o][y][x] x[i][y STRIDE + ky - PADDING][x STRIDE + kx - PADDING]
// db[o] = sum over y, x and lanes of dy[o][y][x]
// over the lines [line_begin, line_end) of dy, which must be 0 in unused lanes.
//
// dw: (OUT, IN / GROUPS, KERNEL, KERNEL), overwritten; db: (OUT), overwritten, or 0.
INLINE void conv_weight_gradient(const float *x, const float *dy, float *dw, float *db,
                                 float *scratch, const int IN, const int OUT, const int HEIGHT,
                                 const int WIDTH, const int KERNEL, const int STRIDE,
                                 const int PADDING, const int GROUPS, int line_begin,
                                 int line_end) {
    const int H = OUTPUT_SIDE(HEIGHT, KERNEL, STRIDE, PADDING);
    const int W = OUTPUT_SIDE(WIDTH, KERNEL, STRIDE, PADDING);
    const int PADDED = WIDTH + 2 * PADDING;
    const int X_CHANNEL = PADDING ? PADDED : HEIGHT * WIDTH;
    const int X_LINE = PADDING ? IN * PADDED : WIDTH;
    const float *from = x + line_begin * STRIDE * WIDTH * LANES;
    if (PADDING) {
        pad_lines(x, scratch, IN, HEIGHT, WIDTH, PADDED, 1, PADDING, line_begin * STRIDE,
                  (line_end - line_begin - 1) * STRIDE + KERNEL);
        from = scratch;
    }
    weight_gradient((const vec *)from, (const vec *)dy + line_begin * W, dw, db, IN, OUT, W,
                    KERNEL, STRIDE, GROUPS, X_CHANNEL, X_LINE, H * W, W, line_end - line_begin);
}

// conv_weight_gradient of a whole chunk, with STRIDE 1. Functions of padding.h wrote x to
// `x_padded` with PADDING zeros and dy to `dy_padded` with KERNEL - 1 - PADDING zeros.
INLINE void conv_weight_gradient_padded(const float *x_padded, const float *dy_padded, float *dw,
                                        float *db, const int IN, const int OUT, const int HEIGHT,
                                        const int WIDTH, const int KERNEL, const int STRIDE,
                                        const int PADDING, const int GROUPS) {
    const int H = OUTPUT_SIDE(HEIGHT, KERNEL, 1, PADDING);
    const int W = OUTPUT_SIDE(WIDTH, KERNEL, 1, PADDING);
    const int X_PADDED = WIDTH + 2 * PADDING;
    const int ZEROS = KERNEL - 1 - PADDING, Y_PADDED = W + 2 * ZEROS;
    weight_gradient((const vec *)x_padded, (const vec *)dy_padded + ZEROS * (OUT * Y_PADDED + 1),
                    dw, db, IN, OUT, W, KERNEL, 1, GROUPS, X_PADDED, IN * X_PADDED, Y_PADDED,
                    OUT * Y_PADDED, H);
}
