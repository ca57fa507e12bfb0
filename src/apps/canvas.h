// Drawing into an RGB image: filled rectangles, anti-aliased lines, text in a small built-in bitmap font.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace weft::apps {

struct Colour {
  std::uint8_t r = 0, g = 0, b = 0;
};

/// Pixel centres lie at whole numbers plus a half.
struct Point {
  double x = 0, y = 0;
};

enum class Align { left, centre, right };

class Canvas {
 public:
  Canvas(int width, int height, Colour background);

  int width() const { return width_; }
  int height() const { return height_; }
  /// The picture, u8 [height, width, 3]. Shares the canvas's memory.
  const NDArray& image() const { return image_; }

  /// Parts outside are left out, here and below.
  void fill(int x, int y, int width, int height, Colour colour);
  /// Mixes a colour into a pixel; 0 leaves it, 1 replaces it.
  void blend(int x, int y, Colour colour, double opacity);
  /// Joined straight segments, `thickness` pixels wide, as one stroke: where it crosses itself it is no darker.
  void polyline(std::span<const Point> points, double thickness, Colour colour, double opacity = 1);
  /// One line of text whose capitals are 7 * scale pixels high, with its upper left, upper middle or upper right at x, y.
  void text(int x, int y, std::string_view text, Colour colour, int scale = 1, Align align = Align::left);
  /// The same turned by a quarter to read upwards, with the middle of the line at y.
  void text_upwards(int x, int y, std::string_view text, Colour colour, int scale = 1);

 private:
  int width_, height_;
  NDArray image_;
  std::span<std::uint8_t> pixels_;
  std::vector<float> coverage_;
};

/// The pixels that a line of text takes from left to right.
int text_width(std::string_view text, int scale = 1);

}  // namespace weft::apps
