// Affine maps of many small grey images, in whole numbers, so that they are the same everywhere.
//
// A point of the old image is known to 1/2048 of a pixel. Its value is the mean of the four pixels
// around it, weighted by the areas opposite to them, which add up to 2048 x 2048.
#pragma once
#include <stdint.h>

enum { WARP_BITS = 11, WARP_ONE = 1 << WARP_BITS };

// The place of the pixel that stands in for the one at `at`, or -1 for black; `is_mirrored` repeats
// the line backwards beyond its ends, without the end itself: 2 1 | 0 1 2 3 | 2 1.
static inline int place_of(int at, int side, int is_mirrored) {
    if ((unsigned)at < (unsigned)side) return at;
    if (!is_mirrored) return -1;
    if (side == 1) return 0;
    while (at < 0 || at >= side) at = at < 0 ? -at : 2 * (side - 1) - at;
    return at;
}

static inline int pixel_at(const uint8_t *image, int x, int y, int side, int is_mirrored) {
    x = place_of(x, side, is_mirrored), y = place_of(y, side, is_mirrored);
    return x < 0 || y < 0 ? 0 : image[y * side + x];
}

// Transform `count` of the images in place.
//
// images: [all][side][side]; indices: [count] of those to transform.
// lines: [count][side][2], x and y of the old point of each line's first pixel; columns:
// [count][side][2], what each pixel of a line adds to it. Both in 1/65536 of a pixel.
// scratch: [side][side].
void warp_affine(uint8_t *images, const int64_t *indices, const int32_t *lines,
                 const int32_t *columns, uint8_t *scratch, int count, int side, int is_mirrored) {
    const int shift = 16 - WARP_BITS, half = 1 << (shift - 1);
    for (int i = 0; i < count; i++) {
        uint8_t *image = images + indices[i] * side * side;
        for (int at = 0; at < side * side; at++) scratch[at] = image[at];
        for (int line = 0; line < side; line++, lines += 2, image += side) {
            for (int column = 0; column < side; column++) {
                int x = (lines[0] + columns[2 * column] + half) >> shift;
                int y = (lines[1] + columns[2 * column + 1] + half) >> shift;
                int right = x & (WARP_ONE - 1), down = y & (WARP_ONE - 1);
                x >>= WARP_BITS, y >>= WARP_BITS;
                int a, b, c, d;
                if ((unsigned)x < (unsigned)side - 1 && (unsigned)y < (unsigned)side - 1) {
                    const uint8_t *corner = scratch + y * side + x;
                    a = corner[0], b = corner[1], c = corner[side], d = corner[side + 1];
                } else {
                    a = pixel_at(scratch, x, y, side, is_mirrored);
                    b = pixel_at(scratch, x + 1, y, side, is_mirrored);
                    c = pixel_at(scratch, x, y + 1, side, is_mirrored);
                    d = pixel_at(scratch, x + 1, y + 1, side, is_mirrored);
                }
                int top = a * (WARP_ONE - right) + b * right;
                int bottom = c * (WARP_ONE - right) + d * right;
                int sum = top * (WARP_ONE - down) + bottom * down;
                image[column] = (uint8_t)((sum + (1 << (2 * WARP_BITS - 1))) >> (2 * WARP_BITS));
            }
        }
        columns += 2 * side;
    }
}
