# The headers of a CUDA toolkit, which is all that building needs: libraries are found when a program runs. Looked for where CUDAToolkit_ROOT,
# CUDA_PATH and CUDA_HOME say, beside nvcc, and in /usr/local/cuda*.
find_program(CUDAHeaders_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATH_SUFFIXES bin)
if(CUDAHeaders_NVCC)
  file(REAL_PATH ${CUDAHeaders_NVCC} CUDAHeaders_BIN)
  cmake_path(GET CUDAHeaders_BIN PARENT_PATH CUDAHeaders_BIN)
  cmake_path(GET CUDAHeaders_BIN PARENT_PATH CUDAHeaders_BESIDE)
endif()
file(GLOB CUDAHeaders_TOOLKITS /usr/local/cuda /usr/local/cuda-*)
list(SORT CUDAHeaders_TOOLKITS COMPARE NATURAL ORDER DESCENDING)
find_path(CUDAHeaders_INCLUDE_DIR nvrtc.h HINTS ${CUDAToolkit_ROOT} ENV CUDAToolkit_ROOT ENV CUDA_PATH ENV CUDA_HOME ${CUDAHeaders_BESIDE}
          PATHS ${CUDAHeaders_TOOLKITS} PATH_SUFFIXES include)

if(CUDAHeaders_INCLUDE_DIR AND EXISTS ${CUDAHeaders_INCLUDE_DIR}/cuda.h)
  file(STRINGS ${CUDAHeaders_INCLUDE_DIR}/cuda.h CUDAHeaders_LINE REGEX "^#define CUDA_VERSION +[0-9]+")
  string(REGEX REPLACE ".* ([0-9]+)$" "\\1" CUDAHeaders_NUMBER "${CUDAHeaders_LINE}")
  math(EXPR CUDAHeaders_MAJOR "${CUDAHeaders_NUMBER} / 1000")
  math(EXPR CUDAHeaders_MINOR "${CUDAHeaders_NUMBER} % 1000 / 10")
  set(CUDAHeaders_VERSION ${CUDAHeaders_MAJOR}.${CUDAHeaders_MINOR})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUDAHeaders REQUIRED_VARS CUDAHeaders_INCLUDE_DIR CUDAHeaders_VERSION VERSION_VAR CUDAHeaders_VERSION)
mark_as_advanced(CUDAHeaders_NVCC CUDAHeaders_INCLUDE_DIR)
