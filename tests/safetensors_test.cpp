#include "file_testing.h"

namespace weft::safetensors_test {
namespace {

using testing::counting, testing::expect_equal, testing::expect_run_error, testing::Folder, testing::text_of;
using namespace std::string_literals;

constexpr DType held_types[] = {f32, f16, bf16, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean};

std::string file_of(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + data;
}

io::Safetensors load(const std::string& content) {
  const Folder folder;
  return io::load_safetensors(folder.with("x.safetensors", content));
}

void refuse(const std::string& header, const std::string& data, const std::string& part) {
  expect_run_error([&] { load(file_of(header, data)); }, part);
}

TEST(Safetensors, WritesTheBytesThatTheFormatsOwnLibraryWrites) {
  const Folder folder;
  io::Safetensors content;
  content.metadata["format"] = "pt";
  content.tensors["b"] = NDArray::of<float>({2}, {1, 2});
  content.tensors["a"] = NDArray::of<std::uint8_t>({}, {7});
  content.tensors["c"] = NDArray::of<std::int64_t>({1, 1}, {-1});
  io::save_safetensors(folder / "x", content);
  const std::string header = R"({"__metadata__":{"format":"pt"},"c":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"a":{"dtype":"U8","shape":[],"data_offsets":[16,17]}})"
                             "      ";
  ASSERT_EQ(header.size() % 8, 0u);
  EXPECT_EQ(text_of(folder / "x"), file_of(header, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\x80\x3f\0\0\0\x40\x07"s));
}

TEST(Safetensors, EveryTypeComesBackAsItWasSaved) {
  const Folder folder;
  io::Safetensors content;
  for (const DType dtype : held_types) {
    content.tensors["matrix " + std::string(name_of(dtype))] = counting(dtype, {3, 5});
    content.tensors["scalar " + std::string(name_of(dtype))] = counting(dtype, {});
    content.tensors["empty " + std::string(name_of(dtype))] = counting(dtype, {2, 0});
  }
  content.tensors["view"] = counting(f32, {4, 6}).slice(1, 5, -1, -2).transpose(0, 1);
  content.metadata = {{"note", "µ \"quoted\" \n"}, {"", "empty key"}};
  io::save_safetensors(folder / "x", content);
  const io::Safetensors back = io::load_safetensors(folder / "x");
  EXPECT_EQ(back.metadata, content.metadata);
  ASSERT_EQ(back.tensors.size(), content.tensors.size());
  for (const auto& [name, array] : content.tensors) expect_equal(back.tensors.at(name), array);
}

TEST(Safetensors, AnEmptyFileHasNoTensors) {
  const Folder folder;
  io::save_safetensors(folder / "x", {});
  EXPECT_EQ(text_of(folder / "x"), file_of("{}      ", ""));
  EXPECT_TRUE(io::load_safetensors(folder / "x").tensors.empty());
}

TEST(Safetensors, TensorsMayStandInAnyOrderInTheHeader) {
  const auto content =
      load(file_of(R"({"a":{"shape":[1],"data_offsets":[2,3],"dtype":"U8"},"b":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}} )", "\x80\x3f\x05"));
  EXPECT_EQ(content.tensors.at("a").item(), 5);
  EXPECT_EQ(content.tensors.at("b").item(), 1);
}

TEST(Safetensors, OffsetsThatLieAreRefused) {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a + R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
  };
  refuse(two("[0,2]", "[1,3]"), "123", "x.safetensors\": tensor \"b\": its bytes overlap those of another");
  refuse(two("[0,2]", "[0,2]"), "12", "overlap");
  refuse(two("[0,2]", "[3,5]"), "12345", "no tensor has the bytes 2 to 3");
  refuse(two("[1,3]", "[3,5]"), "12345", "no tensor has the bytes 0 to 1");
  refuse(two("[0,2]", "[2,4]"), "12345", "1 bytes follow the tensors");
  refuse(two("[0,2]", "[2,4]"), "123", "its bytes 2 to 4 don't lie in the 3 that the file has");
  refuse(two("[2,0]", "[2,4]"), "1234", "its bytes 2 to 0 don't lie");
  refuse(two("[0,2]", "[18446744073709551615,1]"), "1234", "don't lie");
  refuse(two("[0,2]", "[2,5]"), "12345", "u8[2] takes 2 bytes, its data_offsets span 3");
  refuse(two("[0,2]", "[-2,0]"), "1234", "aren't two integers");
  refuse(two("[0,2]", "[2.0,4]"), "1234", "aren't two integers");
  refuse(two("[0,2]", "[2,4,6]"), "1234", "aren't two integers");
  refuse(two("[0,2]", "[2,99999999999999999999]"), "1234", "aren't two integers");
}

TEST(Safetensors, ShapesThatLieAreRefused) {
  const auto shaped = [](const std::string& shape) { return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,4]}})"; };
  refuse(shaped("[2]"), "1234", "f32[2] takes 8 bytes, its data_offsets span 4");
  refuse(shaped("[-1]"), "1234", "a size isn't an integer from 0 to 2^63 - 1");
  refuse(shaped("[1.5]"), "1234", "a size isn't an integer");
  refuse(shaped("[18446744073709551615]"), "1234", "a size isn't an integer");
  refuse(shaped("[4611686018427387904,4]"), "1234", "more than 2^63 - 1 bytes");
  refuse(shaped("[0,9223372036854775807]"), "1234", "more than 2^63 - 1 bytes");
  refuse(shaped("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "1234", "17 dimensions");
  refuse(shaped("3"), "1234", "its shape is missing or of another kind");
}

TEST(Safetensors, HeadersThatAreNotTheFormatsAreRefused) {
  refuse("", "", "isn't JSON");
  refuse("[]", "", "isn't a JSON object");
  refuse(R"({"a":)", "", "isn't JSON, wrong at byte");
  refuse("{\"\xff\":1}", "", "isn't JSON");
  refuse(R"({"a":1e999})", "", "a number that is out of range");
  refuse(R"({"a":[[[[[1]]]]]})", "", "nested too deeply");
  refuse(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "1", "has \"a\" twice");
  refuse(R"({"a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}})", "1", "its element type \"F8_E4M3\" isn't one of weft's");
  refuse(R"({"a":{"dtype":"U8","shape":[]}})", "", "isn't described by dtype, shape and data_offsets");
  refuse(R"({"a":{"dtype":1,"shape":[],"data_offsets":[0,1]}})", "1", "its dtype is missing or of another kind");
  refuse(R"({"__metadata__":{"a":1}})", "", "its metadata \"a\" isn't a string");
  refuse(R"({"__metadata__":"a"})", "", "its metadata isn't an object of strings");
}

TEST(Safetensors, HeaderLengthsThatLieAreRefused) {
  expect_run_error([] { load(""); }, "it ends inside the header's length");
  expect_run_error([] { load("\3\0\0\0\0\0\0\0{}"s); }, "lies about its header's length of 3 bytes");
  expect_run_error([] { load("\xff\xff\xff\xff\xff\xff\xff\xff{}"s); }, "lies about its header's length of 18446744073709551615 bytes");
}

TEST(Safetensors, WhatTheFormatCannotHoldIsRefusedOnSave) {
  const Folder folder;
  const auto save = [&](const std::string& name, const NDArray& array) {
    io::Safetensors content;
    content.tensors[name] = array;
    io::save_safetensors(folder / "x", content);
  };
  expect_run_error([&] { save("a", NDArray(c64, {2})); }, "tensor \"a\": the format has no c64");
  expect_run_error([&] { save("__metadata__", NDArray(f32, {2})); }, "can't be named \"__metadata__\"");
  expect_run_error([&] { save("\xff", NDArray(f32, {2})); }, "isn't UTF-8");
  EXPECT_EQ(folder.file_count(), 0u);
}

TEST(Safetensors, CorruptedFilesAreReadOrRefusedButNeverCrash) {
  const std::string content = file_of(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"I16","shape":[2,1],"data_offsets":[0,4]},"b":{"dtype":"BOOL","shape":[3],"data_offsets":[4,7]}})",
      "1234567");
  EXPECT_GT(testing::sweep_corruptions(content, [](const auto& path) { io::load_safetensors(path); }), 900);
}

TEST(Safetensors, AFullDiskKeepsTheOldFile) {
  io::Safetensors content;
  content.tensors["a"] = NDArray(f32, {2000});
  testing::expect_old_file_survives_a_full_disk([&](const auto& path) { io::save_safetensors(path, content); });
}

}  // namespace
}  // namespace weft::safetensors_test
