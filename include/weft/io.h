// Files: arrays as npy, safetensors and IDX, images as PNG.
//
// Readers take regular files, check every length that a file declares against the file itself before they trust or
// allocate anything, and throw RunError naming the file and what is wrong with it. Savers write a temporary file beside
// the target and rename it into place once all of it is on disk, so that a full disk or a crash leaves the old file; they
// throw RunError with the path and the system's reason.
#pragma once

#include <weft/ndarray.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace weft::io {

/// The bytes of a regular file.
std::vector<std::byte> load_file(const std::filesystem::path& path);
/// Replaces or creates a file as a whole. A symbolic link is followed; a device or pipe is written to directly.
void save_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
inline void save_file(const std::filesystem::path& path, std::string_view text) { save_file(path, std::as_bytes(std::span(text))); }

/// NumPy's npy, versions 1 to 3, either byte order and element order; the result is dense. Files with more bytes than
/// elements are refused. NEP 1, and numpy/lib/format.py for versions 2 and 3.
NDArray load_npy(const std::filesystem::path& path);
/// Version 1, little-endian, row-major. NumPy has no bf16: cast that to f32 first.
void save_npy(const std::filesystem::path& path, const NDArray& array);

/// Named arrays with a few strings beside them.
struct Safetensors {
  std::map<std::string, NDArray> tensors;
  std::map<std::string, std::string> metadata;
};
/// https://huggingface.co/docs/safetensors. Refuses overlaps and gaps between tensors, duplicate names, and element types
/// that weft hasn't (the 8-bit and smaller floats).
Safetensors load_safetensors(const std::filesystem::path& path);
/// Tensors lie in the order that the format's own library writes: widest element type first, then by name. c64 is refused.
void save_safetensors(const std::filesystem::path& path, const Safetensors& content);

/// The IDX files of MNIST (u8, i8, i16, i32, f32, f64, big-endian), plain or compressed by gzip.
/// http://yann.lecun.com/exdb/mnist
NDArray load_idx(const std::filesystem::path& path);
/// Compressed when the path ends in ".gz".
void save_idx(const std::filesystem::path& path, const NDArray& array);

/// A PNG as u8 [height, width, channels]: 1 channel for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA. Palettes become
/// RGB, a transparent colour becomes alpha, 1, 2 and 4 bits are scaled up to 8, and 16 bits down to the nearest of 8
/// (round(v / 257)). Gamma and colour profiles are not applied.
NDArray load_png(const std::filesystem::path& path);
/// Writes u8 or u16 [height, width] or [height, width, 1..4]; channels as load_png gives them.
void save_png(const std::filesystem::path& path, const NDArray& image);
/// As load_png and save_png, in memory. `name` stands for the file in errors.
NDArray decode_png(std::span<const std::byte> bytes, const std::string& name = "image");
std::vector<std::byte> encode_png(const NDArray& image);

}  // namespace weft::io
