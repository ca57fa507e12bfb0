# Installs the build in BUILD_DIR to a prefix of its own, builds the project beside this file against it and runs the
# result.
# cmake -D BUILD_DIR=... -D GENERATOR=... -D CONFIG=... -D CXX=... -D FLAGS=... -P build_and_run.cmake
set(work ${BUILD_DIR}/package_test)
file(REMOVE_RECURSE ${work})

function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}):\n${output}")
  endif()
endfunction()

step("installing" ${CMAKE_COMMAND} --install ${BUILD_DIR} --config ${CONFIG} --component library --prefix ${work}/prefix)
step("configuring" ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${work}/build -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${work}/prefix -DCMAKE_BUILD_TYPE=${CONFIG}
     -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_FLAGS=${FLAGS})
step("building" ${CMAKE_COMMAND} --build ${work}/build)
step("running" ${work}/build/outside)
