// Kernels as grids of their own, and several as one.
#include "backend/cuda/emit.h"
#include "backend/cuda/emit_library.h"
#include "backend/cuda/emit_loops.h"
#include "backend/cuda/emit_text.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

namespace weft::cuda {
namespace {

/// Threads for each multiprocessor, of a kernel that others can be beside at no cost.
constexpr std::int64_t few_threads = 1024;
/// Different kernels of a grid: more are more to compile and to fetch than they save.
constexpr std::size_t most_codes = 8;
/// A launch takes no more bytes of arguments.
constexpr std::size_t most_argument_bytes = 4096;

std::string whole(const std::string& code) { return definitions_for(code) + "\n" + code; }

Generated alone(KernelText text) {
  Generated g;
  g.source = whole(text.code);
  g.entry = std::move(text.name);
  g.arguments = std::move(text.arguments);
  g.blocks = text.blocks;
  g.threads = text.threads;
  g.shared_bytes = text.shared_bytes;
  g.shares = {text.blocks};
  return g;
}

/// Kernels with the same code.
struct Alike {
  std::vector<std::size_t> kernels;
  bool has_large = false;
};

/// One grid in the making.
struct Grid {
  std::vector<const Alike*> codes;
  std::size_t argument_bytes = 0;
};

void append(std::vector<std::byte>& bytes, const void* data, std::size_t size) {
  bytes.insert(bytes.end(), static_cast<const std::byte*>(data), static_cast<const std::byte*>(data) + size);
}

std::size_t argument_bytes(const KernelText& text) { return text.arguments.size() + sizeof(unsigned); }

Together one_grid(const std::vector<KernelText>& texts, const Grid& grid) {
  Together result;
  Generated& g = result.code;
  g.parts.clear();
  g.blocks = 0;
  std::vector<unsigned> begins;
  for (const Alike* alike : grid.codes)
    for (auto k : alike->kernels) {
      const KernelText& text = texts[k];
      result.kernels.push_back(k);
      g.parts.push_back(g.arguments.size());
      append(g.arguments, text.arguments.data(), text.arguments.size());
      g.shares.push_back(text.blocks);
      begins.push_back(g.blocks);
      g.blocks += text.blocks;
      g.threads = std::max(g.threads, text.threads);
    }
  append(g.arguments, begins.data(), begins.size() * sizeof(unsigned));
  g.arguments.resize((g.arguments.size() + 7) / 8 * 8);

  const std::string count = std::to_string(begins.size());
  const auto space = [](std::size_t c) { return "kernel_" + std::to_string(c); };
  Code code;
  std::string bodies, arguments;
  for (std::size_t c = 0; c < grid.codes.size(); ++c) {
    bodies += "namespace " + space(c) + " {\n" + texts[grid.codes[c]->kernels[0]].code + "}\n\n";
    arguments += "  " + space(c) + "::Arguments of_" + std::to_string(c) + "[" + std::to_string(grid.codes[c]->kernels.size()) + "];\n";
  }
  g.entry = texts[result.kernels[0]].name + (grid.codes.size() == 1 ? "_of_several" : "_and_others");
  code.line("// Kernels side by side: each has blocks of its own.");
  code.block(entry_head(g.threads, g.entry), [&] {
    code.line("int which = 0;");
    code.line("for (int half = " + std::to_string(std::bit_floor(begins.size() - 1)) + "; half > 0; half /= 2)");
    code.line("  if (which + half < " + count + " && blockIdx.x >= a.begins[which + half]) which += half;");
    code.line("const unsigned block = blockIdx.x - a.begins[which];");
    std::size_t first = 0;
    for (std::size_t c = 0; c < grid.codes.size(); ++c) {
      const KernelText& text = texts[grid.codes[c]->kernels[0]];
      const std::size_t end = first + grid.codes[c]->kernels.size();
      code.block(c + 1 == grid.codes.size() ? "" : "if (which < " + std::to_string(end) + ")", [&] {
        if (text.threads < g.threads && !text.counts_threads) code.line("if (threadIdx.x >= " + std::to_string(text.threads) + ") return;");
        code.line("return " + space(c) + "::" + text.name + "(a.of_" + std::to_string(c) + "[which - " + std::to_string(first) + "], block);");
      });
      first = end;
    }
  });
  g.source = whole(bodies + "struct Arguments {\n" + arguments + "  unsigned begins[" + count + "];\n};\n\n" + code.str());
  return result;
}

}  // namespace

Generated generate(const kernel::Kernel& kernel, const DeviceProperties& device, const std::vector<bool>& ready) {
  return alone(emit_kernel(kernel, device, true, ready));
}

std::vector<Together> generate_together(std::span<const kernel::Kernel* const> kernels, const DeviceProperties& device,
                                        std::span<const std::vector<bool>> ready) {
  std::vector<Together> all;
  const auto ready_for = [&](std::size_t k) { return k < ready.size() ? ready[k] : std::vector<bool>(); };
  const auto by_itself = [&](std::size_t k) { all.push_back({{k}, generate(*kernels[k], device, ready_for(k))}); };
  if (kernels.size() == 1) {
    by_itself(0);
    return all;
  }
  std::vector<KernelText> texts;
  std::map<std::string, Alike> by_code;
  std::vector<Alike*> codes;  // in the order of the kernels
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    texts.push_back(emit_kernel(*kernels[k], device, false, ready_for(k)));
    const auto [found, is_new] = by_code.try_emplace(texts[k].code);
    if (is_new) codes.push_back(&found->second);
    found->second.kernels.push_back(k);
    found->second.has_large = found->second.has_large || std::int64_t{texts[k].blocks} * texts[k].threads > few_threads * device.multiprocessors;
  }

  Grid small;
  const auto finish = [&](const Grid& grid) {
    if (grid.codes.empty()) return;
    if (grid.codes.size() == 1 && grid.codes[0]->kernels.size() == 1) by_itself(grid.codes[0]->kernels[0]);
    else all.push_back(one_grid(texts, grid));
  };
  std::vector<Alike> parts;  // of what takes several launches
  parts.reserve(kernels.size());
  for (const Alike* alike : codes) {
    const KernelText& text = texts[alike->kernels[0]];
    const std::size_t each = argument_bytes(text), most = (most_argument_bytes - 8) / each;
    if (!text.can_join || most < 2) {
      for (auto k : alike->kernels) by_itself(k);
      continue;
    }
    for (std::size_t begin = 0; begin < alike->kernels.size(); begin += most) {
      const auto end = std::min(begin + most, alike->kernels.size());
      const Alike& part = parts.emplace_back(
          Alike{{alike->kernels.begin() + static_cast<std::ptrdiff_t>(begin), alike->kernels.begin() + static_cast<std::ptrdiff_t>(end)}});
      const std::size_t bytes = each * part.kernels.size();
      if (alike->has_large) {
        finish({{&part}, bytes});
        continue;
      }
      if (small.codes.size() == most_codes || small.argument_bytes + bytes > most_argument_bytes - 8) {
        finish(small);
        small = {};
      }
      small.codes.push_back(&part);
      small.argument_bytes += bytes;
    }
  }
  finish(small);
  return all;
}

}  // namespace weft::cuda
