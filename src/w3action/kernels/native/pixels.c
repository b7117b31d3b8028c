/* RGB pixels of a crop -> floats, channel by channel, in one pass.

   Compiled without contraction: products are rounded before they are added, as in the plain form.  */

#include <stdint.h>

/* planes (3, frames, rows, width) = pixels (frames, rows, width, 3) * scale - shift, by channel; a pixel's three bytes
   lie side by side, and pixels of a row as well. */
void normalize(const uint8_t *pixels, int64_t frames, int64_t rows, int64_t width, int64_t frame_step,
               int64_t row_step, const float *scale, const float *shift, float *planes) {
  // By value: what is written could be them, for all that the compiler knows.
  float scale_r = scale[0], scale_g = scale[1], scale_b = scale[2];
  float shift_r = shift[0], shift_g = shift[1], shift_b = shift[2];
  for (int64_t at = 0; at < frames * rows; at++) {
    const uint8_t *restrict pixel = pixels + at / rows * frame_step + at % rows * row_step;
    float *restrict red = planes + at * width;
    float *restrict green = red + frames * rows * width;
    float *restrict blue = green + frames * rows * width;
    for (int64_t x = 0; x < width; x++) {
      red[x] = pixel[3 * x] * scale_r - shift_r;
      green[x] = pixel[3 * x + 1] * scale_g - shift_g;
      blue[x] = pixel[3 * x + 2] * scale_b - shift_b;
    }
  }
}
