#include <weft/primitives/image_batch.h>

#include "primitives/run_beside.h"
#include "runtime/convert.h"

#include <weft/elementwise.h>
#include <weft/graph.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

namespace weft {
namespace {

[[noreturn]] void fail(const std::string& what) { throw RunError("image batch: " + what); }

bool is_pixel_type(DType dtype) { return dtype == u8 || dtype == u16 || dtype == f16 || dtype == f32; }

void check_pixel_type(DType dtype) {
  if (!is_pixel_type(dtype)) fail("pixels can't be " + std::string(name_of(dtype)) + ", expects u8, u16, f16 or f32");
}

/// [count, height, width, channels], as a view.
NDArray as_batch(const NDArray& array) {
  const Shape& s = array.shape();
  switch (s.rank()) {
    case 2: return array.reshape({1, s[0], s[1], 1});
    case 3: return array.reshape({1, s[0], s[1], s[2]});
    case 4: return array;
    default: break;
  }
  fail("an array " + array.type().str() + " isn't one, expects [height, width], [height, width, channels] or [count, height, width, channels]");
}

template <class T> constexpr bool is_normalized = std::is_same_v<T, std::uint8_t> || std::is_same_v<T, std::uint16_t>;

/// One pixel as another type, by the rules of ImageBatch.
template <class To, class From> To convert_pixel(From v) {
  if constexpr (is_normalized<To> && is_normalized<From>) {
    if constexpr (sizeof(To) == sizeof(From)) return v;
    else if constexpr (sizeof(To) == 2) return static_cast<To>(v * 257);
    else return static_cast<To>((v + 128) / 257);
  } else if constexpr (is_normalized<From>) {
    return runtime::convert<To>(static_cast<float>(v) / static_cast<float>(std::numeric_limits<From>::max()));
  } else if constexpr (is_normalized<To>) {
    const auto x = runtime::convert<float>(v);
    if (!(x > 0)) return 0;
    return static_cast<To>(std::nearbyint(std::min(x, 1.0f) * static_cast<float>(std::numeric_limits<To>::max())));
  } else return runtime::convert<To>(v);
}

NDArray convert_on_host(const NDArray& pixels, DType dtype) {
  const NDArray from = pixels.dense();
  NDArray to(dtype, pixels.shape());
  const auto count = static_cast<std::size_t>(pixels.element_count());
  visit_dtype(pixels.dtype(), [&](auto f) {
    visit_dtype(dtype, [&](auto t) {
      using From = decltype(f);
      using To = decltype(t);
      constexpr auto fits = [](DType d) { return d == u8 || d == u16 || d == f16 || d == f32; };
      if constexpr (fits(dtype_of<From>) && fits(dtype_of<To>)) {
        const auto* a = reinterpret_cast<const From*>(from.data());
        auto* b = reinterpret_cast<To*>(to.data());
        for (std::size_t i = 0; i < count; ++i) b[i] = convert_pixel<To>(a[i]);
      }
    });
  });
  return to;
}

/// The same as a graph.
struct PixelGraph {
  Graph graph;
  Tensor pixels, converted;

  PixelGraph(DType from, DType to) : pixels(graph.placeholder({dynamic, dynamic, dynamic, dynamic}, from, "pixels")) {
    const auto largest = [](DType d) { return d == u8 ? 255.0 : 65535.0; };
    if (is_integer(from) && is_integer(to)) {
      const Tensor wide = cast(pixels, i32);
      converted = cast(to == u16 ? wide * 257 : (wide + 128) / 257, to);
    } else if (is_integer(from)) converted = cast(cast(pixels, f32) / largest(from), to);
    else if (is_integer(to)) converted = cast(rint(minimum(maximum(cast(pixels, f32), 0.0), 1.0) * largest(to)), to);
    else converted = cast(pixels, to);
  }
};

/// On a GPU, as one kernel. Graphs are kept for the process, and so what they are compiled to.
NDArray convert_on_gpu(const NDArray& pixels, DType dtype) {
  static auto* mutex = new std::mutex;
  static auto* graphs = new std::map<std::pair<DType, DType>, PixelGraph>;
  PixelGraph* g = nullptr;
  {
    const std::lock_guard lock(*mutex);
    g = &graphs->try_emplace({pixels.dtype(), dtype}, pixels.dtype(), dtype).first->second;
  }
  return run_beside(nullptr, g->graph, g->pixels, pixels, g->converted, {});
}

NDArray convert_pixels(const NDArray& pixels, DType dtype) {
  if (pixels.dtype() == dtype) return pixels;
  return pixels.device().is_cpu() ? convert_on_host(pixels, dtype) : convert_on_gpu(pixels, dtype);
}

void check_range(const char* what, std::int64_t first, std::int64_t count, std::int64_t size) {
  if (first < 0 || count < 0 || first > size || count > size - first)
    fail(std::string(what) + ": " + std::to_string(count) + " from " + std::to_string(first) + " on don't lie in " + std::to_string(size));
}

}  // namespace

ImageBatch::ImageBatch(DType dtype, std::int64_t count, std::int64_t height, std::int64_t width, std::int64_t channels, Device device) {
  check_pixel_type(dtype);
  std::int64_t elements = 1;
  for (const std::int64_t size : {count, height, width, channels})
    if (size < 0 || __builtin_mul_overflow(elements, size, &elements)) fail("sizes are negative, or too large together");
  pixels_ = NDArray(dtype, {count, height, width, channels}, device);
}

ImageBatch::ImageBatch(const NDArray& pixels) : pixels_(as_batch(pixels)) { check_pixel_type(pixels.dtype()); }

ImageBatch ImageBatch::of(const NDArray& values, DType dtype) {
  check_pixel_type(dtype);
  if (!is_floating(values.dtype())) fail("values can't be " + std::string(name_of(values.dtype())) + ", expects a floating type");
  const NDArray batch = as_batch(values);
  ImageBatch result(convert_pixels(batch.dtype() == f16 || batch.dtype() == f32 ? batch : batch.cast(f32), dtype));
  if (result.pixels_.data() == values.data()) result.pixels_ = result.pixels_.copy();
  return result;
}

NDArray ImageBatch::values(DType dtype) const {
  if (!is_floating(dtype)) fail("values can't be " + std::string(name_of(dtype)) + ", expects a floating type");
  if (this->dtype() == dtype) return pixels_.copy();
  return is_pixel_type(dtype) ? convert_pixels(pixels_, dtype) : convert_pixels(pixels_, f32).cast(dtype);
}

ImageBatch ImageBatch::region(const PixelRectangle& part) const {
  check_range("columns of a region", part.x, part.width, width());
  check_range("rows of a region", part.y, part.height, height());
  return ImageBatch(pixels_.slice(1, part.y, part.y + part.height).slice(2, part.x, part.x + part.width));
}

ImageBatch ImageBatch::images(std::int64_t first, std::int64_t count) const {
  check_range("images", first, count, this->count());
  return ImageBatch(pixels_.slice(0, first, first + count));
}

ImageBatch ImageBatch::channels(std::int64_t first, std::int64_t count) const {
  check_range("channels", first, count, channels());
  return ImageBatch(pixels_.slice(3, first, first + count));
}

ImageBatch ImageBatch::to(DType dtype) const {
  check_pixel_type(dtype);
  return ImageBatch(convert_pixels(pixels_, dtype));
}

ImageBatch ImageBatch::to(Device device) const { return ImageBatch(pixels_.to(device)); }

void ImageBatch::assign(const ImageBatch& from) {
  if (from.pixels_.shape() != pixels_.shape()) fail("images " + from.pixels_.type().str() + " can't become " + pixels_.type().str());
  pixels_.assign(convert_pixels(from.pixels_, dtype()));
}

ImageBatch ImageBatch::load(std::span<const std::filesystem::path> paths, const io::ImageReadOptions& options) {
  if (paths.empty()) fail("no files are named");
  std::vector<NDArray> images;
  bool deep = false;
  for (const auto& path : paths) {
    images.push_back(io::load_image(path, options));
    deep = deep || images.back().dtype() == u16;
    if (images.back().shape() != images.front().shape())
      fail("\"" + path.string() + "\" is " + images.back().shape().str() + ", \"" + paths[0].string() + "\" " + images[0].shape().str());
  }
  const Shape& s = images[0].shape();
  ImageBatch batch(deep ? u16 : u8, static_cast<std::int64_t>(images.size()), s[0], s[1], s[2]);
  for (std::size_t i = 0; i < images.size(); ++i) batch.images(static_cast<std::int64_t>(i)).assign(ImageBatch(images[i]));
  return batch;
}

void ImageBatch::save(std::span<const std::filesystem::path> paths, const io::ImageWriteOptions& options) const {
  if (static_cast<std::int64_t>(paths.size()) != count())
    fail(std::to_string(paths.size()) + " files are named for " + std::to_string(count()) + " images");
  const ImageBatch stored = is_floating(dtype()) ? to(u8) : *this;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto n = static_cast<std::int64_t>(i);
    io::save_image(paths[i], stored.pixels_.slice(0, n, n + 1).reshape({height(), width(), channels()}), options);
  }
}

}  // namespace weft
