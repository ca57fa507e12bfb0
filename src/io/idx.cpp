// IDX, the format of MNIST: two zero bytes, an element type, a rank, the sizes, and the elements, all big-endian.
#include <weft/io.h>

#include "io/file.h"

#include <zlib.h>

#include <optional>

namespace weft::io {
namespace {

constexpr std::string_view format = "idx file";

struct TypeCode {
  unsigned char code;
  DType dtype;
};
constexpr TypeCode type_codes[] = {{0x08, u8}, {0x09, i8}, {0x0b, i16}, {0x0c, i32}, {0x0d, f32}, {0x0e, f64}};

/// A zlib stream and its end.
template <int (*end)(z_streamp)> struct Stream : z_stream {
  Stream() : z_stream{} {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { end(this); }
};

constexpr int gzip_window = 15 + 16;  // the largest window, in gzip's format

/// The content of a file, decompressed where the file is gzip's.
class Content {
 public:
  explicit Content(const std::filesystem::path& path) : file(path, format) {
    unsigned char start[2] = {};
    if (file.size() >= 2) file.read(std::as_writable_bytes(std::span(start)), "magic number");
    file.rewind();
    if (start[0] != 0x1f || start[1] != 0x8b) return;
    inflater_.emplace();
    if (inflateInit2(&*inflater_, gzip_window) != Z_OK) file.fail("no memory for decompression");
    input_.resize(std::size_t{1} << 16);
  }

  /// No content is larger: deflate codes at most 258 bytes in 2 bits.
  std::uint64_t most_bytes() const { return inflater_ ? file.size() * 1032 : file.size(); }

  void read(std::span<std::byte> to, const char* what) {
    if (!inflater_) return file.read(to, what);
    while (!to.empty()) {
      const std::size_t n = inflate_some(to);
      if (n == 0) file.fail(std::string("is truncated, its content ends inside the ") + what);
      to = to.subspan(n);
    }
  }

  bool at_end() {
    std::byte beyond{};
    return inflater_ ? inflate_some(std::span(&beyond, 1)) == 0 : file.remaining() == 0;
  }

  InputFile file;

 private:
  /// The number of bytes decompressed; 0 at the end, which has gone through gzip's check of length and sum.
  std::size_t inflate_some(std::span<std::byte> to) {
    z_stream& z = *inflater_;
    const auto wanted = static_cast<uInt>(std::min<std::size_t>(to.size(), std::size_t{1} << 30));
    z.next_out = reinterpret_cast<Bytef*>(to.data());
    z.avail_out = wanted;
    while (z.avail_out == wanted && !ended_) {
      if (z.avail_in == 0) {
        const std::size_t n = std::min<std::uint64_t>(input_.size(), file.remaining());
        if (n == 0) file.fail("is truncated, its compressed data has no end");
        file.read(std::span(input_).first(n), "compressed data");
        z.next_in = reinterpret_cast<Bytef*>(input_.data());
        z.avail_in = static_cast<uInt>(n);
      }
      const int status = inflate(&z, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        if (z.avail_in != 0 || file.remaining() != 0) file.fail("bytes follow its compressed data");
        ended_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        file.fail(std::string("its compressed data is corrupt") + (z.msg ? std::string(": ") + z.msg : ""));
      }
    }
    return wanted - z.avail_out;
  }

  std::optional<Stream<inflateEnd>> inflater_;
  std::vector<std::byte> input_;
  bool ended_ = false;
};

void write_compressed(OutputFile& file, std::span<const std::byte> bytes) {
  Stream<deflateEnd> z;
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) file.fail("no memory for compression");
  std::vector<std::byte> output(std::size_t{1} << 16);
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (z.avail_in == 0) {
      const auto n = static_cast<uInt>(std::min<std::size_t>(bytes.size(), std::size_t{1} << 30));
      z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
      z.avail_in = n;
      bytes = bytes.subspan(n);
    }
    z.next_out = reinterpret_cast<Bytef*>(output.data());
    z.avail_out = static_cast<uInt>(output.size());
    status = deflate(&z, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    file.write(std::span<const std::byte>(output).first(output.size() - z.avail_out));
  }
}

}  // namespace

NDArray load_idx(const std::filesystem::path& path) {
  Content content(path);
  InputFile& file = content.file;
  unsigned char magic[4];
  content.read(std::as_writable_bytes(std::span(magic)), "magic number");
  const auto* type = std::ranges::find(type_codes, magic[2], &TypeCode::code);
  if (magic[0] != 0 || magic[1] != 0 || type == std::end(type_codes)) file.fail("isn't one, its magic number is wrong");
  const int rank = magic[3];
  if (rank > max_rank) file.fail("it has " + std::to_string(rank) + " dimensions, at most 16 are possible");

  std::vector<std::int64_t> sizes(static_cast<std::size_t>(rank));
  for (auto& size : sizes) {
    std::uint32_t big_endian = 0;
    content.read(std::as_writable_bytes(std::span(&big_endian, 1)), "sizes");
    size = __builtin_bswap32(big_endian);
  }
  const auto bytes = declared_bytes(type->dtype, sizes);
  if (!bytes || *bytes > content.most_bytes()) file.fail("is truncated, or its sizes lie: they take more bytes than it can hold");

  NDArray array(type->dtype, Shape(sizes));
  const auto elements = std::span(array.data(), static_cast<std::size_t>(array.byte_count()));
  content.read(elements, "elements");
  if (!content.at_end()) file.fail("bytes follow the elements");
  swap_bytes(elements, size_of(type->dtype));
  return array;
}

void save_idx(const std::filesystem::path& path, const NDArray& array) {
  const auto* type = std::ranges::find(type_codes, array.dtype(), &TypeCode::dtype);
  if (type == std::end(type_codes)) fail(format, path, "the format has no " + std::string(name_of(array.dtype())));
  std::vector<std::byte> bytes = {std::byte{0}, std::byte{0}, std::byte{type->code}, static_cast<std::byte>(array.rank())};
  for (const std::int64_t size : array.shape()) {
    if (size >> 32) fail(format, path, "sizes of " + array.type().str() + " don't fit 32 bits");
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::byte>(size >> shift));
  }
  const std::size_t header = bytes.size();
  bytes.resize(header + static_cast<std::size_t>(array.byte_count()));
  const auto elements = std::span(bytes).subspan(header);
  array.read_bytes(elements);
  swap_bytes(elements, size_of(array.dtype()));

  OutputFile file(path, format);
  if (path.extension() == ".gz") write_compressed(file, bytes);
  else file.write(bytes);
  file.commit();
}

}  // namespace weft::io
