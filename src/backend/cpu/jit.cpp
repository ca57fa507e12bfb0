#include "backend/cpu/jit.h"

#include "backend/cpu/emit.h"

#include <weft/error.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace weft::cpu {
namespace {

template <class T> T checked(llvm::Expected<T> result, const char* doing) {
  if (!result) throw InternalError(std::string(doing) + ": " + llvm::toString(result.takeError()));
  return std::move(*result);
}

void check(llvm::Error error, const char* doing) {
  if (error) throw InternalError(std::string(doing) + ": " + llvm::toString(std::move(error)));
}

class Jit {
 public:
  /// Lives as long as the process: code may still run while statics are destroyed.
  static Jit& instance() {
    static auto* jit = new Jit;
    return *jit;
  }

  const Target& target() const { return target_; }

  KernelFunction find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = code_.find(key);
    return found == code_.end() ? nullptr : found->second;
  }

  void compile(const kernel::Kernel& kernel, const kernel::Structure& structure) {
    const std::string symbol = "weft_" + sanitised(kernel.name) + "_" + std::to_string(serial_++);
    auto context = std::make_unique<llvm::LLVMContext>();
    auto module = optimised_module(kernel, structure, symbol, *context);
    check(jit_->addIRModule(llvm::orc::ThreadSafeModule(std::move(module), std::move(context))), "compiling a kernel");
    const auto address = checked(jit_->lookup(symbol), "compiling a kernel");
    const std::lock_guard lock(mutex_);
    code_[structure.key] = address.toPtr<KernelFunction>();
    ++compiled_;
  }

  std::size_t compiled() const { return compiled_; }

  std::string assembly(const kernel::Kernel& kernel) {
    llvm::LLVMContext context;
    const auto module = optimised_module(kernel, kernel::structure_of(kernel), sanitised(kernel.name), context);
    auto builder = checked(llvm::orc::JITTargetMachineBuilder::detectHost(), "looking at this processor");
    builder.setCodeGenOptLevel(level);
    const auto machine = checked(builder.createTargetMachine(), "looking at this processor");
    llvm::SmallVector<char, 0> text;
    llvm::raw_svector_ostream out(text);
    llvm::legacy::PassManager passes;
    if (machine->addPassesToEmitFile(passes, out, nullptr, llvm::CodeGenFileType::AssemblyFile))
      throw InternalError("this processor's assembly can't be printed");
    passes.run(*module);
    return {text.begin(), text.end()};
  }

 private:
  Jit() {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    auto builder = checked(llvm::orc::JITTargetMachineBuilder::detectHost(), "looking at this processor");
    builder.setCodeGenOptLevel(level);
    cpu_ = builder.getCPU();
    features_ = builder.getFeatures().getString();
    const auto has = [&](const char* feature) { return features_.find(std::string("+") + feature) != std::string::npos; };
    target_.vector_bits = has("avx512f") && has("avx512vl") && has("avx512dq") && has("avx512bw") ? 512 : has("avx2") ? 256 : 128;
    // Narrower vectors on request, so that what other processors run can be tested on this one.
    if (const char* wish = std::getenv("WEFT_VECTOR_BITS")) target_.vector_bits = std::clamp(std::atoi(wish), 128, target_.vector_bits) & ~127;
    // A target machine of its own for each compilation, since several threads compile at once.
    auto concurrent = [](llvm::orc::JITTargetMachineBuilder machine) -> llvm::Expected<std::unique_ptr<llvm::orc::IRCompileLayer::IRCompiler>> {
      return std::make_unique<llvm::orc::ConcurrentIRCompiler>(std::move(machine));
    };
    jit_ = checked(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(std::move(builder)).setCompileFunctionCreator(concurrent).create(),
                   "starting the compiler");
    jit_->getMainJITDylib().addGenerator(
        checked(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(jit_->getDataLayout().getGlobalPrefix()), "finding functions"));
  }

  static constexpr auto level = llvm::CodeGenOptLevel::Default;

  std::unique_ptr<llvm::Module> optimised_module(const kernel::Kernel& kernel, const kernel::Structure& structure, const std::string& symbol,
                                                 llvm::LLVMContext& context) const {
    auto module = emit(kernel, structure, symbol, target_, context);
    module->setDataLayout(jit_->getDataLayout());
    module->setTargetTriple(jit_->getTargetTriple().str());
    for (auto& f : *module) {
      f.addFnAttr("target-cpu", cpu_);
      f.addFnAttr("target-features", features_);
    }
    std::string faults;
    llvm::raw_string_ostream out(faults);
    if (llvm::verifyModule(*module, &out)) throw InternalError("generated code of kernel " + kernel.name + " is malformed: " + faults);
    optimise(*module);
    return module;
  }

  static std::string sanitised(std::string name) {
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
    return name;
  }

  static void optimise(llvm::Module& module) {
    llvm::PassBuilder passes;
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager components;
    llvm::ModuleAnalysisManager modules;
    passes.registerModuleAnalyses(modules);
    passes.registerCGSCCAnalyses(components);
    passes.registerFunctionAnalyses(functions);
    passes.registerLoopAnalyses(loops);
    passes.crossRegisterProxies(loops, functions, components, modules);
    llvm::FunctionPassManager pipeline;
    pipeline.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
    pipeline.addPass(llvm::EarlyCSEPass(true));
    pipeline.addPass(llvm::InstCombinePass());
    pipeline.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), true));
    pipeline.addPass(llvm::EarlyCSEPass(true));
    pipeline.addPass(llvm::SimplifyCFGPass());
    for (auto& f : module)
      if (!f.isDeclaration()) pipeline.run(f, functions);
  }

  std::unique_ptr<llvm::orc::LLJIT> jit_;
  std::string cpu_, features_;
  Target target_;
  std::mutex mutex_;
  std::map<std::string, KernelFunction> code_;
  std::atomic<std::size_t> serial_ = 0, compiled_ = 0;
};

}  // namespace

int lanes_of(const kernel::Kernel& kernel, const Target& target) {
  if (kernel.vector_loop < 0) return 1;
  std::size_t widest = 1;
  for (const auto& e : kernel.exprs) {
    if (e.kind == kernel::ExprKind::constant || e.kind == kernel::ExprKind::index) continue;
    const DType t = e.dtype;
    const bool needs_64_bits = t == f64 || t == i64 || t == u64;
    widest = std::max(widest, needs_64_bits && e.kind != kernel::ExprKind::reduced ? std::size_t{8}
                              : is_floating(t) || t == c64                         ? std::size_t{4}
                                                                                   : size_of(t));
    // Vectors that a scan goes along hold what is accumulated; shorter ones take fewer steps.
    if (kernel.scan && kernel.is_sequential(kernel.vector_loop)) widest = std::max(widest, size_of(t));
  }
  return std::max(target.vector_bits / 8 / static_cast<int>(std::max<std::size_t>(widest, 2)), 2);
}

std::vector<KernelCode> compile_kernels(std::span<const kernel::Kernel* const> kernels) {
  Jit& jit = Jit::instance();
  std::vector<KernelCode> codes(kernels.size());
  std::vector<kernel::Structure> structures;
  std::map<std::string, std::size_t> missing;
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    structures.push_back(kernel::structure_of(*kernels[i]));
    if (!jit.find(structures[i].key)) missing.emplace(structures[i].key, i);
  }
  std::vector<std::size_t> work;
  for (const auto& [key, i] : missing) work.push_back(i), codes[i].was_compiled = true;

  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  auto run = [&] {
    for (std::size_t k = next++; k < work.size(); k = next++) try {
        jit.compile(*kernels[work[k]], structures[work[k]]);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
  };
  std::vector<std::thread> helpers;
  const auto threads = std::min<std::size_t>(work.size(), std::max(1u, std::thread::hardware_concurrency()));
  for (std::size_t t = 1; t < threads; ++t) helpers.emplace_back(run);
  run();
  for (auto& t : helpers) t.join();
  if (failure) std::rethrow_exception(failure);

  for (std::size_t i = 0; i < kernels.size(); ++i) {
    codes[i].function = jit.find(structures[i].key);
    codes[i].parameters = std::move(structures[i].parameters);
    codes[i].lanes = lanes_of(*kernels[i], jit.target());
  }
  return codes;
}

std::size_t kernels_compiled() { return Jit::instance().compiled(); }

int vector_bits() { return Jit::instance().target().vector_bits; }

std::string llvm_ir(const kernel::Kernel& kernel) {
  llvm::LLVMContext context;
  const auto module = emit(kernel, kernel::structure_of(kernel), "kernel", Jit::instance().target(), context);
  std::string text;
  llvm::raw_string_ostream out(text);
  module->print(out, nullptr);
  return text;
}

std::string assembly(const kernel::Kernel& kernel) { return Jit::instance().assembly(kernel); }

std::vector<Listing> kernel_listings(std::span<const kernel::Kernel* const> kernels) {
  std::vector<Listing> list;
  std::set<std::string> seen;
  for (const auto* k : kernels) {
    if (!seen.insert(kernel::structure_of(*k).key).second) continue;
    const std::string number = std::to_string(seen.size() - 1),
                      name = std::string(number.size() < 3 ? 3 - number.size() : 0, '0') + number + "_" + k->name;
    list.push_back({name + ".ll", llvm_ir(*k)});
    list.push_back({name + ".s", assembly(*k)});
  }
  return list;
}

}  // namespace weft::cpu
