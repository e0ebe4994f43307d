// Affine maps of many small grey images, in whole numbers, so that they are the same everywhere.
//
// A point of the old image is known to 1/2048 of a pixel. Its value is the mean of the four pixels
// around it, weighted by the areas opposite to them, which add up to 2048 x 2048.
#pragma once
#include <stdint.h>

enum { MAP_BITS = 20, WARP_BITS = 11, WARP_ONE = 1 << WARP_BITS };

// The place of the pixel that stands in for the one at `at`, or -1 for black; `is_mirrored` repeats
// the line backwards beyond its ends, without the end itself: 2 1 | 0 1 2 3 | 2 1.
static inline int place_of(int at, int side, int is_mirrored) {
    if ((unsigned)at < (unsigned)side) return at;
    if (!is_mirrored) return -1;
    if (side == 1) return 0;
    while (at < 0 || at >= side) at = at < 0 ? -at : 2 * (side - 1) - at;
    return at;
}

static inline int smaller_of(int a, int b) { return a < b ? a : b; }
static inline int larger_of(int a, int b) { return a > b ? a : b; }

// Surround an image by a margin, [side + 2 margin][side + 2 margin].
static inline void surround(const uint8_t *image, uint8_t *out, int side, int margin,
                            int is_mirrored) {
    for (int y = -margin; y < side + margin; y++, out += side + 2 * margin) {
        const int from = place_of(y, side, is_mirrored);
        if (from < 0) {
            for (int x = 0; x < side + 2 * margin; x++) out[x] = 0;
            continue;
        }
        const uint8_t *line = image + from * side;
        for (int x = 0; x < side; x++) out[margin + x] = line[x];
        for (int x = 1; x <= margin; x++) {
            const int left = place_of(-x, side, is_mirrored);
            const int right = place_of(side - 1 + x, side, is_mirrored);
            out[margin - x] = left < 0 ? 0 : line[left];
            out[margin + side - 1 + x] = right < 0 ? 0 : line[right];
        }
    }
}

// Transform `count` of the images in place.
//
// images: [all][side][side]; indices: [count] of those to transform.
// maps: [count][2][3], from the new to the old points, x = a column + b line + c and so on, in
// 1/2^20 of a pixel. None may lie further than `margin` - 1 pixels outside of a mirrored image;
// beyond the margin of any other image all is black, if the margin has at least 2 pixels.
// scratch: [(side + 2 margin)^2] for the four pixels around each one, and as many bytes.
void warp_affine(uint8_t *images, const int64_t *indices, const int32_t *maps, uint32_t *scratch,
                 int count, int side, int margin, int is_mirrored) {
    const int width = side + 2 * margin, half = 1 << (MAP_BITS - WARP_BITS - 1);
    uint32_t *corners = scratch;
    uint8_t *wide = (uint8_t *)(scratch + width * width);
    for (int i = 0; i < count; i++, maps += 6) {
        uint8_t *image = images + indices[i] * side * side;
        surround(image, wide, side, margin, is_mirrored);
        for (int at = 0; at < width * (width - 1) - 1; at++)
            corners[at] = wide[at] | (uint32_t)wide[at + 1] << 8 |
                          (uint32_t)wide[at + width] << 16 | (uint32_t)wide[at + width + 1] << 24;
        for (int line = 0; line < side; line++, image += side) {
            const int32_t start_x = maps[1] * line + maps[2] + half;
            const int32_t start_y = maps[4] * line + maps[5] + half;
            for (int column = 0; column < side; column++) {
                int x = (start_x + maps[0] * column) >> (MAP_BITS - WARP_BITS);
                int y = (start_y + maps[3] * column) >> (MAP_BITS - WARP_BITS);
                const int right = x & (WARP_ONE - 1), down = y & (WARP_ONE - 1);
                x = larger_of(0, smaller_of((x >> WARP_BITS) + margin, width - 2));
                y = larger_of(0, smaller_of((y >> WARP_BITS) + margin, width - 2));
                const uint32_t around = corners[y * width + x];
                const int a = around & 255, b = around >> 8 & 255;
                const int c = around >> 16 & 255, d = around >> 24;
                const int top = a * WARP_ONE + (b - a) * right;
                const int bottom = c * WARP_ONE + (d - c) * right;
                const int sum = top * WARP_ONE + (bottom - top) * down;
                image[column] = (uint8_t)((sum + (1 << (2 * WARP_BITS - 1))) >> (2 * WARP_BITS));
            }
        }
    }
}
