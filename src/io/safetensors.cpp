// safetensors: the length of a JSON header, the header, and the tensors' bytes, which it places without gaps.
#include <weft/io.h>

#include "io/file.h"

#include <nlohmann/json.hpp>

#include <functional>
#include <set>

namespace weft::io {
namespace {

using Json = nlohmann::json;

constexpr std::string_view format = "safetensors file", metadata_key = "__metadata__";
constexpr std::uint64_t largest_header = 100'000'000;  // the limit of the format's own library

struct TypeName {
  std::string_view name;
  DType dtype;
};
/// In the order of the format's own library, which writes later ones first.
constexpr TypeName type_names[] = {{"BOOL", boolean}, {"U8", u8},   {"I8", i8},   {"I16", i16}, {"U16", u16}, {"F16", f16}, {"BF16", bf16},
                                   {"I32", i32},      {"U32", u32}, {"F32", f32}, {"F64", f64}, {"I64", i64}, {"U64", u64}};

/// Parses the header, refusing keys that stand twice in one object, of which the parser would keep the last.
Json parse_header(const InputFile& file, std::string_view text) {
  constexpr int deepest = 4;
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > deepest) file.fail("its header is nested too deeply");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      file.fail("its header has \"" + value.get<std::string>() + "\" twice");
    return true;
  };
  try {
    Json header = Json::parse(text, check);
    if (!header.is_object()) file.fail("its header isn't a JSON object");
    return header;
  } catch (const Json::parse_error& e) {
    file.fail("its header isn't JSON, wrong at byte " + std::to_string(e.byte));
  } catch (const Json::exception&) { file.fail("its header has a number that is out of range"); }
}

struct Entry {
  std::string name;
  TensorType type;
  std::uint64_t begin = 0, end = 0;
};

/// Checks one tensor's description against itself and the bytes that the file has for all of them.
Entry parse_entry(const InputFile& file, const std::string& name, const Json& description, std::uint64_t available) {
  const auto refuse = [&](const std::string& what) { file.fail("tensor \"" + name + "\": " + what); };
  const auto field = [&](const char* key, bool (Json::*is)() const noexcept) -> const Json& {
    const auto found = description.find(key);
    if (found == description.end() || !((*found).*is)()) refuse(std::string("its ") + key + " is missing or of another kind");
    return *found;
  };
  if (!description.is_object() || description.size() != 3) refuse("isn't described by dtype, shape and data_offsets");
  const auto& type_name = field("dtype", &Json::is_string).get_ref<const std::string&>();
  const auto* type = std::ranges::find(type_names, type_name, &TypeName::name);
  if (type == std::end(type_names)) refuse("its element type \"" + type_name + "\" isn't one of weft's");

  std::vector<std::int64_t> sizes;
  for (const Json& size : field("shape", &Json::is_array)) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() >> 63) refuse("a size isn't an integer from 0 to 2^63 - 1");
    sizes.push_back(size.get<std::int64_t>());
  }
  if (sizes.size() > max_rank) refuse("it has " + std::to_string(sizes.size()) + " dimensions, at most 16 are possible");
  const auto bytes = declared_bytes(type->dtype, sizes);
  if (!bytes) refuse("its shape has more than 2^63 - 1 bytes");

  const Json& offsets = field("data_offsets", &Json::is_array);
  if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) refuse("its data_offsets aren't two integers");
  Entry entry{name, {type->dtype, Shape(sizes)}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
  if (entry.begin > entry.end || entry.end > available)
    refuse("its bytes " + std::to_string(entry.begin) + " to " + std::to_string(entry.end) + " don't lie in the " + std::to_string(available) +
           " that the file has");
  if (entry.end - entry.begin != *bytes)
    refuse(entry.type.str() + " takes " + std::to_string(*bytes) + " bytes, its data_offsets span " + std::to_string(entry.end - entry.begin));
  return entry;
}

}  // namespace

Safetensors load_safetensors(const std::filesystem::path& path) {
  InputFile file(path, format);
  const auto length = file.read_value<std::uint64_t>("header's length");
  if (length > file.remaining()) file.fail("is truncated, or lies about its header's length of " + std::to_string(length) + " bytes");
  if (length > largest_header) file.fail("its header is larger than 100 MB");
  std::string text(length, '\0');
  file.read(std::as_writable_bytes(std::span(text)), "header");

  Safetensors content;
  std::vector<Entry> entries;
  const Json header = parse_header(file, text);
  for (const auto& [name, description] : header.items()) {
    if (name == metadata_key) {
      if (!description.is_object()) file.fail("its metadata isn't an object of strings");
      for (const auto& [key, value] : description.items()) {
        if (!value.is_string()) file.fail("its metadata \"" + key + "\" isn't a string");
        content.metadata[key] = value.get<std::string>();
      }
    } else {
      entries.push_back(parse_entry(file, name, description, file.remaining()));
    }
  }

  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  std::uint64_t position = 0;
  for (const Entry& e : entries) {
    if (e.begin < position) file.fail("tensor \"" + e.name + "\": its bytes overlap those of another");
    if (e.begin > position) file.fail("no tensor has the bytes " + std::to_string(position) + " to " + std::to_string(e.begin));
    position = e.end;
  }
  if (position != file.remaining()) file.fail(std::to_string(file.remaining() - position) + " bytes follow the tensors");

  for (const Entry& e : entries) {
    NDArray array(e.type);
    file.read(std::span(array.data(), static_cast<std::size_t>(array.byte_count())), "tensors");
    normalize_bools(array);
    content.tensors.emplace(e.name, std::move(array));
  }
  return content;
}

void save_safetensors(const std::filesystem::path& path, const Safetensors& content) {
  struct Item {
    std::string name;
    NDArray array;
    const TypeName* type;
  };
  std::vector<Item> items;
  for (const auto& [name, array] : content.tensors) {
    const auto* type = std::ranges::find(type_names, array.dtype(), &TypeName::dtype);
    if (type == std::end(type_names)) fail(format, path, "tensor \"" + name + "\": the format has no " + std::string(name_of(array.dtype())));
    if (name == metadata_key) fail(format, path, "a tensor can't be named \"" + name + "\"");
    items.push_back({name, array, type});
  }
  std::ranges::stable_sort(items, std::greater{}, &Item::type);

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!content.metadata.empty()) header[metadata_key] = content.metadata;
  std::int64_t position = 0;
  for (const Item& i : items) {
    const auto sizes = i.array.shape().sizes();
    header[i.name] = {{"dtype", i.type->name}, {"shape", std::vector(sizes.begin(), sizes.end())}, {"data_offsets", {0, 0}}};
    header[i.name]["data_offsets"] = {position, position + i.array.byte_count()};
    position += i.array.byte_count();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::type_error&) { fail(format, path, "a name or metadata isn't UTF-8"); }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that tensors are aligned in a mapped file
  const std::uint64_t length = text.size();
  if (length > largest_header) fail(format, path, "its header would be larger than 100 MB");

  OutputFile file(path, format);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const Item& i : items) {
    const NDArray dense = i.array.dense();
    file.write(std::span(dense.data(), static_cast<std::size_t>(dense.byte_count())));
  }
  file.commit();
}

}  // namespace weft::io
