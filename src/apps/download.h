// Downloading data sets.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::apps {

/// The bytes at a URL, fetched by the program `curl`. Throws RunError with its reason, or saying that it isn't installed.
std::vector<std::byte> fetch(const std::string& url);

/// Addresses under which the four gzipped files of MNIST are.
std::vector<std::string> mnist_mirrors();

/// Gets a line for each file.
using DownloadReport = std::function<void(std::string_view)>;

/// Puts the four gzipped files of MNIST into a folder, which is made if need be. Files that are there and right are kept.
/// Each is taken from the first mirror that has it with the right content (by SHA-256 of what is unzipped) and appears in
/// the folder only as a whole. Throws RunError when no mirror has one, with each mirror's reason.
void download_mnist(const std::filesystem::path& folder, std::span<const std::string> mirrors, const DownloadReport& report);

/// Addresses under which input.txt is, a megabyte of Shakespeare's plays that A. Karpathy compiled for char-rnn.
std::vector<std::string> shakespeare_mirrors();
/// Puts that text into a folder, as download_mnist does its files.
void download_shakespeare(const std::filesystem::path& folder, std::span<const std::string> mirrors, const DownloadReport& report);

}  // namespace weft::apps
