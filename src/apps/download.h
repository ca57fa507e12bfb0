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

/// Puts the four gzipped files of MNIST into a folder, which is made if need be. Files that are there and right are kept.
/// Each is taken from the first mirror that has it with the right content (by SHA-256 of what is unzipped) and appears in
/// the folder only as a whole. `report` gets a line for each file. Throws RunError when no mirror has one, with each
/// mirror's reason.
void download_mnist(const std::filesystem::path& folder, std::span<const std::string> mirrors, const std::function<void(std::string_view)>& report);

}  // namespace weft::apps
