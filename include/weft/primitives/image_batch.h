// Images of one size and pixel format, and their way to arrays and graphs and back.
#pragma once

#include <weft/image_file.h>
#include <weft/ndarray.h>
#include <weft/primitives/pixel_rectangle.h>

#include <cstdint>
#include <filesystem>
#include <span>

namespace weft {

/// Images of the same size, with any number of channels, in one array [image, y, x, channel] (NHWC). Elements of u8 and u16 stand for v / 255 and
/// v / 65535, those of f16 and f32 for themselves. Pixels become another type by these rules, the same on every device:
/// - u8 and u16 to floats: the quotient, rounded to f32, and that to f16 or whatever else;
/// - floats to u8 and u16: rint(min(max(v, 0), 1) * 255, or 65535) in f32, ties to even; NaN becomes 0;
/// - u8 to u16: v * 257; u16 to u8: to the nearest of v / 257;
/// - f16 and f32 to each other as `NDArray::cast` has it, larger than 1 and less than 0 included.
/// So what comes from u8, or from u16 by way of f32, comes back as it was.
///
/// Copies and regions share the pixels, as those of an NDArray do. Members throw RunError for what doesn't fit.
class ImageBatch {
 public:
  /// Zeros.
  ImageBatch(DType dtype, std::int64_t count, std::int64_t height, std::int64_t width, std::int64_t channels, Device device = {});
  /// Shares the pixels of [height, width], [height, width, channels] or [count, height, width, channels] of u8, u16, f16 or f32.
  explicit ImageBatch(const NDArray& pixels);
  /// Images with these values, in an array of the same shapes and any floating type. The inverse of `values`.
  static ImageBatch of(const NDArray& values, DType dtype);

  DType dtype() const { return pixels_.dtype(); }
  std::int64_t count() const { return pixels_.shape()[0]; }
  std::int64_t height() const { return pixels_.shape()[1]; }
  std::int64_t width() const { return pixels_.shape()[2]; }
  std::int64_t channels() const { return pixels_.shape()[3]; }
  Device device() const { return pixels_.device(); }

  /// The elements as they are, [count, height, width, channels].
  const NDArray& pixels() const { return pixels_; }
  NDArray& pixels() { return pixels_; }
  /// What the elements stand for, as a dense array of a floating type on the same device.
  NDArray values(DType dtype = f32) const;
  /// The same, to be fed to a graph.
  TensorData tensor_data(DType dtype = f32) const { return values(dtype); }

  // Views share the pixels.
  /// A part of every image, which must lie in it.
  ImageBatch region(const PixelRectangle& part) const;
  ImageBatch images(std::int64_t first, std::int64_t count = 1) const;
  /// Some of the channels.
  ImageBatch channels(std::int64_t first, std::int64_t count) const;

  /// In another type; these images if they have it.
  ImageBatch to(DType dtype) const;
  ImageBatch to(Device device) const;
  /// Takes the pixels of images of as many pixels and channels, of any type and on any device. With `region`, into a part.
  void assign(const ImageBatch& from);

  /// Of files as load_image reads them, all of the same size and as many channels. Where one has 16 bits and they are kept the batch is u16.
  static ImageBatch load(std::span<const std::filesystem::path> paths, const io::ImageReadOptions& options = {});
  /// One file an image, as save_image writes them; floats as u8.
  void save(std::span<const std::filesystem::path> paths, const io::ImageWriteOptions& options = {}) const;

 private:
  NDArray pixels_;
};

}  // namespace weft
