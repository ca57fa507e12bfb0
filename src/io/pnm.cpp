// PGM and PPM, binary and plain. https://netpbm.sourceforge.net/doc/pnm.html
#include "io/file.h"
#include "io/image_formats.h"

#include <charconv>
#include <string>

namespace weft::io {
namespace {

constexpr std::string_view format = "pnm file";

/// Reads the numbers of a header or of a plain image.
class Scanner {
 public:
  Scanner(std::span<const std::byte> bytes, const std::string& name)
      : at_(reinterpret_cast<const char*>(bytes.data())), end_(at_ + bytes.size()), name_(name) {}

  /// From `least` to `most`, after white space and comments.
  std::int64_t number(const char* what, std::int64_t least, std::int64_t most) {
    while (at_ != end_ && (is_space(*at_) || *at_ == '#'))
      if (*at_++ == '#')
        while (at_ != end_ && *at_ != '\n' && *at_ != '\r') ++at_;
    std::int64_t value = 0;
    const auto [after, error] = std::from_chars(at_, end_, value);
    if (at_ == end_) fail(format, name_, std::string("is truncated, ") + what + " is missing");
    if (error == std::errc::invalid_argument) fail(format, name_, std::string("is broken: ") + what + " isn't a number");
    if (error != std::errc{} || value < least || value > most)
      fail(format, name_, std::string("is broken: ") + what + " isn't from " + std::to_string(least) + " to " + std::to_string(most));
    at_ = after;
    return value;
  }
  /// The one character between a header and binary samples.
  void space() {
    if (at_ == end_ || !is_space(*at_)) fail(format, name_, "is broken: no white space after the header");
    ++at_;
  }
  void skip(std::ptrdiff_t count) { at_ += count; }
  std::span<const std::byte> rest() const { return std::as_bytes(std::span(at_, end_)); }

 private:
  static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

  const char *at_, *end_;
  const std::string& name_;
};

template <class T> void read_samples(Scanner& scanner, bool plain, std::int64_t maximum, std::span<T> to, const std::string& name) {
  constexpr std::int64_t full = std::numeric_limits<T>::max();
  const auto scaled = [&](std::int64_t v) { return static_cast<T>((v * full + maximum / 2) / maximum); };
  if (plain) {
    for (T& t : to) t = scaled(scanner.number("a sample", 0, maximum));
    return;
  }
  const std::span<const std::byte> bytes = scanner.rest();
  const std::size_t width = maximum > 255 ? 2 : 1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    auto v = std::to_integer<std::int64_t>(bytes[i * width]);
    if (width == 2) v = v << 8 | std::to_integer<std::int64_t>(bytes[i * width + 1]);
    if (v > maximum) fail(format, name, "is broken: a sample of " + std::to_string(v) + " is larger than the largest, " + std::to_string(maximum));
    to[i] = scaled(v);
  }
}

}  // namespace

NDArray decode_pnm(std::span<const std::byte> bytes, const ImageReadOptions& options, const std::string& name) {
  const char kind = bytes.size() < 2 ? '0' : static_cast<char>(bytes[1]);
  if (kind != '2' && kind != '3' && kind != '5' && kind != '6')
    fail(format, name, std::string("of kind P") + kind + " can't be read, only P2 and P5 (PGM), P3 and P6 (PPM)");
  const bool plain = kind <= '3';
  const std::int64_t channels = kind == '3' || kind == '6' ? 3 : 1;
  Scanner scanner(bytes, name);
  scanner.skip(2);
  const std::int64_t width = scanner.number("its width", 1, 0x7fffffff), height = scanner.number("its height", 1, 0x7fffffff);
  const std::int64_t maximum = scanner.number("its largest sample", 1, 65535);
  scanner.space();
  // Sizes of 31 bits leave room for three channels of two bytes in 65.
  const auto samples = static_cast<unsigned __int128>(width) * static_cast<unsigned __int128>(height) * static_cast<unsigned>(channels);
  const auto least = plain ? 2 * samples - 1 : samples * (maximum > 255 ? 2 : 1);
  if (least > scanner.rest().size()) fail(format, name, "is truncated, or its header lies: its size takes more bytes than it has");
  check_pixels(width, height, options, format, name);
  if (maximum > 255 && options.keep_16_bits) {
    NDArray image(u16, {height, width, channels});
    read_samples<std::uint16_t>(scanner, plain, maximum, image.elements<std::uint16_t>(), name);
    return image;
  }
  NDArray image(u8, {height, width, channels});
  read_samples<std::uint8_t>(scanner, plain, maximum, image.elements<std::uint8_t>(), name);
  return image;
}

std::vector<std::byte> encode_pnm(const NDArray& image, bool plain, const std::filesystem::path& path) {
  const ImageSizes sizes = checked_sizes(image, true, 0x7fffffff, format, path);
  if (sizes.channels != 1 && sizes.channels != 3) fail(format, path, "holds 1 or 3 channels, the array " + image.type().str() + " has others");
  const bool deep = image.dtype() == u16, colour = sizes.channels == 3;
  std::string text = std::string("P") + static_cast<char>((plain ? '2' : '5') + (colour ? 1 : 0)) + "\n" + std::to_string(sizes.width) + " " +
                     std::to_string(sizes.height) + "\n" + (deep ? "65535" : "255") + "\n";
  NDArray samples = image.to(Device::cpu()).dense();
  if (plain) {
    // Lines of at most 70 characters, as the format recommends.
    const NDArray wide = samples.cast(u16);
    std::size_t line = text.size();
    for (const std::uint16_t v : wide.elements<std::uint16_t>()) {
      const std::string digits = std::to_string(v);
      if (text.size() + 1 + digits.size() > line + 70) {
        text += '\n';
        line = text.size();
      } else if (text.size() > line) {
        text += ' ';
      }
      text += digits;
    }
    text += '\n';
  }
  std::vector<std::byte> bytes(text.size());
  std::ranges::copy(std::as_bytes(std::span(text)), bytes.begin());
  if (plain) return bytes;
  const std::size_t header = bytes.size();
  bytes.resize(header + static_cast<std::size_t>(samples.byte_count()));
  const std::span<std::byte> body(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  samples.read_bytes(body);
  swap_bytes(body, deep ? 2 : 1);
  return bytes;
}

}  // namespace weft::io
