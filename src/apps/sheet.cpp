#include "apps/sheet.h"

#include "apps/canvas.h"

#include <weft/error.h>

#include <algorithm>
#include <cmath>

namespace weft::apps {
namespace {

constexpr Colour paper = {255, 255, 255}, ink = {40, 44, 52}, frame = {214, 218, 224};

Colour colour_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::right: return {22, 138, 68};
    case Verdict::wrong: return {214, 34, 44};
    case Verdict::none: break;
  }
  return {90, 96, 106};
}

NDArray as_bytes(const NDArray& images) {
  if (images.rank() != 3 || (images.dtype() != u8 && !is_floating(images.dtype())))
    throw RunError("sheet: " + images.type().str() + " isn't u8 or floating-point [n, height, width]");
  if (images.dtype() == u8) return images.dense();
  const NDArray from = images.cast(f32);
  NDArray bytes(u8, images.shape());
  std::ranges::transform(from.elements<float>(), bytes.elements<std::uint8_t>().begin(), [](float v) {
    return static_cast<std::uint8_t>(std::lround(255 * (v > 0 ? std::min(v, 1.0f) : 0.0f)));  // NaN is black
  });
  return bytes;
}

}  // namespace

NDArray sheet(const NDArray& images, std::span<const Caption> captions, const SheetOptions& options) {
  const NDArray bytes = as_bytes(images);
  const auto count = static_cast<int>(images.shape()[0]), height = static_cast<int>(images.shape()[1]), width = static_cast<int>(images.shape()[2]);
  if (!captions.empty() && static_cast<std::int64_t>(captions.size()) != count)
    throw RunError("sheet: " + std::to_string(count) + " images and " + std::to_string(captions.size()) + " captions");
  if (options.columns < 1 || options.magnification < 1) throw RunError("sheet: columns and magnification must be 1 or more");

  const int times = options.magnification, columns = std::max(1, std::min(options.columns, count)), rows = (count + columns - 1) / columns;
  constexpr int margin = 16, gap = 10, scale = 2, text_height = 9 * scale;
  int cell_width = width * times;
  for (const Caption& c : captions) cell_width = std::max(cell_width, text_width(c.text, scale));
  const int cell_height = height * times + (captions.empty() ? 0 : text_height + 6);
  const int title_height = options.title.empty() ? 0 : text_height + 14;
  const int sheet_width = std::max(2 * margin + columns * (cell_width + gap) - gap, 2 * margin + text_width(options.title, scale));
  Canvas canvas(sheet_width, 2 * margin + title_height + std::max(0, rows * (cell_height + gap) - gap), paper);
  canvas.text(canvas.width() / 2, margin, options.title, ink, scale, Align::centre);

  const auto pixels = bytes.elements<std::uint8_t>();
  for (int i = 0; i < count; ++i) {
    const int left = (sheet_width - columns * (cell_width + gap) + gap) / 2 + i % columns * (cell_width + gap) + (cell_width - width * times) / 2;
    const int top = margin + title_height + i / columns * (cell_height + gap);
    canvas.fill(left - 1, top - 1, width * times + 2, height * times + 2, frame);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const std::uint8_t v =
            pixels[(static_cast<std::size_t>(i) * static_cast<std::size_t>(height) + static_cast<std::size_t>(y)) * static_cast<std::size_t>(width) +
                   static_cast<std::size_t>(x)];
        canvas.fill(left + x * times, top + y * times, times, times, {v, v, v});
      }
    if (captions.empty()) continue;
    const Caption& c = captions[static_cast<std::size_t>(i)];
    canvas.text(left + width * times / 2, top + height * times + 6, c.text, colour_of(c.verdict), scale, Align::centre);
  }
  return canvas.image();
}

}  // namespace weft::apps
