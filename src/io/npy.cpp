// NumPy's npy: a magic number, a version, and a header that is the text of a Python dictionary, then the elements.
#include <weft/io.h>

#include "io/file.h"

#include <charconv>
#include <numeric>
#include <optional>

namespace weft::io {
namespace {

constexpr std::string_view format = "npy file", magic = "\x93NUMPY";

struct TypeName {
  std::string_view name;  ///< without the byte order
  DType dtype;
};
constexpr TypeName type_names[] = {{"f4", f32}, {"f2", f16}, {"f8", f64}, {"i1", i8},  {"i2", i16},     {"i4", i32}, {"i8", i64},
                                   {"u1", u8},  {"u2", u16}, {"u4", u32}, {"u8", u64}, {"b1", boolean}, {"c8", c64}};

struct Header {
  DType dtype{};
  bool big_endian = false, column_major = false;
  std::vector<std::int64_t> sizes;
};

/// Reads the dictionary: string keys; a string, a bool and a tuple of integers as values.
class HeaderParser {
 public:
  HeaderParser(const InputFile& file, std::string_view text) : file_(file), text_(text) {}

  Header parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr" && !std::exchange(descr, true)) read_type(header);
      else if (key == "fortran_order" && !std::exchange(order, true)) header.column_major = boolean_value();
      else if (key == "shape" && !std::exchange(shape, true)) header.sizes = tuple();
      else file_.fail("its header has the key '" + std::string(key) + "' twice or unexpectedly");
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty()) malformed();
    if (!descr || !order || !shape) file_.fail("its header lacks one of 'descr', 'fortran_order' and 'shape'");
    return header;
  }

 private:
  [[noreturn]] void malformed() const { file_.fail("its header isn't a dictionary as NumPy writes it, near \"" + printable(text_) + "\""); }

  static std::string printable(std::string_view text) {
    std::string s(text.substr(0, 20));
    for (char& c : s)
      if (c < ' ' || c > '~') c = '?';
    return s;
  }

  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t')) text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) malformed();
  }

  std::string_view string() {
    skip_space();
    const char quote = text_.empty() ? '\0' : text_[0];
    if (quote != '\'' && quote != '"') malformed();
    const std::size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) malformed();
    const std::string_view value = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return value;
  }

  bool boolean_value() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.starts_with(word)) {
        text_.remove_prefix(word.size());
        return value;
      }
    malformed();
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
      if (error == std::errc::result_out_of_range || value < 0) file_.fail("a size in its header is negative or past 2^63 - 1");
      if (error != std::errc{}) malformed();
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      if (!text_.empty() && text_[0] == 'L') text_.remove_prefix(1);  // Python 2's long integers
      values.push_back(value);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  void read_type(Header& header) {
    skip_space();
    if (text_.starts_with('[')) file_.fail("it holds records, only plain elements can be read");
    const std::string_view name = string();
    const char order = name.empty() ? '\0' : name[0];
    header.big_endian = order == '>';
    if (order == '<' || order == '>' || order == '=' || order == '|')
      for (const auto& t : type_names)
        if (t.name == name.substr(1)) {
          header.dtype = t.dtype;
          return;
        }
    file_.fail("its element type '" + printable(name) + "' isn't one of weft's");
  }

  const InputFile& file_;
  std::string_view text_;
};

Shape checked_shape(const InputFile& file, const Header& header) {
  if (header.sizes.size() > max_rank) file.fail("it has " + std::to_string(header.sizes.size()) + " dimensions, at most 16 are possible");
  const auto bytes = declared_bytes(header.dtype, header.sizes);
  if (!bytes) file.fail("its shape has more than 2^63 - 1 bytes");
  if (*bytes > file.remaining())
    file.fail("is truncated, or its header lies: the elements take more than the " + std::to_string(file.remaining()) + " bytes after the header");
  if (*bytes < file.remaining()) file.fail(std::to_string(file.remaining() - *bytes) + " bytes follow the elements");
  return Shape(header.sizes);
}

}  // namespace

NDArray load_npy(const std::filesystem::path& path) {
  InputFile file(path, format);
  char start[8];
  file.read(std::as_writable_bytes(std::span(start)), "magic number");
  if (!std::string_view(start, sizeof start).starts_with(magic)) file.fail("isn't one, its magic number is wrong");
  const int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0) file.fail("its version isn't 1.0, 2.0 or 3.0");
  const std::uint64_t length = version == 1 ? file.read_value<std::uint16_t>("header's length") : file.read_value<std::uint32_t>("header's length");
  if (length > file.remaining()) file.fail("is truncated, or lies about its header's length of " + std::to_string(length) + " bytes");
  std::string text(length, '\0');
  file.read(std::as_writable_bytes(std::span(text)), "header");

  const Header header = HeaderParser(file, text).parse();
  Shape shape = checked_shape(file, header);
  if (header.column_major) {
    const std::vector<std::int64_t> reversed(header.sizes.rbegin(), header.sizes.rend());
    shape = Shape(reversed);
  }
  NDArray array(header.dtype, shape);
  const auto bytes = std::span(array.data(), static_cast<std::size_t>(array.byte_count()));
  file.read(bytes, "elements");
  if (header.big_endian) swap_bytes(bytes, header.dtype == c64 ? sizeof(float) : size_of(header.dtype));
  normalize_bools(array);
  if (!header.column_major) return array;
  std::vector<int> axes(header.sizes.size());
  std::iota(axes.rbegin(), axes.rend(), 0);
  return array.transpose(axes).dense();
}

void save_npy(const std::filesystem::path& path, const NDArray& array) {
  const auto* type = std::ranges::find(type_names, array.dtype(), &TypeName::dtype);
  if (type == std::end(type_names)) fail(format, path, "NumPy has no " + std::string(name_of(array.dtype())) + ", cast the array to f32 first");
  const NDArray dense = array.dense();
  std::string header = "{'descr': '";
  header += (size_of(array.dtype()) == 1 ? '|' : '<') + std::string(type->name) + "', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < array.rank(); ++i) header += (i ? " " : "") + std::to_string(array.shape()[i]) + (i + 1 < array.rank() || i == 0 ? "," : "");
  header += "), }";
  constexpr std::size_t prefix = 10, block = 64;  // the elements start at a multiple of 64
  header.resize((prefix + header.size() + 1 + block - 1) / block * block - prefix - 1, ' ');
  header += '\n';

  OutputFile file(path, format);
  const auto length = static_cast<std::uint16_t>(header.size());
  file.write(magic);
  file.write(std::string_view("\x01\x00", 2));
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  file.write(std::span(dense.data(), static_cast<std::size_t>(dense.byte_count())));
  file.commit();
}

}  // namespace weft::io
