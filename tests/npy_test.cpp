#include "file_testing.h"

namespace weft::npy_test {
namespace {

using testing::counting, testing::expect_equal, testing::expect_run_error, testing::Folder, testing::text_of;
using namespace std::string_literals;

constexpr DType numpy_types[] = {f32, f16, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean, c64};

/// A version 1 file as NumPy lays it out: magic number, version, length, dictionary padded to a multiple of 64, elements.
std::string npy(std::string dictionary, const std::string& elements) {
  dictionary.resize((10 + dictionary.size() + 1 + 63) / 64 * 64 - 11, ' ');
  dictionary += '\n';
  return "\x93NUMPY\x01\x00"s + static_cast<char>(dictionary.size() & 0xff) + static_cast<char>(dictionary.size() >> 8) + dictionary + elements;
}

NDArray load(const std::string& content) {
  const Folder folder;
  return io::load_npy(folder.with("x.npy", content));
}

void refuse(const std::string& content, const std::string& part) {
  expect_run_error([&] { load(content); }, part);
}

const std::string one_to_six = "\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xa0\x40\0\0\xc0\x40"s;

TEST(Npy, WritesTheBytesThatNumPyWrites) {
  const Folder folder;
  io::save_npy(folder / "x.npy", counting(f32, {2, 3}));
  EXPECT_EQ(text_of(folder / "x.npy"),
            "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"s + std::string(58, ' ') + "\n" + one_to_six);
  io::save_npy(folder / "x.npy", NDArray::of<std::uint8_t>({3}, {7, 8, 9}));
  EXPECT_EQ(text_of(folder / "x.npy"), npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "\x07\x08\x09"));
  io::save_npy(folder / "x.npy", NDArray::scalar(true));
  EXPECT_EQ(text_of(folder / "x.npy"), npy("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", "\x01"));
}

TEST(Npy, EveryTypeComesBackAsItWasSaved) {
  const Folder folder;
  for (const DType dtype : numpy_types)
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3, 4}, Shape{0}, Shape{3, 0, 2}}) {
      const NDArray a = counting(dtype, shape);
      io::save_npy(folder / "x.npy", a);
      expect_equal(io::load_npy(folder / "x.npy"), a);
    }
  const NDArray wide = counting(i16, {1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 3});
  io::save_npy(folder / "x.npy", wide);
  expect_equal(io::load_npy(folder / "x.npy"), wide);
}

TEST(Npy, SavesStridedViewsInRowMajorOrder) {
  const Folder folder;
  const NDArray view = counting(i32, {4, 6}).slice(0, 3, -1, -2).transpose(0, 1);
  io::save_npy(folder / "x.npy", view);
  expect_equal(io::load_npy(folder / "x.npy"), view.copy());
}

TEST(Npy, ReadsBigEndianElements) {
  expect_equal(load(npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", "\x01\x02\xff\xfe"s)),
               NDArray::of<std::int16_t>({2}, {258, -2}));
  expect_equal(load(npy("{'descr': '>c8', 'fortran_order': False, 'shape': (), }", "\x3f\x80\0\0\x40\0\0\0"s)),
               NDArray::scalar(std::complex<float>(1, 2)));
}

TEST(Npy, ReadsFortranOrder) {
  expect_equal(load(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", "\1\4\2\5\3\6")),
               NDArray::of<std::uint8_t>({2, 3}, {1, 2, 3, 4, 5, 6}));
}

TEST(Npy, ReadsVersionsTwoAndThreeAndPythonTwosIntegers) {
  const std::string header = "{\"shape\": (2L,), 'fortran_order':False,'descr':'|i1'}\n";
  for (const char version : {'\2', '\3'})
    expect_equal(load("\x93NUMPY"s + version + "\0"s + static_cast<char>(header.size()) + "\0\0\0"s + header + "\x01\xff"),
                 NDArray::of<std::int8_t>({2}, {1, -1}));
}

TEST(Npy, OtherBytesThanZeroAndOneAreTrue) {
  expect_equal(load(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", "\0\2\xff"s)), NDArray::of<bool>({3}, {false, true, true}));
}

TEST(Npy, TypesThatTheOtherSideLacksAreRefused) {
  const Folder folder;
  expect_run_error([&] { io::save_npy(folder / "x.npy", NDArray(bf16, {2})); }, "x.npy\": NumPy has no bf16, cast the array to f32 first");
  EXPECT_EQ(folder.file_count(), 0u);
  for (const std::string name : {"<c16", "<f16", "|V2", "<U5", "|O", "<M8[ns]", "f4", "", "<u1x"})
    refuse(npy("{'descr': '" + name + "', 'fortran_order': False, 'shape': (), }", "12345678"), "element type '" + name + "' isn't one of weft's");
  refuse(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }", "1234"), "it holds records");
}

TEST(Npy, HeadersThatLieAreRefused) {
  const auto shaped = [](const std::string& shape) { return npy("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", one_to_six); };
  refuse(shaped("(7,)"), "is truncated, or its header lies: the elements take more than the 24 bytes");
  refuse(shaped("(1000000000000,)"), "is truncated, or its header lies");
  refuse(shaped("(5,)"), "4 bytes follow the elements");
  refuse(shaped("(9223372036854775807, 9223372036854775807)"), "more than 2^63 - 1 bytes");
  refuse(shaped("(0, 9223372036854775807)"), "more than 2^63 - 1 bytes");
  refuse(shaped("(99999999999999999999,)"), "negative or past 2^63 - 1");
  refuse(shaped("(-1,)"), "negative or past 2^63 - 1");
  refuse(shaped("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,6)"), "17 dimensions");
  refuse("\x93NUMPY\x01\x00\xff\xff{}"s, "lies about its header's length of 65535 bytes");
  refuse("\x93NUMPY\x02\x00\xff\xff\xff\xff{}"s, "lies about its header's length of 4294967295 bytes");
}

TEST(Npy, OtherFilesAreRefused) {
  refuse("", "x.npy\": is truncated, it ends inside the magic number");
  refuse("PK\3\4 something else", "its magic number is wrong");
  refuse("\x93NUMPY\x04\x00v\x00"s, "its version isn't 1.0, 2.0 or 3.0");
  refuse("\x93NUMPY\x01\x00"s, "it ends inside the header's length");
  refuse(npy("{'descr': '<f4', 'fortran_order': False}", ""), "lacks one of");
  refuse(npy("{'descr': '<f4', 'descr': '<f4'}", ""), "the key 'descr' twice or unexpectedly");
  refuse(npy("{'descr': '<f4', 'other': 1}", ""), "the key 'other'");
  refuse(npy("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", ""), "isn't a dictionary as NumPy writes it");
  refuse(npy("{'descr': '<f4', 'fortran_order': True, 'shape': 3}", ""), "isn't a dictionary as NumPy writes it");
  refuse(npy("{'descr': '<f4', 'fortran_order': True, 'shape': ()} x", ""), "near \"x");
  refuse(npy("[]", ""), "isn't a dictionary as NumPy writes it");
}

TEST(Npy, CorruptedFilesAreReadOrRefusedButNeverCrash) {
  const std::string content = npy("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }", "abcdefghijkl");
  EXPECT_GT(testing::sweep_corruptions(content, [](const auto& path) { io::load_npy(path); }), 500);
}

TEST(Npy, AFullDiskKeepsTheOldFile) {
  testing::expect_old_file_survives_a_full_disk([](const auto& path) { io::save_npy(path, NDArray(f32, {2000})); });
}

}  // namespace
}  // namespace weft::npy_test
