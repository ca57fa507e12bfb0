// Pictures of digits in MNIST's form.
#include "apps/digits_data.h"

#include <weft/error.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::apps {
namespace {

/// A grey image of any size, 0 to 1.
struct Grey {
  int height = 0, width = 0;
  std::vector<float> values;
  Grey(int h, int w) : height(h), width(w), values(static_cast<std::size_t>(h) * static_cast<std::size_t>(w)) {}
  float& at(int y, int x) { return values[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)]; }
  float at(int y, int x) const { return const_cast<Grey*>(this)->at(y, x); }
};

/// Luma by ITU-R BT.601, over white or black paper where the picture is transparent: whichever its ink stands out from.
Grey to_grey(const NDArray& picture) {
  const auto& shape = picture.shape();
  const int height = static_cast<int>(shape[0]), width = static_cast<int>(shape[1]);
  const auto channels = static_cast<std::size_t>(shape.rank() == 3 ? shape[2] : 1);
  const NDArray dense = picture.dense();
  const auto pixels = dense.elements<std::uint8_t>();
  Grey grey(height, width);
  std::vector<float> alpha(grey.values.size(), 1.0f);
  float opaque = 0, light = 0;
  for (std::size_t i = 0; i < grey.values.size(); ++i) {
    const auto* p = &pixels[i * channels];
    grey.values[i] = channels < 3 ? p[0] / 255.0f : (0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]) / 255.0f;
    if (channels == 2 || channels == 4) alpha[i] = p[channels - 1] / 255.0f;
    opaque += alpha[i];
    light += alpha[i] * grey.values[i];
  }
  const float paper = light > opaque / 2 ? 0.0f : 1.0f;
  for (std::size_t i = 0; i < grey.values.size(); ++i) grey.values[i] = alpha[i] * grey.values[i] + (1 - alpha[i]) * paper;
  return grey;
}

/// Makes paper 0 and the strongest ink 1, and returns the strength below which something is grain of the paper.
float lift_ink(Grey& grey) {
  std::vector<float> border;
  for (int y = 0; y < grey.height; ++y)
    for (int x = 0; x < grey.width; ++x)
      if (y == 0 || x == 0 || y == grey.height - 1 || x == grey.width - 1) border.push_back(grey.at(y, x));
  const auto quantile = [&](double q) {
    const auto at = border.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(border.size() - 1));
    std::ranges::nth_element(border, at);
    return *at;
  };
  const float paper = quantile(0.5);
  const auto [darkest, lightest] = std::ranges::minmax(grey.values);
  const bool dark_ink = paper - darkest > lightest - paper;
  const float strongest = dark_ink ? paper - darkest : lightest - paper;
  if (strongest < 8.0f / 255) throw RunError("picture: nothing is drawn on it");
  for (float& v : grey.values) v = std::max(0.0f, (dark_ink ? paper - v : v - paper) / strongest);
  for (float& v : border) v = std::abs(v - paper) / strongest;
  return std::min(0.5f, 2 * quantile(0.9));
}

/// The mean of a rectangle whose edges may cut pixels.
float area_mean(const Grey& grey, double top, double bottom, double left, double right) {
  double sum = 0;
  for (int y = static_cast<int>(top); y < grey.height && y < bottom; ++y) {
    const double rows = std::min(bottom, y + 1.0) - std::max(top, static_cast<double>(y));
    for (int x = static_cast<int>(left); x < grey.width && x < right; ++x)
      sum += rows * (std::min(right, x + 1.0) - std::max(left, static_cast<double>(x))) * grey.at(y, x);
  }
  return static_cast<float>(sum / ((bottom - top) * (right - left)));
}

/// Cuts to the ink and fits that into 20 x 20.
Grey fit(const Grey& grey, float grain) {
  int top = grey.height, bottom = 0, left = grey.width, right = 0;
  for (int y = 0; y < grey.height; ++y)
    for (int x = 0; x < grey.width; ++x)
      if (grey.at(y, x) > grain) {
        top = std::min(top, y), bottom = std::max(bottom, y + 1);
        left = std::min(left, x), right = std::max(right, x + 1);
      }
  constexpr double box = 20;
  const double scale = box / std::max(bottom - top, right - left);
  Grey fitted(std::max(1, static_cast<int>(std::lround((bottom - top) * scale))), std::max(1, static_cast<int>(std::lround((right - left) * scale))));
  const double row = static_cast<double>(bottom - top) / fitted.height, column = static_cast<double>(right - left) / fitted.width;
  for (int y = 0; y < fitted.height; ++y)
    for (int x = 0; x < fitted.width; ++x) {
      const float ink = area_mean(grey, top + y * row, top + (y + 1) * row, left + x * column, left + (x + 1) * column);
      fitted.at(y, x) = ink > grain ? ink : 0.0f;
    }
  // Thin lines fade when they are scaled down; MNIST's strokes reach white.
  const float strongest = std::ranges::max(fitted.values);
  if (strongest > 0)
    for (float& v : fitted.values) v = std::min(1.0f, v / strongest);
  return fitted;
}

}  // namespace

NDArray to_mnist(const NDArray& picture) {
  const Shape& shape = picture.shape();
  const bool fits = picture.dtype() == u8 && (shape.rank() == 2 || (shape.rank() == 3 && shape[2] >= 1 && shape[2] <= 4));
  if (!fits || picture.element_count() == 0 || shape[0] > 1 << 20 || shape[1] > 1 << 20)
    throw RunError("picture: " + picture.type().str() + " isn't u8 [height, width] or [height, width, 1..4]");
  Grey grey = to_grey(picture);
  const float grain = lift_ink(grey);
  const Grey ink = fit(grey, grain);

  double mass = 0, mass_y = 0, mass_x = 0;
  for (int y = 0; y < ink.height; ++y)
    for (int x = 0; x < ink.width; ++x) {
      mass += ink.at(y, x);
      mass_y += ink.at(y, x) * (y + 0.5);
      mass_x += ink.at(y, x) * (x + 0.5);
    }
  constexpr int side = 28;
  constexpr double middle = 14.5;  // measured on MNIST: the centre of the pixel with index 14, not the middle of 28
  const auto place = [&](double moment, int size) { return std::clamp(static_cast<int>(std::lround(middle - moment / mass)), 0, side - size); };
  const int top = place(mass_y, ink.height), left = place(mass_x, ink.width);
  NDArray result(f32, {side, side});
  const auto out = result.elements<float>();
  for (int y = 0; y < ink.height; ++y)
    for (int x = 0; x < ink.width; ++x) out[static_cast<std::size_t>((top + y) * side + left + x)] = ink.at(y, x);
  return result;
}

}  // namespace weft::apps
